"""The corpus of genuine and synthetic speech and what is measured of it."""
