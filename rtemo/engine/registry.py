"""Registry: finds installed plugins through the entry point group `rtemo.plugins`."""

from importlib.metadata import EntryPoint
from typing import Any

import msgspec

from rtemo import extensions
from rtemo.api import Plugin, PluginError, RtemoError
from rtemo.engine.trouble import describe, is_theirs

GROUP = extensions.PLUGINS


def installed() -> dict[str, EntryPoint]:
    """List the entry points of all installed plugins by name, without importing them."""
    return extensions.installed(GROUP)


def load(name: str) -> type[Plugin]:
    """Import the class of one plugin.

    Raises:
        PluginError: There is no plugin of that name, or it cannot be imported.
    """
    cls: type[Plugin] = extensions.load_from(installed(), GROUP, name)
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
