"""Bundles of the training kit."""
