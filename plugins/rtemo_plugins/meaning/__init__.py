"""The meaning plugin: how near a voice is to a description of it, beside the tick."""
