"""The minilm bundle: the card of all-MiniLM-L6-v2, whose weights a package or the public hub brings."""
