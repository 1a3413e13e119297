"""Batches, mixtures and the teacher's frames."""
