"""GEM: signs of synthetic speech."""
