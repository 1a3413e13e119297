"""Nets of the training kit."""
