"""CURVE: key files, and the door that lets only known clients in."""

import logging
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import zmq
import zmq.utils.z85

from rtemo.api.errors import EndpointError
from rtemo.io.zmq_options import CurveOptions

ZAP_DOMAIN = "rtemo"
"""Name under which our sockets ask the door; a socket with a domain and no door lets nobody in."""

_HANDSHAKES = 64  # answered in one turn: who knocks all the time must not keep the sockets' thread from its work
_ZAP_ENDPOINT = "inproc://zeromq.zap.01"  # fixed by ZeroMQ RFC 27
_Z85_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_FIELD = re.compile(r'^\s*(public-key|secret-key)\s*=\s*"([^"]*)"\s*$', re.MULTILINE)
_LOOK_S = 1.0
_LOG = logging.getLogger("rtemo.io")
_reads_wanted = 0
_PUBLIC_SUFFIX, _SECRET_SUFFIX = ".key", ".key_secret"


class KeyPair(NamedTuple):
    """A CURVE key pair, both halves as 40 characters of Z85."""

    public: bytes
    secret: bytes


def generate_keys(folder: str | Path, name: str) -> tuple[Path, Path]:
    """Make a key pair and write `NAME.key` (public, to hand out) and `NAME.key_secret` (mode 0600, to keep).

    The files are certificates in the format of CZMQ and pyzmq. Nothing is overwritten: a replaced key locks
    every client out.

    Returns:
        The public and the secret file.

    Raises:
        EndpointError: The name is none for a file, or a file exists or cannot be written; none is left behind then.
    """
    if not name.strip(".") or not name.isprintable() or Path(name).name != name:
        raise EndpointError(
            f"{name!r} is no name for a key pair",
            "give a file name without folder, as front, and --folder for the place",
        )
    if not Path(folder).is_dir():
        raise EndpointError(f"the folder {folder} does not exist", f"make it: mkdir -p {folder}")
    public, secret = zmq.curve_keypair()
    public_line = f'    public-key = "{public.decode()}"\n'
    public_file, secret_file = Path(folder) / (name + _PUBLIC_SUFFIX), Path(folder) / (name + _SECRET_SUFFIX)
    _write_new(public_file, f"metadata\ncurve\n{public_line}", 0o644)
    try:
        _write_new(secret_file, f'metadata\ncurve\n{public_line}    secret-key = "{secret.decode()}"\n', 0o600)
    except EndpointError:
        public_file.unlink()  # half a pair is of no use, and would be in the way of the next attempt
        raise
    return public_file, secret_file


