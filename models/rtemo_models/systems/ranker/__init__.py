"""The ranker: order of moments and calls."""
