"""KernelCache: compiled kernels on disk, one file each under a name made from all that they consist of.

Nothing in the folder ever becomes wrong: what changes gets another name (`fingerprint`). There is no index that two
programs could write at once, and a file appears whole or not at all. Two processes that want the same kernel share
the work: the second waits for the first and reads what it wrote.
"""

import contextlib
import hashlib
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, Literal, cast

from numba.core import compiler, config, serialize, sigutils
from numba.core.caching import _Cache
from numba.misc import appdirs

from rtemo.dsp.fingerprint import fingerprint, name_of
from rtemo.dsp.kernel_runtime import prepare

try:
    import fcntl
except ImportError:  # Windows: two processes compile the same kernel twice, which does no harm
    fcntl = None  # type: ignore[assignment]

_appdirs, _compiler, _config = cast(Any, appdirs), cast(Any, compiler), cast(Any, config)  # they have no types
_serialize, _sigutils = cast(Any, serialize), cast(Any, sigutils)

Step = Literal["missing", "compiled", "loaded"]

problem = ""
"""Why kernels are compiled anew in every process, or empty when they are kept on disk."""

watchers: list[Callable[[frozenset[str], Step], None]] = []
"""Called with the names of a kernel and of those compiled into it, and what happens, on the thread that compiles."""

skips_claimed = False
"""Raise `Claimed` for a kernel that another process is compiling, instead of waiting; for processes that help."""

_SUFFIX = ".kernel"
_KEPT_VERSIONS = 4
_WAIT_S = 60.0
_POLL_S = 0.005


class Claimed(BaseException):
    """Another process is compiling this kernel."""


def named_folder() -> str:
    """Give what `NUMBA_CACHE_DIR` names, or nothing."""
    return str(_config.CACHE_DIR)


def folders() -> tuple[Path, ...]:
    """List where kernels are looked for, and written to the first that can be written.

    That is the folder that `NUMBA_CACHE_DIR` names and no other; without it beside the installed package, so that a
    copied environment brings its kernels along, then the user's own cache.
    """
    if named_folder():
        return (Path(named_folder()) / "rtemo-kernels",)
    beside = Path(__file__).parent / "__pycache__" / "kernels"
    own = Path(_appdirs.AppDirs("rtemo", False).user_cache_dir) / "kernels"
    return (beside, own) if own.is_absolute() else (beside,)  # of a user without a home it is "~" and no more


def folders_in_use() -> tuple[Path, ...]:
    """List the folders that hold kernels."""
    return tuple(folder for folder in folders() if any(folder.glob(f"*{_SUFFIX}")))


def writable_folder() -> Path | None:
    """Find the folder that new kernels are written to, or None when none can be written."""
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


