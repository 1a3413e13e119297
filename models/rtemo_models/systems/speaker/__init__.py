"""The speaker embedding of Resemblyzer as a bundle."""
