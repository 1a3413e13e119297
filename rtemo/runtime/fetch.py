"""Fetching the files of a bundle over the network into the user's cache, when asked and never else."""

import contextlib
import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rtemo.api import ModelError
from rtemo.runtime.places import MAX_FILE_BYTES, Place, WantedFile
from rtemo.runtime.store import Bundle

_PIECE_BYTES = 1 << 18
_SILENCE_S = 30.0
_AGENT = "rtemo"

OnBytes = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes of the whole, 0 when that is not known."""


def here_already(bundle: Bundle) -> dict[str, Place]:
    """Find which files of a bundle need no fetching, each read and proved: file name → where it lies."""
    found = {}
    for wanted in bundle.wanted():
        with contextlib.suppress(ModelError):
            found[wanted.name] = bundle.places.read(wanted)[1]
    return found


def fetch(bundle: Bundle, wanted: WantedFile, on_bytes: OnBytes = lambda done, whole: None) -> Path:
    """Fetch one file into the user's cache and prove it; go on where an earlier attempt broke off.

    Args:
        bundle: Whose it is.
        wanted: The file.
        on_bytes: Told of the progress.

    Returns:
        Where it lies now.

    Raises:
        ModelError: There is no address, no network, no room, or what came is not the file.
    """
    path = bundle.cache.path(wanted.base)
    if path is None:
        raise ModelError("what is fetched is kept in your cache, but this user has no home", "set XDG_CACHE_HOME")
    if not wanted.urls:
        raise bundle.places.missing(wanted)
    with bundle.cache.alone(), _told_of_disk(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun = path.parent / f".{path.name}.{wanted.sha256[:16].lower()}.part"
        for url in wanted.urls:
            try:
                _download(wanted, url, begun, on_bytes)
                break
            except ModelError:
                if url == wanted.urls[-1]:
                    raise
        os.replace(begun, path)
    return path


def _download(wanted: WantedFile, url: str, begun: Path, on_bytes: OnBytes) -> None:
    """Bring `begun` to the whole file, or raise; what came stays, unless it is not of this file."""
    what = f"{wanted.base!r} of {wanted.bundle!r}"
    most_bytes = wanted.size_bytes or MAX_FILE_BYTES
    with begun.open("a+b") as file:
        digest = hashlib.sha256()
        done = _hash_so_far(file, digest.update)
        if not wanted.size_bytes or done < wanted.size_bytes:
            with _told_of_network(what, url), _ask(url, done) as answer:
                if done and answer.status != http.client.PARTIAL_CONTENT:  # it cannot go on, so it begins anew
                    file.truncate(0)
                    digest, done = hashlib.sha256(), 0
                length = answer.headers.get("Content-Length") or ""
                whole = wanted.size_bytes or (done + (int(length) if length.isdecimal() else 0))
                on_bytes(done, whole)
                for piece in _pieces(answer):
                    done += len(piece)
                    if done > most_bytes:
                        break
                    file.write(piece)
                    digest.update(piece)
                    on_bytes(done, whole)
            file.flush()
            os.fsync(file.fileno())
            if done < whole:
                raise ModelError(
                    f"the connection broke at {done} of {whole} bytes of {what}", "run the command again: it goes on"
                )
    found = digest.hexdigest()
    if done > most_bytes or found != wanted.sha256.lower():
        begun.unlink()
        got = f"over {most_bytes} bytes" if done > most_bytes else f"sha256 {found[:12]}…"
        raise ModelError(
            f"what {urlsplit(url).hostname} gives is not {what}: {got}, expected sha256 {wanted.sha256[:12]}…",
            "nothing of it is kept; try again later, or take the file from elsewhere",
        )


def _hash_so_far(file: BinaryIO, update: Callable[[bytes], None]) -> int:
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        update(piece)
    return file.tell()


def _ask(url: str, done: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    try:
        answer: http.client.HTTPResponse = urlopen(Request(url, headers=headers), timeout=_SILENCE_S)
    except HTTPError as error:
        if done and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            error.close()
            return _ask(url, 0)
        raise
    begins = answer.headers.get("Content-Range", "")
    if answer.status == http.client.PARTIAL_CONTENT and not begins.startswith(f"bytes {done}-"):
        answer.close()
        return _ask(url, 0)
    return answer


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := answer.read(_PIECE_BYTES):
        yield piece


@contextlib.contextmanager
def _told_of_network(what: str, url: str) -> Iterator[None]:
    host = urlsplit(url).hostname
    try:
        yield
    except HTTPError as error:
        with error:
            raise ModelError(
                f"{what} cannot be fetched: {host} answers {error.code} ({error.reason})",
                "try again later, or take the file from elsewhere",
            ) from None
    except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise ModelError(
            f"{what} cannot be fetched: {host} cannot be reached ({text})",
            "connect to the network and run the command again: it goes on where it stopped",
        ) from None


@contextlib.contextmanager
def _told_of_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{path.name!r} cannot be written to {path.parent} ({error.strerror or error})",
            "make room there, or name another place by XDG_CACHE_HOME",
        ) from None
