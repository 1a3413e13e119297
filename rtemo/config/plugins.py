"""Checking of the chain and of `[plugins.<name>]` against what is installed."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rtemo.api.errors import ConfigError, PluginError
from rtemo.config.strict import convert, suggest
from rtemo.engine import registry
from rtemo.extensions import chains


def check_plugins(data: Mapping[str, Any], origin: str) -> None:
    """Refuse plugins that are not installed and options that they do not know.

    Only what the file names is looked at, so that a file without plugin options imports no plugin.

    Args:
        data: The parsed configuration.
        origin: Name of the file, for the error text.

    Raises:
        ConfigError: A name in `chain` or a table in `[plugins]` is unknown, or an option is wrong.
        PluginError: A plugin that the file configures cannot be imported.
    """
    chain, sections = data.get("chain"), data.get("plugins")
    if not chain and not sections:
        return
    known = registry.installed()
    for index, name in enumerate(chain if isinstance(chain, list) else ()):
        if isinstance(name, str) and name not in known and name not in chains():
            place = f"number {index + 1}" if origin == "--chain" else f"chain[{index}]"
            near = suggest(name, {**known, **chains()})
            raise ConfigError(f"{origin}: {place} is {name!r}, which is not installed", near)
    for name, options in (sections if isinstance(sections, dict) else {}).items():
        if name not in known:
            raise ConfigError(f"{origin}: there is no plugin for [plugins.{name}]", suggest(name, known))
        if not isinstance(options, dict):
            raise ConfigError(f"{origin}: plugins.{name} is not a table", f"write [plugins.{name}] above its options")
        if options:
            convert(options, registry.load(name).options_type, origin=origin, prefix=f"plugins.{name}.")


def installed_options(
    sections: Mapping[str, Mapping[str, Any]] | None = None, on_error: Callable[[PluginError], None] | None = None
) -> dict[str, msgspec.Struct]:
    """Make the options of every installed plugin, defaults filled in, in order of name.

    Args:
        sections: What the configuration says, as `Config.plugins`.
        on_error: Called for a plugin that cannot be imported, which is then left out; None raises instead.

    Raises:
        PluginError: A plugin cannot be imported.
    """
    options: dict[str, msgspec.Struct] = {}
    for name in registry.installed():
        try:
            options_type = registry.load(name).options_type
        except PluginError as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        options[name] = convert(dict((sections or {}).get(name, {})), options_type, origin=f"[plugins.{name}]")
    return options
