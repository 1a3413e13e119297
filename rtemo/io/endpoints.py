"""Endpoint: a ZeroMQ address that was checked before anything is bound or connected."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rtemo.api.errors import EndpointError

_TCP = re.compile(r"tcp://(?P<host>\[[^\]]+\]|[^:]+):(?P<port>\*|\d+)")
_IPC_PATH_BYTES = 107  # sockaddr_un.sun_path without its final zero


class Endpoint(NamedTuple):
    """A parsed endpoint.

    Attributes:
        transport: `tcp`, `ipc` or `inproc`.
        host: Host or interface of a TCP endpoint, otherwise the path or name.
        port: TCP port; 0 lets the system choose, and stands for every other transport too.
    """

    transport: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port or '*'}" if self.transport == "tcp" else f"{self.transport}://{self.host}"

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.transport != "tcp" or self.host in ("localhost", "lo"):
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return self.transport == "tcp" and self.host.startswith("[")

    def beside(self, steps: int, suffix: str) -> "Endpoint":
        """Give a neighbouring endpoint: `steps` ports above for TCP, the path with `-suffix` otherwise.

        >>> str(parse_endpoint("tcp://127.0.0.1:5570").beside(2, "query"))
        'tcp://127.0.0.1:5572'
        >>> str(parse_endpoint("ipc:///run/rtemo").beside(2, "query"))
        'ipc:///run/rtemo-query'
        """
        if self.transport != "tcp":
            return self._replace(host=f"{self.host}-{suffix}")
        if not self.port:
            return self
        if self.port + steps > 65_535:
            raise EndpointError(
                f"{self} leaves no room for port {self.port + steps} ({suffix})",
                f"choose a port below {65_535 - steps}",
            )
        return self._replace(port=self.port + steps)


def parse_endpoint(text: str) -> Endpoint:
    """Parse `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`; port `*` or 0 lets the system choose.

    Raises:
        EndpointError: It is none of these, or has an impossible port or path.
    """
    if text.startswith(("ipc://", "inproc://")):
        transport, _, path = text.partition("://")
        if not path:
            raise EndpointError(f"endpoint {text!r} has no path", "write it as ipc:///run/rtemo/events")
        if transport == "ipc" and len(path.encode()) > _IPC_PATH_BYTES:
            raise EndpointError(
                f"the path of {text!r} is {len(path.encode())} bytes long, the system takes {_IPC_PATH_BYTES}",
                "choose a shorter path",
            )
        return Endpoint(transport, path)
    match = _TCP.fullmatch(text)
    if not match:
        raise EndpointError(f"got endpoint {text!r}", "write it as tcp://ADDRESS:PORT or ipc://PATH")
    port = 0 if match["port"] == "*" else int(match["port"])
    if port > 65_535:
        raise EndpointError(f"endpoint {text!r} has port {port}", "choose a port up to 65535")
    host = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(match["host"], match["host"])
    return Endpoint("tcp", host, port)


def check_apart(checked: Iterable[object]) -> None:
    """Refuse two ends of one program at the same place.

    Args:
        checked: What the ends say of themselves: an `Endpoint`, several by name, or anything else, which is left alone.

    Raises:
        EndpointError: Two are the same.
    """
    seen: set[Endpoint] = set()
    for one in checked:
        for endpoint in one.values() if isinstance(one, Mapping) else (one,):
            if not isinstance(endpoint, Endpoint) or (endpoint.transport == "tcp" and not endpoint.port):
                continue
            if endpoint in seen:
                raise EndpointError(
                    f"{endpoint} is wanted for two things",
                    "events take their port and the two above it; move audio in or audio out elsewhere",
                )
            seen.add(endpoint)
