"""Cues of a turn, the words about them, and whether the words are true."""
