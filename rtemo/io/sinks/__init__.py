"""Sinks: where processed audio goes."""
