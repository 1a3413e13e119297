"""Streaming Sparse MERIT: emotion and enhancement."""
