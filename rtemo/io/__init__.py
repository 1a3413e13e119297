"""Layer 2: the edges: sources of audio and publishers of events."""
