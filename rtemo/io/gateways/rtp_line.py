"""RtpLine: the ports of one call and what comes to them."""

import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from rtemo.io.gateways.connection import Connection
from rtemo.io.gateways.rtp_party import RtpParty
from rtemo.io.gateways.rtp_wire import Format

_RECEIVE_BYTES = 1 << 20
_LARGEST_BYTES = 1 << 16


class PartyPlan(NamedTuple):
    """What is known of a party before it sends.

    Attributes:
        channel: Its channel within the call.
        role: Who speaks.
        formats: What its payload types stand for.
    """

    channel: str
    role: str
    formats: Mapping[int, Format]


class RtpLine(Connection):
    """A port for each party, and the call that is on them.

    Args:
        host: Address that is received at.
        port: Port of the first party; 0 until the system has chosen one.
        plans: Of each party.

    Attributes:
        port: Port of the first party.
        plans: As given.
        call: Name of the call; empty while there is none.
        parties: What comes to each port.
        is_used: Whether a sender has been believed at one of them.
        transports: Its open ports.
    """

    def __init__(self, host: str, port: int, plans: Sequence[PartyPlan]) -> None:
        super().__init__(host, port)
        self.port = port
        self.plans = tuple(plans)
        self.complained_s = -1e9
        self._is_reading_rest = False
        self.transports: list[asyncio.DatagramTransport] = []
        self.clear()

    def clear(self) -> None:
        """Make ready for the next call."""
        self.call = ""
        self.parties = tuple(RtpParty() for _ in self.plans)
        self.legs = {}
        self.is_used = False
        self.is_surplus_told = False

    def read_rest(self) -> None:
        """Take what has come to its ports and was not read yet: the word that a call is over comes another way."""
        if self._is_reading_rest:  # the word may be among it
            return
        self._is_reading_rest = True
        try:
            for transport in self.transports:
                _read_rest(transport)
        finally:
            self._is_reading_rest = False

    def close(self) -> None:
        """Close its ports."""
        for transport in self.transports:
            transport.close()
        self.transports.clear()


class LentLine(RtpLine):
    """The ports of one call that somebody has asked for; see `PortDesk`.

    Args:
        host: Address that is received at.
        call: Name of the call.
        plans: Of each party.
        client: Who has asked.
        ticket: What they are given back with.

    Attributes:
        client: As given.
        ticket: As given.
        numbers: Port of each party.
        is_ready: Whether its streams are open and it was handed out.
    """

    def __init__(self, host: str, call: str, plans: Sequence[PartyPlan], client: bytes, ticket: str) -> None:
        super().__init__(host, 0, plans)
        self.call = call
        self.client = client
        self.ticket = ticket
        self.numbers: list[int] = []
        self.is_ready = False

    @property
    def is_over(self) -> bool:
        """Whether no party has a stream any more."""
        return all(party.leg is None or party.leg.writer.is_closed for party in self.parties)

    def why_over(self, now_s: float, unused_s: float, idle_s: float) -> str:
        """Say why it is to be taken back now, or nothing."""
        if not self.is_ready:
            return ""
        if self.is_over:
            return "closed by the engine"
        if not self.is_used:
            return "unused" if now_s - self.began_s > unused_s else ""
        return "idle" if now_s - self.heard_s > idle_s else ""

    def begin(self) -> None:
        """Take note that it is handed out: the time in which it must be used begins."""
        self.peer = f"port {self.numbers[0]}"
        self.port = self.numbers[0]
        self.began_s = self.heard_s = time.monotonic()
        self.is_ready = True


class Receiver(Protocol):
    """Who takes what comes to a port."""

    def take(self, line: RtpLine, party: int, data: bytes) -> None:
        """Take a datagram."""


async def bind_party(receiver: Receiver, line: RtpLine, party: int, host: str, port: int) -> int:
    """Bind the port of a party, and the one above for RTCP unless the system chooses; gives the port.

    Raises:
        OSError: One of them cannot be had; neither is bound.
    """
    loop, made = asyncio.get_running_loop(), []
    try:
        for wanted in (port, port + 1) if port else (0,):
            transport, _ = await loop.create_datagram_endpoint(
                partial(_Datagrams, receiver, line, party), local_addr=(host, wanted)
            )
            made.append(transport)
    except OSError:
        for transport in made:
            transport.close()
        raise
    bound = made[0].get_extra_info("socket")
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    line.transports += made
    return int(bound.getsockname()[1])


def _read_rest(transport: asyncio.DatagramTransport) -> None:
    protocol, left_bytes = transport.get_protocol(), _RECEIVE_BYTES
    assert isinstance(protocol, _Datagrams)
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as port:
        while left_bytes > 0:  # of a flood no more than had room before
            try:
                data, address = port.recvfrom(_LARGEST_BYTES, socket.MSG_DONTWAIT)
            except OSError:  # there is no more
                return
            left_bytes -= max(len(data), 1)
            protocol.datagram_received(data, address)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands what comes to a port on."""

    def __init__(self, receiver: Receiver, line: RtpLine, party: int) -> None:
        self._receiver = receiver
        self._line = line
        self._party = party

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._receiver.take(self._line, self._party, data)
