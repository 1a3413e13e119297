"""Layer 2: ring, chain, scheduler, outbox: everything that owns time."""
