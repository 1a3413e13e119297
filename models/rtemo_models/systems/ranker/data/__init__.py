"""Words, labels, lists and statistics."""
