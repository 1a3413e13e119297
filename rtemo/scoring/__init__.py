"""Measures of how well emotions are told, for `rtemo eval` and the benches (numpy only)."""
