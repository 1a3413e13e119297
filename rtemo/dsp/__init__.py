"""Layer 1: signal processing kernels in Numba with explicit state, shared by plugins and training."""
