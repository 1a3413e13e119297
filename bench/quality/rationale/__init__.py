"""Rationales: what is measured of turns, what is claimed about them, and how much of it is true."""
