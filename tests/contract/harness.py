"""The rig of the contract tests; see `rtemo.testing.rig`."""

from rtemo.testing.rig import FORMAT, HOP, Context, Emitted, Heard, Rig, hops_of, with_required

__all__ = ["FORMAT", "HOP", "Context", "Emitted", "Heard", "Rig", "hops_of", "with_required"]
