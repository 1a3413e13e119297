"""Trouble: what a plugin, source, publisher or sink raises stays with it; see `rtemo.api.trouble`."""

from collections.abc import Callable

from rtemo.api.trouble import as_error, describe, is_theirs, quietly

__all__ = ["as_error", "describe", "is_theirs", "problem_of", "quietly"]


def problem_of(act: Callable[[], None]) -> str:
    """Do something of a plugin's; tells what was wrong when it raises, nothing otherwise."""
    try:
        act()
    except BaseException as error:
        if not is_theirs(error):
            raise
        return describe(error)
    return ""
