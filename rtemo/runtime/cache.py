"""The user's cache of bundle files: what was joined from parts or fetched, kept so that it is done once."""

import contextlib
import errno
import hashlib
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two processes may then do the same work at once, and either result is right
    fcntl = None  # type: ignore[assignment]

_LOG = logging.getLogger("rtemo.runtime")
_LOCK = ".lock"
_BEGUN = ".tmp"
_LONGEST_WAIT_S = 120.0
_PATIENCE_S = 2.0
_STALE_S = 3600.0
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def user_cache() -> Path | None:
    """Find the folder of the user's own caches of rtemo, or None for a user without a home."""
    own: str | None = None
    if sys.platform == "win32":
        own = os.environ.get("LOCALAPPDATA")
    elif sys.platform != "darwin":
        own = os.environ.get("XDG_CACHE_HOME")  # to be ignored when it is relative, as its specification says
    if not own or not os.path.isabs(own):
        own = os.path.expanduser(os.path.join("~", "Library/Caches" if sys.platform == "darwin" else ".cache"))
    return Path(own, "rtemo") if os.path.isabs(own) else None


class BundleCache:
    """The files of one bundle in the user's cache, in a folder named by the bundle and the hash of all its hashes.

    Nothing in it is trusted: whoever reads a file there compares its hash.

    Args:
        bundle: Name on the card.
        hashes: File name → sha256 of every file of the bundle.
    """

    def __init__(self, bundle: str, hashes: Mapping[str, str]) -> None:
        root = user_cache()
        text = "\n".join(f"{name} {hashes[name].lower()}" for name in sorted(hashes))
        name = f"{_UNSAFE.sub('_', bundle)[:64].lstrip('.')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self.folder = None if root is None else root / "models" / name

    def path(self, name: str) -> Path | None:
        """Say where a file lies, or would lie."""
        return None if self.folder is None else self.folder / name

    def holds(self, name: str) -> bool:
        """Tell whether there is a file of that name; not whether it is the right one."""
        path = self.path(name)
        return path is not None and path.is_file()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process works on this bundle, and keep others waiting.

        It is a courtesy that spares work, not what makes the cache safe: that is the atomic rename. So where files
        cannot be locked, or somebody holds the lock for ever, this goes on without.
        """
        with contextlib.ExitStack() as stack:
            if fcntl is not None and self.folder is not None:
                try:
                    self._make_folder(self.folder)
                    lock = stack.enter_context((self.folder / _LOCK).open("ab"))
                    _wait_for(lock.fileno(), self.folder)
                except OSError:
                    pass  # `keep` tells what is wrong with the folder
                else:
                    self._sweep(self.folder)
            yield

    def keep(self, name: str, data: bytes) -> bool:
        """Write a file, whole or not at all; tell whether it could be kept, and log why not."""
        path = self.path(name)
        if path is None:
            _LOG.warning("%s is put together anew at every start: this user has no home to keep it in", name)
            return False
        begun = ""
        try:
            self._make_folder(path.parent)
            number, begun = tempfile.mkstemp(_BEGUN, f".{path.name}.", path.parent)
            with open(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(begun, path)
        except OSError as error:
            if begun:
                with contextlib.suppress(OSError):
                    os.unlink(begun)
            _LOG.warning(
                "%s cannot be kept in %s (%s), so it is put together anew at every start; "
                "make room there, or name another place by %s",
                name,
                path.parent,
                error.strerror,
                "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME",
            )
            return False
        return True

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Remove what killed processes left half written."""
        for left in folder.glob(f".*{_BEGUN}"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_S:
                    left.unlink()


def _wait_for(number: int, folder: Path) -> None:
    start_s = time.monotonic()
    is_told = False
    while (waited_s := time.monotonic() - start_s) < _LONGEST_WAIT_S:
        try:
            return fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                return None
        if waited_s > _PATIENCE_S and not is_told:
            is_told = True
            _LOG.warning("another process is at work in %s; this one waits for it", folder)
        time.sleep(0.05)
    return None
