"""Sparse MERIT at the size of the paper."""
