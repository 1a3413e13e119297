"""Registry: finds installed plugins through the entry point group `rtemo.plugins`."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from rtemo.api import Plugin, PluginError, RtemoError
from rtemo.engine.trouble import describe, is_theirs

GROUP = "rtemo.plugins"


def installed() -> dict[str, EntryPoint]:
    """List the entry points of all installed plugins by name, without importing them."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def load(name: str) -> type[Plugin]:
    """Import the class of one plugin.

    Raises:
        PluginError: There is no plugin of that name, or it cannot be imported.
    """
    points = installed()
    if name not in points:
        known = ", ".join(points) or "none"
        raise PluginError(f"there is no plugin {name!r} (installed: {known})", "correct `chain` or install the plugin")
    try:
        cls: type[Plugin] = points[name].load()
    except BaseException as error:
        if not is_theirs(error):
            raise
        raise PluginError(
            f"plugin {name!r} cannot be imported ({describe(error)})", "reinstall it, or take it out of `chain`"
        ) from error
    return cls


def make(name: str, options: Any = None) -> Plugin:
    """Make a configured plugin.

    Args:
        name: Entry point name.
        options: An instance of the plugin's `options_type`, a mapping of its fields, or None for defaults.

    Raises:
        PluginError: The plugin is unknown, cannot be imported, or refuses the options.
    """
    cls = load(name)
    if not isinstance(options, cls.options_type):
        try:
            options = msgspec.convert(options or {}, cls.options_type)
        except msgspec.ValidationError as error:
            raise PluginError(f"plugin {name!r} refuses its options ({error})", "see `rtemo config`") from error
    try:
        plugin = cls(options)
    except RtemoError:
        raise
    except BaseException as error:
        if not is_theirs(error):
            raise
        raise PluginError(f"plugin {name!r} cannot be made ({describe(error)})", "take it out of `chain`") from error
    if plugin.spec.name != name:
        raise PluginError(
            f"the plugin installed as {name!r} calls itself {plugin.spec.name!r}", "its author must make them equal"
        )
    return plugin
