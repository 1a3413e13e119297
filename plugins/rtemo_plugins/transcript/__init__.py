"""The transcript plugin: what is said, in words, beside the tick."""
