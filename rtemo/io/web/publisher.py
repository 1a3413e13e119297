"""WebPublisher: hands events to a process that serves them over HTTP and WebSocket."""

import contextlib
import importlib.util
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from rtemo.api import Event, RtemoError, StreamEnd, StreamFormat, state_key_of
from rtemo.api.errors import EndpointError
from rtemo.child_process import start_child
from rtemo.io.endpoints import Endpoint
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.sockets import check_free
from rtemo.io.web.access import Tokens, is_loopback
from rtemo.io.web.link import BEAT, EVENT, OPENING, LinkWriter, Opening
from rtemo.io.web.options import WebOptions
from rtemo.io.wire import encode

_NEEDED = ("starlette", "uvicorn", "websockets", "prometheus_client")
_BEAT_S = 0.5
_CLOSE_S = 0.6
_BACKLOG = 128
_SECTION = "publishers.web"


class WebPublisher:
    """Serves events, the state of calls, metrics and the wall over HTTP and WebSocket (extra `web`).

    The server is a process of its own: whatever its clients do, neither the ticks nor the publish thread wait. It ends
    when this side goes, however that happens.

    Args:
        options: Where it listens, who may read, bounds.
        purpose: What the results are used for; stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.

    Attributes:
        endpoints: `web` as bound, as a URL; empty until `open`.
    """

    name = "web"
    options_type: ClassVar[type[WebOptions]] = WebOptions

    def __init__(
        self, options: WebOptions | None = None, *, purpose: str = "", format: StreamFormat | None = None
    ) -> None:
        self.endpoints: dict[str, str] = {}
        self._options = options or WebOptions()
        self._purpose = purpose
        self._numbering = Numbering("main", purpose, format)
        self._link: LinkWriter | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._beat_s = 0.0

    @property
    def process_id(self) -> int | None:
        """Number of the server's process; None while there is none."""
        return None if self._child is None else self._child.pid

    def check(self) -> Endpoint:
        """Tell where it will listen, before the seconds of warming up.

        Raises:
            EndpointError: The address is in use, impossible, or open to the network without tokens or HTTPS.
            RtemoError: The extra is not installed.
        """
        options = self._options
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise RtemoError(f"the publisher 'web' needs {', '.join(missing)}", "run: pip install 'rtemo[web]'")
        Tokens(options.tokens)
        if bool(options.certificate) != bool(options.certificate_key):
            raise EndpointError(
                f"{_SECTION} has a certificate without its key, or a key without certificate", "give both or neither"
            )
        for name in ("certificate", "certificate_key"):
            path = getattr(options, name)
            if path and not Path(path).is_file():
                raise EndpointError(f"{_SECTION}.{name}: there is no file {path}", "correct the path")
        if options.marks and not Path(options.marks).parent.is_dir():
            raise EndpointError(f"{_SECTION}.marks: there is no folder for {options.marks}", "correct the path")
        if not is_loopback(options.address):
            where = f"{options.address}:{options.port} can be reached from other machines"
            if not options.tokens:
                raise EndpointError(
                    f"{where} and would tell anybody", f"set {_SECTION}.tokens (docs/web.md), or bind 127.0.0.1"
                )
            if not options.certificate and not options.insecure_plaintext:
                raise EndpointError(
                    f"{where} and would carry plain text",
                    f"set {_SECTION}.certificate and certificate_key, bind 127.0.0.1 behind a proxy, "
                    f"or set {_SECTION}.insecure_plaintext = true",
                )
        host = f"[{options.address}]" if ":" in options.address else options.address
        endpoint = Endpoint("tcp", "127.0.0.1" if host == "localhost" else host, options.port)
        check_free(endpoint, f"{_SECTION}.port")
        return endpoint

    def open(self) -> None:
        """Bind, and start the process.

        Raises:
            EndpointError: See `check`.
            RtemoError: The extra is not installed.
        """
        endpoint = self.check()
        options = self._options
        family = socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET
        try:
            listening = socket.create_server(
                (endpoint.host.strip("[]"), endpoint.port), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            raise EndpointError(f"cannot listen at {endpoint} ({error.strerror})", f"set {_SECTION}.address") from None
        ours, theirs = socket.socketpair()
        with listening, theirs:
            origin = f"{'https' if options.certificate else 'http'}://{endpoint.host}:{listening.getsockname()[1]}"
            self._child = start_child("rtemo.io.web.server", theirs, listening, is_mute=True)
        self._link = LinkWriter(ours)
        opening = Opening(
            epoch=self._numbering.epoch,
            purpose=self._purpose,
            origin=origin,
            is_local=is_loopback(options.address),
            options=msgspec.to_builtins(options),
        )
        self._link.put(OPENING, msgspec.json.encode(opening))
        self.endpoints["web"] = origin + "/"

    def publish(self, events: Sequence[Event]) -> None:
        """Hand events over in order; what finds no room, since the process cannot follow, is dropped and counted there.

        Raises:
            RtemoError: The process has died.
        """
        if self._link is None:
            return
        for event in events:
            message = encode(self._numbering.number(event)[1])
            self._link.put(EVENT, message, state_key_of(event.data))
        self._flush()
        for event in events:
            if type(event.data) is StreamEnd:
                self._numbering.forget(event.call, event.channel)

    def tick(self) -> None:
        """Send what waits, and a sign of life that is due.

        Raises:
            RtemoError: The process has died.
        """
        if self._link is None:
            return
        now_s = time.monotonic()
        if now_s - self._beat_s >= _BEAT_S:
            self._beat_s = now_s
            self._link.put(BEAT, b"")
        self._flush()

    def close(self) -> None:
        """End the process: it has a moment to send the last events."""
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.flush()
            self._link.close()
            self._link = None
        if self._child is not None:
            try:
                self._child.wait(_CLOSE_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None

    def _flush(self) -> None:
        assert self._link is not None
        try:
            self._link.flush()
        except OSError:
            code = None if self._child is None else self._child.poll()
            raise RtemoError(f"the web server has died (exit status {code})", "see what it said above") from None
