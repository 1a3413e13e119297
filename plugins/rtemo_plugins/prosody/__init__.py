"""Prosody: pitch, its range, the rate of speech and the tilt of the spectrum, second by second of speech."""
