"""RtpSource: calls as RTP over UDP, a port for each party of a call."""

import asyncio
import socket
import time
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from rtemo.api import EndpointError, RtemoError
from rtemo.io.connections import OWN_FILES, file_limit
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.gateways import rtp_wire as wire
from rtemo.io.gateways.gateway import Gateway, need
from rtemo.io.gateways.options import RtpOptions
from rtemo.io.gateways.opus import OpusDecoder, count_samples
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.port_desk import PortDesk
from rtemo.io.gateways.port_lender import PortLender, checked_ports
from rtemo.io.gateways.rtp_line import LentLine, PartyPlan, RtpLine, bind_party
from rtemo.io.gateways.rtp_party import Placed, RtpParty

_COMPLAINT_S = 10.0


class RtpSource(Gateway):
    """Calls as RTP over UDP: PCMU, PCMA, L16 and Opus.

    On a line a call begins with the first sender that is believed, at ports that somebody has asked for when they are
    handed out; it ends when all parties have said goodbye (RTCP BYE) or nothing has come for `idle_s`. Packets are put
    where they belong by sequence number and timestamp; `reorder_s` is the jitter buffer: how long one that is missing
    is waited for.

    Args:
        options: Ports, roles, payload types, times and limits.

    Attributes:
        ports: Ports of both parties for each line, once it is open.
    """

    name = "rtp"
    options_type: ClassVar[type[RtpOptions]] = RtpOptions

    def __init__(self, options: RtpOptions | None = None) -> None:
        self._options = options = options or RtpOptions()
        super().__init__(options, f"tcp://{_in_brackets(options.address)}:{options.first_port}", options.reorder_s)
        self.ports: list[tuple[int, int]] = []
        self._rtp_lines: list[RtpLine] = []
        self._lender: PortLender | None = None
        self._port_desk: PortDesk | None = None
        if options.ports.range:
            self._lender = PortLender(options, self)
            self._port_desk = PortDesk(options.ports, self._lender.answer)
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def endpoints(self) -> Mapping[str, object]:
        """Where it is reached, by name, once it is open."""
        if not self.ports:
            return {}
        lines = {"rtp": f"udp://{self._options.address}:{self.ports[0][0]} to {self.ports[-1][1]}"}
        return lines if self._port_desk is None else {**lines, **self._port_desk.endpoints}

    def check(self) -> Endpoint:
        """See `Gateway.check`; payload types must be known too."""
        options = self._options
        known = wire.formats(options.payload_types)
        if any(format.is_coded for format in known.values()):
            need("av", "telephony", "Opus over RTP")
        if options.first_port and options.first_port + 4 * options.lines > 65_536:
            raise EndpointError(
                f"{options.lines} lines from port {options.first_port} on go beyond 65535",
                "set sources.rtp.first_port or sources.rtp.lines lower",
            )
        files = file_limit() - OWN_FILES
        lent = 0 if self._port_desk is None else 2 * len(checked_ports(options))
        if 4 * options.lines + lent > files:
            what, where = f"{options.lines} lines", "sources.rtp.lines"
            if lent:
                what, where = f"{what} and {lent} ports to hand out", f"{where} or sources.rtp.ports.range"
            raise EndpointError(
                f"{what} take {4 * options.lines + lent} sockets, and this process may open {files}",
                f"set {where} lower, or raise the limit of open files (ulimit -n)",
            )
        if self._port_desk is not None:
            self._port_desk.check()
        return super().check()

    async def listen(self, host: str, port: int) -> int:
        """Bind every port of the lines; returns the first."""
        options = self._options
        known = wire.formats(options.payload_types)
        plans = PartyPlan("0", options.first_role, known), PartyPlan("1", options.second_role, known)
        for number in range(options.lines):
            line = RtpLine(host, port + 4 * number if port else 0, plans)
            self._rtp_lines.append(line)
            first, second = [
                await bind_party(self, line, party, host, port + 4 * number + 2 * party if port else 0)
                for party in range(2)
            ]
            line.port, line.peer = first, f"port {first}"
            self.ports.append((first, second))
        if self._port_desk is not None:
            self._port_desk.open()
        return self.ports[0][0]

    def pump(self) -> float | None:
        """See `Gateway.pump`; who asks for ports is answered, too."""
        if self._port_desk is not None:
            assert self._loop is not None, "open comes first"
            self._port_desk.serve(self._loop)
        return super().pump()

    async def hang_up(self) -> None:
        """Close every port."""
        if self._lender is not None:
            self._lender.close()
        if self._port_desk is not None:
            self._port_desk.close()
        for line in self._rtp_lines:
            line.close()

    def watch(self, now_s: float) -> None:
        """End calls of which nothing comes any more."""
        for line in self._rtp_lines:
            if line.call and now_s - line.heard_s > self._options.idle_s:
                self.end_line(line, "idle")
        if self._lender is not None:
            self._lender.watch(now_s)

    def has_call(self, call: str) -> bool:
        """Tell whether a call has a stream."""
        return self.legs.has_call(call)

    async def open_line(self, line: LentLine) -> None:
        """Open the streams of all parties of a line, before any of them sends.

        Raises:
            RtemoError: One is not let in; none is open then.
        """
        try:
            for plan, party in zip(line.plans, line.parties, strict=True):
                rate_hz = next(format.rate_hz for format in plan.formats.values() if format.codec is not None)
                party.leg, _ = await self.legs.open(line.call, plan.channel, plan.role, rate_hz, line)
                line.legs[plan.channel] = party.leg
        except BaseException:
            self.end_line(line, "refused")
            raise
        self.counts.connections += 1

    def end_line(self, line: RtpLine, reason: str) -> None:
        """End the streams of all parties of a line."""
        for party in line.parties:
            if party.leg is not None:
                self.legs.end(party.leg, reason)
        line.clear()

    def take(self, line: RtpLine, party: int, data: bytes) -> None:
        """Take a datagram that came to a port."""
        self.counts.messages += 1
        now_s = time.monotonic()
        try:
            if wire.is_rtcp(data):
                self._take_control(line, party, wire.left(data))
                return
            packet = wire.decode(data)
            format = line.plans[party].formats.get(packet.payload_type)
            if format is None:
                mend = "" if isinstance(line, LentLine) else "; set sources.rtp.payload_types"
                raise PeerError(f"gets payload type {packet.payload_type}, which is not known{mend}")
            samples = b"" if format.codec is None else wire.samples_of(packet.payload, format)
        except PeerError as error:
            self._misfit(line, error, now_s)
            return
        line.heard_s = now_s
        for placed in line.parties[party].place(packet, format, samples):
            self._deliver(line, party, placed, now_s)

    def _misfit(self, line: RtpLine, error: PeerError, now_s: float) -> None:
        """Drop a packet that is none, and say so now and then."""
        self.counts.dropped += 1
        if now_s - line.complained_s > _COMPLAINT_S:
            line.complained_s = now_s
            self.counts.broken += 1
            self.complain(line.peer, error.problem, "dropped")

    def _deliver(self, line: RtpLine, number: int, placed: Placed, now_s: float) -> None:
        party = line.parties[number]
        leg = party.leg
        line.is_used = True
        if leg is None:
            if party.is_refused or isinstance(line, LentLine):
                self.counts.dropped += 1
                return
            party.waiting.append(placed)
            if not party.is_opening:
                self._begin(line, number)
            return
        if placed.is_new_sender:
            leg.restart()
            party.clock.restart()
            party.decoder = None
        payload, coded = placed.payload, None
        if placed.format.is_coded:
            decoder = party.decoder = party.decoder or OpusDecoder()
            coded = count_samples(payload), partial(self._decode, line, decoder)
        width = 2 if placed.format.codec == "s16le" else 1
        rate_hz, now_ns = placed.format.rate_hz, time.time_ns()
        end_sample = placed.start_sample + (len(payload) // width if coded is None else coded[0])
        capture_ns = party.clock.capture_ns(end_sample * 1_000_000_000 // rate_hz, now_ns)
        assert placed.format.codec is not None, "what is no audio is not placed"
        if not leg.take(
            placed.number,
            placed.start_sample,
            placed.format.codec,
            rate_hz,
            payload,
            capture_ns,
            now_s,
            now_ns,
            coded,
        ):
            self.drop(line)

    def _decode(self, line: RtpLine, decoder: OpusDecoder, packet: memoryview) -> bytes:
        """Decode a packet whose turn has come; silence where it is none."""
        try:
            return decoder.decode(bytes(packet))
        except PeerError as error:
            self._misfit(line, error, time.monotonic())
            return bytes(2 * count_samples(bytes(packet)))

    def _begin(self, line: RtpLine, number: int) -> None:
        """Open the stream of a party that is heard for the first time."""
        party = line.parties[number]
        if not line.call:
            if self.is_draining:
                party.is_refused = True
                self.refuse(line.peer, "gets a call while this server is about to stop")
                return
            line.call = f"rtp-{line.port}-{time.time_ns() // 1_000_000}"
            self.counts.connections += 1
        party.is_opening = True
        task = asyncio.get_running_loop().create_task(self._open(line, number, party))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, line: RtpLine, number: int, party: RtpParty) -> None:
        plan, rate_hz = line.plans[number], party.waiting[0].format.rate_hz
        try:
            await self.open_leg(line, line.call, plan.channel, plan.role, rate_hz)
        except RtemoError as error:
            self.complain(line.peer, error.problem)
        party.leg = line.legs.get(plan.channel)
        party.is_opening, party.is_refused = False, party.leg is None
        if party not in line.parties:  # the call was over before its stream was open
            if party.leg is not None:
                self.legs.end(party.leg, "idle")
                del line.legs[plan.channel]
            return
        waiting, now_s = list(party.waiting), time.monotonic()
        party.waiting.clear()
        for placed in waiting:
            self._deliver(line, number, placed, now_s)

    def _take_control(self, line: RtpLine, number: int, gone: list[int]) -> None:
        party = line.parties[number]
        if party.leg is None or not any(party.leave(ssrc) for ssrc in gone):
            return
        line.read_rest()
        self.legs.end(party.leg, "end")
        party.leg, party.is_refused = None, True
        if any(one.leg is not None or one.is_opening for one in line.parties):
            return
        if isinstance(line, LentLine) and self._lender is not None:
            self._lender.take_back(line, "end")
        else:
            line.clear()

    def _check_free(self, endpoint: Endpoint) -> None:
        """Refuse ports that are in use, before the seconds of warming up; see `check_free`."""
        host, port = endpoint.host.strip("[]"), endpoint.port
        family = socket.AF_INET6 if endpoint.is_ipv6 else socket.AF_INET
        for wanted in range(port, port + 4 * self._options.lines, 2) if port else ():
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as probe:
                    probe.bind((host, wanted))
            except OSError as error:
                raise EndpointError(
                    f"UDP port {wanted} of {host} cannot be had ({error.strerror})",
                    "end the program that holds it, or set sources.rtp.first_port",
                ) from None


def _in_brackets(address: str) -> str:
    return str(parse_endpoint(f"tcp://[{address}]:0").host) if ":" in address else address