def load_keys(secret_file: str | Path) -> KeyPair:
    """Read a key pair from its secret file.

    Raises:
        EndpointError: The file is missing, damaged, or readable by other users.
    """
    path = Path(secret_file)
    text = _read(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise EndpointError(f"secret key file {path} can be read by other users", f"run: chmod 600 {path}")
    fields = dict(_FIELD.findall(text))
    keys = [fields.get(name, "") for name in ("public-key", "secret-key")]
    if not all(map(_Z85_KEY.fullmatch, keys)):
        raise EndpointError(
            f"{path} holds no CURVE key pair", f"give the file that ends in {_SECRET_SUFFIX}, or make new keys"
        )
    pair = KeyPair(public=keys[0].encode(), secret=keys[1].encode())
    if zmq.curve_public(pair.secret) != pair.public:
        raise EndpointError(f"the two keys in {path} do not belong together", "make new keys")
    return pair


def load_public_key(key_or_file: str | Path) -> bytes:
    """Read a public key, given as 40 characters or as the name of its file.

    Raises:
        EndpointError: It is neither a key nor a file that holds one.
    """
    if isinstance(key_or_file, str) and _Z85_KEY.fullmatch(key_or_file):
        return key_or_file.encode()
    path = Path(key_or_file)
    fields: dict[str, str] = dict(_FIELD.findall(_read(path)))
    key = fields.get("public-key", "")
    if not _Z85_KEY.fullmatch(key):
        raise EndpointError(f"{path} holds no CURVE public key", f"give a file that ends in {_PUBLIC_SUFFIX}")
    return key.encode()


def load_allowed_keys(entries: Iterable[str]) -> frozenset[bytes]:
    """Collect the public keys of `CurveOptions.allowed_clients`.

    Raises:
        EndpointError: An entry is no key, file or folder, or there is no key at all: nobody could connect.
    """
    keys: set[bytes] = set()
    for entry in entries:
        keys.update(load_public_key(file) for file in _files_of(entry))
    if not keys:
        raise EndpointError(
            "CURVE is on but no client is allowed", "list public keys or their files in `curve.allowed_clients`"
        )
    return frozenset(keys)


class Door:
    """Admits clients by public key: the ZAP authenticator (ZeroMQ RFC 27) of one context.

    It is served by the thread that owns the sockets, so there is no authentication thread that could die
    unnoticed; a handshake waits for the next turn of that thread while everything else goes on. Without a
    door nobody gets in, because the sockets enforce their ZAP domain.

    The list of clients is read again when one of its files or folders changes, looked at once a second, and after
    `read_keys_again`. ZeroMQ asks about a client only when it connects and cannot turn out a single one, so where a
    client that was let in is no longer listed, its sockets are unbound and bound again: all connections end, all
    clients connect again within a fraction of a second, and who is not listed any more is refused. A file that has gone
    or is damaged lets nobody in; that is logged and ends nothing else.

    Attributes:
        refused_clients: Handshakes refused so far.
        rebinds: How often all connections were ended; the monitor of a socket says nothing about that.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", options: CurveOptions) -> None:
        self._keys = load_keys(options.key_file)
        self._entries = options.allowed_clients
        self._allowed = _decoded(load_allowed_keys(self._entries))
        self._traces = _traces(self._entries)
        self._looked_s = time.monotonic()
        self._reads = _reads_wanted
        self._admitted: set[bytes] = set()
        self._guarded: list[zmq.Socket[bytes]] = []
        self._unbound: list[tuple[zmq.Socket[bytes], str]] = []
        self.refused_clients = 0
        self.rebinds = 0
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ZAP_ENDPOINT)

    def guard(self, socket: "zmq.Socket[bytes]") -> None:
        """Make a socket, before it is bound, ask this door about every client."""
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = self._keys
        socket.zap_domain = ZAP_DOMAIN.encode()
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._guarded.append(socket)

    def serve(self) -> None:
        """Answer who is waiting, so many in one turn, and keep the list of clients up to date; never blocks."""
        self._look()
        for _ in range(_HANDSHAKES):
            try:
                request = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._socket.send_multipart(self._answer(request))

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close(linger=0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, request_id, domain, _address, _identity, mechanism, *credentials = request
        key = credentials[0] if credentials else b""
        known = domain == ZAP_DOMAIN.encode() and mechanism == b"CURVE" and key in self._allowed
        if known:
            self._admitted.add(key)
            return [version, request_id, b"200", b"OK", zmq.utils.z85.encode(key), b""]
        self.refused_clients += 1
        # 300 and not 400: a client that hears the latter never tries again, so a list that was wrong for a moment,
        # while somebody edited it, would lock clients out until they are restarted. It tries again after 5 s, when the
        # handshake is given up.
        return [version, request_id, b"300", b"this key is not allowed", b"", b""]

    def _look(self) -> None:
        if self._unbound:
            self._bind_again()
        now_s = time.monotonic()
        is_asked = self._reads != _reads_wanted
        if not is_asked and now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s, self._reads = now_s, _reads_wanted
        traces = _traces(self._entries)
        if is_asked or traces != self._traces:
            self._traces = traces
            self._take(_decoded(_listed_keys(self._entries)))

    def _take(self, allowed: set[bytes]) -> None:
        """Let the clients of a new list in, and those that are on it no longer out."""
        removed, added = len(self._allowed - allowed), len(allowed - self._allowed)
        self._allowed = allowed
        revoked = self._admitted - allowed
        if removed or added:
            _LOG.warning("client keys were read again: %d allowed, %d new, %d removed", len(allowed), added, removed)
        if not revoked:
            return
        self._admitted -= revoked
        self.rebinds += 1
        for socket in self._guarded:
            if socket.closed:
                continue
            endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
            socket.unbind(endpoint)
            self._unbound.append((socket, endpoint))
        self._bind_again()

    def _bind_again(self) -> None:
        """Bind what was unbound; it takes ZeroMQ some milliseconds to let go of an address, so this is tried again."""
        waiting, self._unbound = self._unbound, []
        for socket, endpoint in waiting:
            if socket.closed:
                continue
            try:
                socket.bind(endpoint)
            except zmq.ZMQError:
                self._unbound.append((socket, endpoint))


def read_keys_again() -> None:
    """Make every door of this process read its list of clients again at its next turn; safe in a signal handler."""
    global _reads_wanted
    _reads_wanted += 1


class ClientKeys:
    """What a client needs to reach a server behind a `Door`.

    Args:
        server_key: Public key of the server, or its file.
        key_file: Secret key file of this client, whose public key the server allows.

    Raises:
        EndpointError: A key is missing or damaged.
    """

    def __init__(self, server_key: str | Path, key_file: str | Path) -> None:
        self._server_key = load_public_key(server_key)
        self._keys = load_keys(key_file)

    def use(self, socket: "zmq.Socket[bytes]") -> None:
        """Make a socket, before it connects, encrypt to the server and prove who it is."""
        socket.curve_serverkey = self._server_key
        socket.curve_publickey, socket.curve_secretkey = self._keys


def _decoded(keys: Iterable[bytes]) -> set[bytes]:
    return {zmq.utils.z85.decode(key) for key in keys}


def _listed_keys(entries: Iterable[str]) -> set[bytes]:
    """Collect the keys that can be read; what cannot be lets nobody in."""
    keys: set[bytes] = set()
    for entry in entries:
        for file in _files_of(entry):
            try:
                keys.add(load_public_key(file))
            except EndpointError as error:
                _LOG.warning("a client key is left out: %s", error)
    return keys


def _files_of(entry: str) -> list[str | Path]:
    folder = Path(entry)
    return [*sorted(folder.glob("*" + _PUBLIC_SUFFIX))] if folder.is_dir() else [entry]


def _traces(entries: Iterable[str]) -> list[tuple[str, int, int, int]]:
    """Tell what shows whether a file of the list has changed, without reading any."""
    traces = []
    for entry in entries:
        for file in (entry, *_files_of(entry)):
            try:
                status = os.stat(file)
                traces.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                traces.append((str(file), 0, 0, 0))  # a key itself, or a file that has gone
    return traces


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
    except FileExistsError:
        raise EndpointError(f"{path} exists already", "choose another name, or remove it if nobody uses it") from None
    except OSError as error:
        raise EndpointError(f"cannot write {path}: {error.strerror}", "check the folder and its rights") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise EndpointError(f"cannot read key file {path}: {reason}", "check the path and its rights") from None
