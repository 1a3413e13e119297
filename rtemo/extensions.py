"""Extensions: what is installed for rtemo, found through entry points without importing it."""

import difflib
import functools
import inspect
import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from rtemo.api import SHARED_TYPES, Payload, PluginError, RtemoError, is_payload_type, kind_of
from rtemo.api.trouble import describe, is_theirs

PLUGINS = "rtemo.plugins"
SOURCES = "rtemo.sources"
PUBLISHERS = "rtemo.publishers"
SINKS = "rtemo.sinks"
BUNDLES = "rtemo.bundles"
CHAINS = "rtemo.chains"
TUNERS = "rtemo.tuners"

_log = logging.getLogger(__name__)

GROUPS: Mapping[str, str] = {
    PLUGINS: "plugin",
    SOURCES: "source",
    PUBLISHERS: "publisher",
    SINKS: "sink",
    BUNDLES: "bundle",
    TUNERS: "tuner",
}
"""Group of entry points → what one of them is called. Those of `CHAINS` name tuples of plugin names."""


def installed(group: str) -> dict[str, EntryPoint]:
    """List the entry points of a group by name, without importing them."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def load(group: str, name: str) -> Any:
    """Import what one entry point names.

    Raises:
        PluginError: There is none of that name, or it cannot be imported.
    """
    return load_from(installed(group), group, name)


def load_from(points: Mapping[str, EntryPoint], group: str, name: str) -> Any:
    """Import what one of some entry points names; see `load`."""
    what = GROUPS[group]
    if name not in points:
        known = ", ".join(points) or "none"
        place = "`chain`" if group == PLUGINS else "the name"
        near = difflib.get_close_matches(name, points, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"correct {place} or install the {what}"
        raise PluginError(f"there is no {what} {name!r} (installed: {known})", mend)
    try:
        return points[name].load()
    except BaseException as error:
        if not is_theirs(error):
            raise
        mend = "reinstall it, or take it out of `chain`" if group == PLUGINS else "reinstall it, or leave it out"
        raise PluginError(f"{what} {name!r} cannot be imported ({describe(error)})", mend) from error


def make(group: str, name: str, options: Any = None, **lent: Any) -> Any:
    """Make a configured source, publisher or sink.

    Args:
        group: `SOURCES`, `PUBLISHERS` or `SINKS`.
        name: Entry point name.
        options: An instance of its `options_type`, a mapping of its fields, or None for defaults.
        lent: What the session knows and one may want to know too (`purpose`, `tenant`); it is given those of them that
            its constructor names.

    Raises:
        PluginError: It is unknown, cannot be imported, refuses the options, or cannot be made.
        RtemoError: What its constructor says.
    """
    what, cls = GROUPS[group], load(group, name)
    try:
        if not isinstance(options, cls.options_type):
            options = msgspec.convert(options or {}, cls.options_type)
        known = inspect.signature(cls).parameters
        return cls(options, **{key: value for key, value in lent.items() if key in known})
    except RtemoError:
        raise
    except msgspec.ValidationError as error:
        raise PluginError(f"{what} {name!r} refuses its options ({error})", "see `rtemo config`") from error
    except BaseException as error:
        if not is_theirs(error):
            raise
        raise PluginError(f"{what} {name!r} cannot be made ({describe(error)})", "leave it out") from error


@functools.cache
def chains() -> Mapping[str, tuple[str, ...]]:
    """Give the plugins of every chain that an installed package of plugins offers by name.

    One that several offer is left out, since then somebody has to choose.
    """
    offered: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=CHAINS):
        offered.setdefault(point.name, {})[point.value] = point
    return {name: tuple(next(iter(points.values())).load()) for name, points in offered.items() if len(points) == 1}


def default_chain() -> tuple[str, ...]:
    """Give the plugins that audio passes when nobody says otherwise; empty when no package offers any."""
    return chains().get("default", ())


def spelt_out(chain: Iterable[str]) -> tuple[str, ...]:
    """Put the plugins of a chain in the place of its name; plugins go before chains of the same name.

    >>> spelt_out(["default"]) == default_chain()
    True
    """
    names = tuple(chain)
    if not any(name in chains() for name in names):
        return names
    plugins = installed(PLUGINS)
    return tuple(
        plugin for name in names for plugin in (chains()[name] if name in chains() and name not in plugins else (name,))
    )


@functools.cache
def payload_types() -> Mapping[str, type[Payload]]:
    """Give the type of every kind of event: those of `rtemo.api`, and what installed plugins say they emit.

    Imports every plugin, once in the life of a process. One that cannot be imported or made without options has no
    kinds, which is logged; of two types of one kind the first by name of plugin stays.
    """
    types = dict(SHARED_TYPES)
    for name in installed(PLUGINS):
        try:
            cls = load(PLUGINS, name)
            emits = cls(cls.options_type()).spec.emits
        except BaseException as error:
            if not is_theirs(error):
                raise
            _log.warning("the kinds of events of plugin %r are not known here (%s)", name, describe(error))
            continue
        for emitted in emits:
            if is_payload_type(emitted):
                types.setdefault(kind_of(emitted), emitted)
    return types
