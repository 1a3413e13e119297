"""Export of the training kit."""
