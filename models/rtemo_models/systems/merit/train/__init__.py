"""Runs of the listener, the enhancer, the tutor, and what they start from."""