class KernelCache(_Cache):
    """What a Numba dispatcher asks for compiled code.

    Args:
        function: The kernel that it serves, as it was written.
        options: What Numba was told about it, such as `error_model`.
    """

    def __init__(self, function: FunctionType, options: Mapping[str, Any]) -> None:
        self._function = function
        self._options = options
        self.name = name_of(function)
        self._fingerprint = b""
        self._names: frozenset[str] = frozenset((self.name,))
        self._is_enabled = True

    @property
    def cache_path(self) -> str:
        """The first folder that is looked into."""
        return str(folders()[0])

    def enable(self) -> None:
        """Read and write from now on."""
        self._is_enabled = True

    def disable(self) -> None:
        """Neither read nor write from now on."""
        self._is_enabled = False

    def flush(self) -> None:
        """Remove what is kept of this kernel in any version."""
        for folder in folders():
            for path in folder.glob(f"{self.name}-*{_SUFFIX}"):
                path.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Give the compiled kernel for a signature, or None when it has to be compiled."""
        if not self._is_enabled:
            return None
        prepare(target_context, _kept, _keep)
        name = self._file_name(sig, target_context.codegen())
        found = self._read(name, sig, target_context)
        if found is None:
            self._tell("missing")
            if not _claim(name):
                if skips_claimed and not _claims.held:  # inside another kernel it must be waited for
                    raise Claimed(self.name)
                _await_claim(name)
            found = self._read(name, sig, target_context)
        if found is not None:
            _release(name)
            self._tell("loaded")
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write what was just compiled; a disk that is full or read-only is noted in `problem` and no more."""
        global problem
        if self._is_enabled and not data.library.has_dynamic_globals:
            name = self._file_name(sig, data.library.codegen)
            trouble = _keep(name, _serialize.dumps(data._reduce()))
            problem = trouble or problem
            _release(name)
        self._tell("compiled")

    def _file_name(self, sig: Any, codegen: Any) -> str:
        if not self._fingerprint:  # not at the definition: what a kernel uses may be defined below it
            self._fingerprint, self._names = fingerprint(self._function, self._options)
        arguments, _ = _sigutils.normalize_signature(sig)
        which = hashlib.sha256(str(arguments).encode()).hexdigest()[:12]
        version = hashlib.sha256(self._fingerprint + repr(codegen.magic_tuple()).encode()).hexdigest()[:20]
        return f"{self.name}-{which}-{version}{_SUFFIX}"

    def _read(self, name: str, sig: Any, target_context: Any) -> Any:
        arguments, _ = _sigutils.normalize_signature(sig)
        for payload in _kept(name):
            try:
                found = _compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))
            except Exception:  # written by code that is gone; compiling is always right
                continue
            if tuple(found.signature.args) == tuple(arguments):
                return found
        return None

    def _tell(self, step: Step) -> None:
        for watcher in tuple(watchers):
            watcher(self._names, step)


def _kept(name: str) -> Iterator[bytes]:
    """Give what the folders have under a name; what is damaged is left out, to be compiled and written anew."""
    for folder in folders():
        try:
            data = (folder / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data[32:]).digest() == data[:32]:
            yield data[32:]


def _keep(name: str, payload: bytes) -> str:
    """Write a file whole or not at all; give what went wrong, or nothing."""
    data = hashlib.sha256(payload).digest() + payload
    trouble = ""
    for folder in folders():
        temporary = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(folder / name)
        except OSError as error:
            trouble = trouble or f"{folder} cannot be written ({error.strerror or error})"
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            continue
        _forget_old(folder, name)
        return ""
    return trouble


def _forget_old(folder: Path, name: str) -> None:
    """Keep a few versions of a kernel: other checkouts and interpreters may share the folder."""
    stem = name.rpartition("-")[0]
    with contextlib.suppress(OSError):
        versions = sorted(folder.glob(f"{stem}-*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        for path in versions[:-_KEPT_VERSIONS]:
            path.unlink(missing_ok=True)


class _Claims:
    """Byte-range locks on one file: a kernel's byte is held while it is compiled, and falls free with the process."""

    def __init__(self) -> None:
        self.file: Any = None
        self.owner_pid = 0
        self.held: set[str] = set()

    def open(self) -> Any:
        if self.owner_pid != os.getpid():  # also after a fork, which inherits no lock
            self.owner_pid = os.getpid()
            self.held.clear()
            self.file = None
            for folder in folders():
                with contextlib.suppress(OSError):
                    folder.mkdir(parents=True, exist_ok=True)
                    self.file = (folder / "claims").open("ab")
                    break
        return self.file


_claims = _Claims()


def _byte_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def _claim(name: str) -> bool:
    """Try to be the process that compiles this kernel; also true where there is no way to tell."""
    file = _claims.open()
    if file is not None and fcntl is not None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte_of(name))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a file system without locks
    _claims.held.add(name)
    return True


def _await_claim(name: str) -> None:
    end_s = time.monotonic() + _WAIT_S
    while not _claim(name) and time.monotonic() < end_s:
        time.sleep(_POLL_S)


def _release(name: str) -> None:
    if name in _claims.held:
        _claims.held.discard(name)
        if _claims.file is not None and fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(_claims.file, fcntl.LOCK_UN, 1, _byte_of(name))
