"""Liveness: words to ask a voice for that may be synthetic, and whether it said them."""
