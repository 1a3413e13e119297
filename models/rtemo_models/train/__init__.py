"""Train of the training kit."""
