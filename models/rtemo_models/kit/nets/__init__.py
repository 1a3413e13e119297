"""Blocks that the networks of several systems are made of."""
