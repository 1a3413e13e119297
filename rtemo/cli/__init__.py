"""Layer 4: the command line, one verb per file."""
