"""Checking of `[sources.<name>]`, `[publishers.<name>]`, `[sinks.<name>]`, and what these tables were called before."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rtemo.api.errors import ConfigError, PluginError
from rtemo.config.strict import convert, suggest
from rtemo.extensions import GROUPS, PUBLISHERS, SINKS, SOURCES, installed, load

TABLES: Mapping[str, str] = {"sources": SOURCES, "publishers": PUBLISHERS, "sinks": SINKS}
"""Table of the configuration → group of entry points."""

_FORMER: Mapping[str, tuple[str, str]] = {
    "ingest": ("sources", "zmq"),
    "microphone": ("sources", "microphone"),
    "stdin": ("sources", "stdin"),
    "file": ("sources", "file"),
    "publish": ("publishers", "zmq"),
    "audio_out": ("sinks", "zmq"),
    "play": ("sinks", "speaker"),
}
_log = logging.getLogger(__name__)


def with_present_names(data: dict[str, Any], origin: str) -> dict[str, Any]:
    """Put tables that stand under their former names where they belong, and say so in a line.

    Args:
        data: The parsed configuration.
        origin: Name of the file, for the text.
    """
    former = [name for name in _FORMER if isinstance(data.get(name), dict)]
    if not former:
        return data
    now = {key: value for key, value in data.items() if key not in former}
    for name in former:
        table, edge = _FORMER[name]
        _log.warning("%s: [%s] is called [%s.%s] now", origin, name, table, edge)
        tables = now.get(table, {})
        if isinstance(tables, dict):  # otherwise it is refused later
            now[table] = {**tables, edge: _merged(tables.get(edge, {}), data[name])}
    return now


def _merged(below: Any, above: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(below, dict):
        return above
    both = {key: _merged(below.get(key), value) if isinstance(value, dict) else value for key, value in above.items()}
    return {**below, **both}


def check_edges(data: Mapping[str, Any], origin: str) -> None:
    """Refuse edges that are not installed and options that they do not know; only what is named is imported.

    Args:
        data: The parsed configuration.
        origin: Name of the file, for the error text.

    Raises:
        ConfigError: A table names an edge that is not installed, or an option is wrong.
        PluginError: One that is configured cannot be imported.
    """
    for table, group in TABLES.items():
        sections = data.get(table)
        if not isinstance(sections, dict) or not sections:
            continue
        known = installed(group)
        for name, options in sections.items():
            if name not in known:
                raise ConfigError(f"{origin}: there is no {GROUPS[group]} for [{table}.{name}]", suggest(name, known))
            if not isinstance(options, dict):
                raise ConfigError(
                    f"{origin}: {table}.{name} is not a table", f"write [{table}.{name}] above its options"
                )
            if options:
                convert(options, load(group, name).options_type, origin=origin, prefix=f"{table}.{name}.")


def edge_options(
    table: str, sections: Mapping[str, Mapping[str, Any]], on_error: Callable[[PluginError], None]
) -> dict[str, msgspec.Struct]:
    """Make the options of every installed edge of a table, defaults filled in, in order of name.

    Args:
        table: One of `TABLES`.
        sections: What the configuration says.
        on_error: Called for one that cannot be imported, which is then left out.
    """
    options: dict[str, msgspec.Struct] = {}
    for name in installed(TABLES[table]):
        try:
            options_type = load(TABLES[table], name).options_type
        except PluginError as error:
            on_error(error)
            continue
        options[name] = convert(dict(sections.get(name, {})), options_type, origin=f"[{table}.{name}]")
    return options
