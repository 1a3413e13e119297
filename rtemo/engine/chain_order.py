"""Order of a chain: every plugin finds what it requires, and hears only who speaks before it."""

from collections.abc import Sequence

from rtemo.api import OVERLOAD_ORDER, PluginError, PluginSpec, kind_of


def check(specs: Sequence[PluginSpec]) -> None:
    """Refuse a chain in which a plugin would not find what it requires.

    Raises:
        PluginError: A plugin stands twice, two provide the same mark, a required mark is missing or late, or a plugin
            hears what is only said after it, or one gives way in a way that there is not.
    """
    provider: dict[str, str] = {}
    names: set[str] = set()
    later = {mark.name: spec.name for spec in reversed(specs) for mark in spec.provides}
    for spec in specs:
        if spec.name in names:
            raise PluginError(f"plugin {spec.name!r} stands twice in the chain", "name each plugin once")
        names.add(spec.name)
        _check_giving_way(spec)
        for need in spec.requires:
            if need in provider:
                continue
            if need in later and later[need] != spec.name:
                raise PluginError(
                    f"plugin {spec.name!r} needs {need!r}, which {later[need]!r} provides only after it",
                    f"put {later[need]!r} before {spec.name!r} in `chain`",
                )
            raise PluginError(
                f"plugin {spec.name!r} needs {need!r}, which no plugin in the chain provides",
                f"add a plugin that provides {need!r} before {spec.name!r}",
            )
        for mark in spec.provides:
            if mark.name in provider:
                raise PluginError(
                    f"plugins {provider[mark.name]!r} and {spec.name!r} both provide {mark.name!r}",
                    "keep one of them in `chain`",
                )
            provider[mark.name] = spec.name
    _check_hearing(specs)


def _check_hearing(specs: Sequence[PluginSpec]) -> None:
    """Refuse a plugin that hears a kind which only a later one says; what nobody says may be left out on purpose."""
    for index, spec in enumerate(specs):
        said = {kind_of(cls) for earlier in specs[:index] for cls in earlier.emits}
        for kind in spec.hears:
            later = [one.name for one in specs[index + 1 :] if kind in map(kind_of, one.emits)]
            if later and kind not in said and all(earlier.emits for earlier in specs[:index]):
                raise PluginError(
                    f"plugin {spec.name!r} hears {kind!r}, which {later[0]!r} says only after it",
                    f"put {later[0]!r} before {spec.name!r} in `chain`",
                )


def _check_giving_way(spec: PluginSpec) -> None:
    unknown = [way for way in spec.gives_way if way not in OVERLOAD_ORDER]
    if unknown:
        raise PluginError(
            f"plugin {spec.name!r} gives way in {unknown[0]!r}, of which the engine knows nothing",
            f"its author must choose among {', '.join(OVERLOAD_ORDER)}",
        )
    if "enhancement" in spec.gives_way and not spec.edits_audio:
        raise PluginError(
            f"plugin {spec.name!r} gives way in its 'enhancement', but edits no audio",
            "its author must set `edits_audio` in its spec, or leave 'enhancement' out of `gives_way`",
        )
