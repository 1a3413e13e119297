"""PortLender: lends RTP ports to calls that somebody asks them for, and takes them back."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from rtemo.api import ConfigError
from rtemo.io.audio_wire import stream_names
from rtemo.io.gateways.gateway import need
from rtemo.io.gateways.options import RtpOptions
from rtemo.io.gateways.port_desk import PortRefusedError
from rtemo.io.gateways.port_pool import PortPool, parse_range
from rtemo.io.gateways.ports_wire import PORTS_SCHEMA, LentLeg, PortsReply, PortsRequest, Speaker
from rtemo.io.gateways.rtp_line import LentLine, PartyPlan, Receiver, bind_party
from rtemo.io.gateways.rtp_wire import Format, formats
from rtemo.io.gateways.siprec_offer import OfferedStream, read_offer

_TICKET_BYTES = 16
_ANY_ADDRESS = ("0.0.0.0", "::")


class Lines(Receiver, Protocol):
    """What the lender needs of the gateway."""

    @property
    def is_draining(self) -> bool:
        """Whether no new calls are taken."""

    def has_call(self, call: str) -> bool:
        """Tell whether a call has a stream."""

    async def open_line(self, line: LentLine) -> None:
        """Open the streams of all parties, or raise an RtemoError and leave none open."""

    def end_line(self, line: LentLine, reason: str) -> None:
        """End the streams of all parties."""


class _Wanted(NamedTuple):
    """A call that ports are wanted for; with SIPREC the stream of each party."""

    call: str
    plans: list[PartyPlan]
    offered: list[OfferedStream]


class PortLender:
    """Keeps the lines that are lent: each has a call, its streams, and a pair of ports for each party.

    Streams are opened when ports are handed out, so that a role that the policy refuses, or an engine without room, is
    told then and not in the middle of the call.

    Args:
        options: Of the gateway.
        lines: Opens and ends streams, and takes what comes to the ports.
    """

    def __init__(self, options: RtpOptions, lines: Lines) -> None:
        self._options = options
        self._lines = lines
        self._pool = PortPool(parse_range(options.ports.range), options.ports.client_share)
        self._lent: dict[str, LentLine] = {}  # by call, the one lent first in front

    async def answer(self, request: PortsRequest, client: bytes) -> PortsReply:
        """Meet a request.

        Raises:
            RtemoError: It is not met, and nothing was done.
        """
        if request.op == "give_back":
            return self._take_back(request)
        wanted = self._wanted(request)
        line = await self._lend(wanted, client)
        address = self._options.ports.told_address or self._options.address
        legs = [
            LentLeg(
                channel=plan.channel,
                role=plan.role,
                address=address,
                port=port,
                payload_types=[_written(number, format) for number, format in plan.formats.items()],
            )
            for plan, port in zip(wanted.plans, line.numbers, strict=True)
        ]
        for leg, stream in zip(legs, wanted.offered, strict=False):
            leg.media_line = stream.media_line
            leg.speakers = [Speaker(address=one.address, name=one.name) for one in stream.participants]
        reply = self._reply(request)
        reply.call, reply.ticket, reply.legs = wanted.call, line.ticket, legs
        reply.unused_s, reply.idle_s = self._options.ports.unused_s, self._options.idle_s
        return reply

    def watch(self, now_s: float) -> None:
        """Take back what nobody uses, or uses any more."""
        for line in list(self._lent.values()):
            reason = line.why_over(now_s, self._options.ports.unused_s, self._options.idle_s)
            if reason:
                self.take_back(line, reason)

    def take_back(self, line: LentLine, reason: str) -> None:
        """End a call and have its ports again; nothing when that was done."""
        if self._lent.get(line.call) is not line:
            return
        del self._lent[line.call]
        self._lines.end_line(line, reason)
        self._free(line)

    def close(self) -> None:
        """Close all ports; the gateway ends the streams."""
        for line in self._lent.values():
            self._free(line)
        self._lent.clear()

    def _wanted(self, request: PortsRequest) -> _Wanted:
        """Tell what is asked for.

        Raises:
            PortRefusedError: It is nothing that can be had.
            RtemoError: The body of SIPREC, or a payload type, is not understood.
        """
        if (request.siprec is None) == (not request.legs):
            raise PortRefusedError(
                "bad_request", "`ports` needs either `legs` or `siprec`", "name the parties of the call"
            )
        if request.siprec is not None:
            offer = read_offer(request.siprec, request.content_type)
            call, offered = request.call or offer.call, list(offer.streams)
            plans = [PartyPlan(one.label, one.role(request.roles), one.formats) for one in offered]
        else:
            call, offered = request.call, []
            plans = [
                PartyPlan(leg.channel or str(number), leg.role, self._formats(leg.payload_types))
                for number, leg in enumerate(request.legs)
            ]
        if len({plan.channel for plan in plans}) < len(plans):
            raise PortRefusedError("bad_request", "two legs have the same channel", "give each a channel of its own")
        for plan in plans:
            stream_names(call, plan.channel)
            if any(format.is_coded for format in plan.formats.values()):
                need("av", "telephony", "Opus over RTP")
        return _Wanted(call, plans, offered)

    def _formats(self, payload_types: list[str]) -> Mapping[int, Format]:
        return formats(payload_types, "payload_types") if payload_types else formats(self._options.payload_types)

    async def _lend(self, wanted: _Wanted, client: bytes) -> LentLine:
        call, count = wanted.call, len(wanted.plans)
        if self._lines.is_draining:
            raise PortRefusedError("draining", "this server is about to stop", "use another one, or try again later")
        if call in self._lent or self._lines.has_call(call):
            raise PortRefusedError("in_use", f"call {call!r} is going on", "give it back first, or choose another name")
        reserved = self._reserve(client, count)
        line = LentLine(self._options.address, call, wanted.plans, client, secrets.token_urlsafe(_TICKET_BYTES))
        self._lent[call] = line  # nobody else may have the name meanwhile
        try:
            await self._bind(line, reserved)
            await self._lines.open_line(line)
        except BaseException:
            if self._lent.get(call) is line:
                del self._lent[call]
                self._free(line)
            raise
        if self._lent.get(call) is not line:
            self._lines.end_line(line, "source closed")
            raise PortRefusedError("draining", "this server stops", "use another one")
        line.begin()
        return line

    def _reserve(self, client: bytes, count: int) -> list[int]:
        """Take ports for a client within its share, and make room for one that has less than others.

        Raises:
            PortRefusedError: There are no ports for it.
        """
        pool = self._pool
        if pool.held(client) + count > pool.most_per_client:
            raise PortRefusedError(
                "exhausted",
                f"this client holds {pool.held(client)} ports of the {pool.most_per_client} that one may",
                "give some back, or set sources.rtp.ports.range or sources.rtp.ports.client_share higher",
            )
        while pool.count_free < count and pool.held(client) + count <= pool.equal_share(client):
            greedy = [line for line in self._lent.values() if pool.held(line.client) > pool.equal_share(client)]
            unused = next((line for line in greedy if line.is_ready and not line.is_used), None)
            if unused is None:
                break
            self.take_back(unused, "made room")
        if pool.count_free < count:
            raise self._exhausted(count)
        return [port for _ in range(count) if (port := pool.take(client)) is not None]

    async def _bind(self, line: LentLine, reserved: list[int]) -> None:
        """Bind a pair of ports for each party; those that another program has are passed over.

        Raises:
            PortRefusedError: There are not enough.
        """
        passed_over: list[int] = []
        try:
            await asyncio.sleep(0)  # ports that were taken back this moment are closed in the next turn of the loop
            for party in range(len(line.plans)):
                while len(line.numbers) == party:
                    port = reserved.pop(0) if reserved else self._pool.take(line.client)
                    if port is None:
                        raise self._exhausted(len(line.plans))
                    try:
                        await bind_party(self._lines, line, party, self._options.address, port)
                    except OSError:
                        passed_over.append(port)
                    else:
                        line.numbers.append(port)
        finally:
            for port in reserved + passed_over:
                self._pool.give(line.client, port)

    def _exhausted(self, count: int) -> PortRefusedError:
        return PortRefusedError(
            "exhausted",
            f"{count} ports are wanted, and {self._pool.count_free} of {self._options.ports.range} are free",
            "try again when a call has ended, or set sources.rtp.ports.range wider",
        )

    def _take_back(self, request: PortsRequest) -> PortsReply:
        line = self._lent.get(request.call)
        is_owner = (
            line is not None
            and line.is_ready
            and secrets.compare_digest(line.ticket.encode(), request.ticket.encode("utf-8", "replace"))
        )
        if line is None or not is_owner:
            raise PortRefusedError(
                "unknown", f"no ports are lent to call {request.call!r} with this ticket", "send that of the reply"
            )
        line.read_rest()
        self.take_back(line, "end")
        reply = self._reply(request)
        reply.call = request.call
        return reply

    def _free(self, line: LentLine) -> None:
        line.close()
        for port in line.numbers:
            self._pool.give(line.client, port)
        line.numbers = []

    def _reply(self, request: PortsRequest) -> PortsReply:
        return PortsReply(schema=PORTS_SCHEMA, op=request.op, ok=True, free_ports=self._pool.count_free)


def checked_ports(options: RtpOptions) -> list[int]:
    """Give the ports to hand out.

    Raises:
        ConfigError: The range is none, it holds ports of the lines, or nobody could be told where they are.
    """
    ports = parse_range(options.ports.range)
    if options.address in _ANY_ADDRESS and not options.ports.told_address:
        raise ConfigError(
            f"sources.rtp.address is {options.address}, which nobody can send to",
            "set sources.rtp.ports.told_address to the address that is to be sent to",
        )
    lines = range(options.first_port, options.first_port + 4 * options.lines) if options.first_port else range(0)
    if ports[0] < lines.stop and ports[-1] + 1 >= lines.start:
        raise ConfigError(
            f"sources.rtp.ports.range {options.ports.range} holds ports of the lines {lines.start}-{lines.stop - 1}",
            "choose others, or set sources.rtp.first_port or sources.rtp.lines",
        )
    return ports


def _written(number: int, format: Format) -> str:
    return f"{number} {format.name}/{format.rate_hz}" + ("/2" if format.is_coded else "")
