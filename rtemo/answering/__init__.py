"""Answering: a voice at the edge of the engine, which hears events and writes audio."""
