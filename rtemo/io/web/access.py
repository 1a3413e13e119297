"""Access: who may read what, by bearer tokens from a file, and how often."""

import hashlib
import ipaddress
import math
import os
import re
import tomllib
from collections import OrderedDict
from pathlib import Path

import msgspec

from rtemo.api.errors import EndpointError

SCOPES = ("read", "metrics", "mark")
_LEAST_CHARACTERS = 20
_HEX = re.compile(r"[0-9a-f]{64}")
_BUCKETS = 4096


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may see.

    Attributes:
        name: Whose token it is; empty without tokens.
        scopes: Of `read`, `metrics` and `mark`.
        calls: Prefix of the names of the calls it sees; empty for all, and for what is said of the engine as a whole.
        digest: Of the token; empty without tokens.
    """

    name: str = ""
    scopes: tuple[str, ...] = SCOPES
    calls: str = ""
    digest: bytes = b""

    def sees(self, call: str) -> bool:
        """Whether events of a call may be told; the engine itself stands under the empty name."""
        return call.startswith(self.calls) if call else not self.calls


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    token: str = ""
    sha256: str = ""
    scopes: tuple[str, ...] = ("read",)
    calls: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    token: list[_Entry] = []


class Tokens:
    """The tokens of a file; read again when it changes.

    The file is TOML: a table `[[token]]` for each with `name`, `token` (or its `sha256` in hex), `scopes` and `calls`.

    Args:
        path: The file; empty when nobody needs a token.

    Raises:
        EndpointError: It cannot be read, is open to other users, or makes no sense.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._stamp = (0, 0)
        self._by_digest: dict[bytes, Access] = {}
        if self._path is not None:
            self._read(self._path)

    @property
    def are_needed(self) -> bool:
        """Whether a client must have one."""
        return self._path is not None

    def find(self, token: str) -> Access | None:
        """Tell what the bearer of a token may see; None for one that nobody has."""
        # Looked up by digest: how long it takes tells nothing about the tokens that exist.
        return self._by_digest.get(hashlib.sha256(token.encode()).digest())

    def all_access(self) -> list[Access]:
        """List what all tokens may see."""
        return list(self._by_digest.values())

    def read_again(self) -> bool:
        """Read the file if it has changed; one that makes no sense lets nobody in until it is mended.

        Returns:
            Whether it has changed.
        """
        if self._path is None or self._stamp_of(self._path) == self._stamp:
            return False
        try:
            self._read(self._path)
        except EndpointError:
            self._by_digest = {}
            self._stamp = self._stamp_of(self._path)
        return True

    def _stamp_of(self, path: Path) -> tuple[int, int]:
        try:
            found = path.stat()
        except OSError:
            return (0, 0)
        return found.st_mtime_ns, found.st_size

    def _read(self, path: Path) -> None:
        self._stamp = self._stamp_of(path)
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise EndpointError(f"token file {path} cannot be read ({error})", "set publishers.web.tokens") from None
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise EndpointError(f"token file {path} can be read by other users", f"run: chmod 600 {path}")
        try:
            entries = msgspec.convert(tomllib.loads(text), _File).token
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
            raise EndpointError(f"token file {path} makes no sense ({error})", "see docs/web.md") from None
        if not entries:
            raise EndpointError(f"token file {path} holds no token", "add a table [[token]] with name and token")
        self._by_digest = {access.digest: access for access in (_access_of(entry, path) for entry in entries)}


def _digest_of(entry: _Entry, path: Path) -> bytes:
    where = f"token file {path}: {entry.name!r}"
    if bool(entry.token) == bool(entry.sha256):
        raise EndpointError(
            f"{where} has {'both' if entry.token else 'neither'} token and sha256", "give it one of them"
        )
    if entry.token:
        if len(entry.token) < _LEAST_CHARACTERS:
            raise EndpointError(
                f"{where} has a token of {len(entry.token)} characters", "make it 20 at least, at random"
            )
        return hashlib.sha256(entry.token.encode()).digest()
    if not _HEX.fullmatch(entry.sha256):
        raise EndpointError(f"{where} has a sha256 that is none", "write 64 hexadecimal digits")
    return bytes.fromhex(entry.sha256)


def _access_of(entry: _Entry, path: Path) -> Access:
    unknown = [scope for scope in entry.scopes if scope not in SCOPES]
    if unknown:
        raise EndpointError(
            f"token file {path}: {entry.name!r} has the scope {unknown[0]!r}", f"choose among {', '.join(SCOPES)}"
        )
    return Access(name=entry.name, scopes=entry.scopes, calls=entry.calls, digest=_digest_of(entry, path))


class RateLimit:
    """Token buckets by name; of more than a few thousand names the one heard longest ago is forgotten.

    Args:
        per_s: Requests in the long run.
        burst: Requests at once.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now_s: float) -> int:
        """Take one request.

        Returns:
            Seconds to wait before the next try; 0 when it may go on.
        """
        left = self.left(name, now_s)
        if left < 1:
            return math.ceil((1 - left) / self._per_s)
        self._buckets[name] = (left - 1, now_s)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        return 0

    def left(self, name: str, now_s: float) -> float:
        """Tell how many requests one may make at once."""
        left, since_s = self._buckets.get(name, (float(self._burst), now_s))
        return min(float(self._burst), left + (now_s - since_s) * self._per_s)


def is_loopback(address: str) -> bool:
    """Whether only programs on this machine reach an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
