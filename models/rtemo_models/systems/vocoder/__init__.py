"""A vocoder and a voice converter, makers of synthetic speech."""
