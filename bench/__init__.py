"""Measurements of speed, capacity and quality; each script prints what it measured."""
