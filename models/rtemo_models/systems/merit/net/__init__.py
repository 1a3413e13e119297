"""The listener, the enhancer and what they learn from."""
