"""Trouble: what a plugin, source, publisher or sink raises stays with it; see `rtemo.api.trouble`."""

from rtemo.api.trouble import as_error, describe, is_theirs, quietly

__all__ = ["as_error", "describe", "is_theirs", "quietly"]
