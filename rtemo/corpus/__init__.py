"""From recordings to a corpus of rated turns, after MSP-Podcast (Busso et al. 2025, arXiv:2509.09791)."""
