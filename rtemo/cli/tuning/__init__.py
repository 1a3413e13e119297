"""Fitting a bundle to labelled clips of the user's own: `rtemo tune`."""
