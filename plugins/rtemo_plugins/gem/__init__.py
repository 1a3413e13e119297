"""Gem: how likely a voice is synthetic, from experts for each kind of mood."""
