"""Training over one or several processes."""
