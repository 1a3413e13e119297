"""Decoded audio, and what rooms, lines, codecs and microphones do to it."""
