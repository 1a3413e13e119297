"""A cell on paper: fronts, workers and nodes that die and come back, and what becomes of the calls."""
