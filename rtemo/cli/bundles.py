"""How verbs find bundles and speak about where their files lie."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtemo.api import WeightsSource
    from rtemo.runtime.store import Bundle


def folders() -> tuple[str, ...]:
    """Read which folders with weights the configuration names; a broken one is told where it is used, not here."""
    from rtemo.api import ConfigError
    from rtemo.config import find_file, load_config

    try:
        return load_config().runtime.folders if find_file() else ()
    except ConfigError:
        return ()


def find(name: str) -> "Bundle":
    """Find a bundle, its weights also in the folders that the configuration names."""
    from rtemo.runtime import store

    return store.find(name, folders())


def described(source: "WeightsSource", licence: str) -> str:
    """Say where a file may come from, and under which licence."""
    from rtemo.api import FromFile, FromPackage, FromUrl

    if isinstance(source, FromFile):
        where = f"{source.path} beside the card"
    elif isinstance(source, FromPackage):
        where = f"the package {source.file.to_install}"
    elif isinstance(source, FromUrl):
        where = f"{source.url}, by rtemo fetch alone"
    else:
        where = f"{len(source.parts)} parts, joined once: {', '.join(part.to_install for part in source.parts)}"
    return f"{where} ({source.licence or licence})"


def where_found(bundle: "Bundle") -> Sequence[str]:
    """Say where each file lies now, or what brings it; nothing is read."""
    lines = []
    for wanted in bundle.wanted():
        place = bundle.places.find(wanted)
        if place is None:
            lines.append(str(bundle.places.missing(wanted)))
        elif len(place.paths) == 1:
            lines.append(f"{wanted.base} in {place.paths[0].parent} ({place.words})")
        else:
            lines.append(f"{wanted.base} in {place.words}, not joined yet")
    return lines


def megabytes(size_bytes: int) -> str:
    """Write a size.

    >>> [megabytes(size_bytes) for size_bytes in (145_217_532, 2_309, 0)]
    ['145.2 MB', '2.3 kB', '? MB']
    """
    if not size_bytes:
        return "? MB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.1f} kB"
