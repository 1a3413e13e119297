"""Data of the training kit."""
