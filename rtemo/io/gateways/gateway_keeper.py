"""GatewayKeeper: a gateway in a process of its own that is started again when that has died."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from rtemo.api import (
    Fault,
    Payload,
    PolicyError,
    RtemoError,
    SourceCounts,
    SourceState,
    StreamDesk,
    StreamWriter,
    canonical_role,
)
from rtemo.back_off import BackOff
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.gateway_process import GatewayProcess
from rtemo.io.gateways.options import GatewayOptions

_TURN_S = 0.05  # between two looks at whether it is time


class GatewayKeeper:
    """Runs a gateway in its own process, and another one at the same endpoint when that has died.

    Its calls wait for `resume_s`, as those whose connection broke: peers that connect again go on with the same
    streams, behind a hole as long as nobody was there.

    Args:
        gateway: A gateway that was not opened; see `GatewayProcess`.
        options: Its options.
    """

    def __init__(self, gateway: Gateway, options: GatewayOptions) -> None:
        self.name: str = gateway.name
        self.drain_s = options.drain_s
        self._gateway = gateway
        self._options = options
        self._edge = GatewayProcess(gateway, options)
        self._endpoints: Mapping[str, object] = {}
        self._back_off = BackOff()
        self._since_s = 0.0
        self._again_s: float | None = None
        self._is_draining = False
        self._desk: _KeptDesk

    @property
    def endpoints(self) -> Mapping[str, object]:
        """See `Gateway.endpoints`."""
        return self._endpoints

    @property
    def count_streams(self) -> int:
        """See `Gateway.count_streams`; streams that wait to be taken up again are among them."""
        return self._desk.count_waiting + (self._edge.count_streams if self._again_s is None else 0)

    @property
    def process_id(self) -> int:
        """Number of the process; 0 while there is none."""
        return self._edge.process_id

    def source_counts(self) -> SourceCounts:
        """See `Gateway.source_counts`; counted anew by each process."""
        return self._edge.source_counts()

    def check(self) -> object:
        """See `Gateway.check`."""
        return self._edge.check()

    def open(self, desk: StreamDesk) -> None:
        """Start the process and have the gateway opened there.

        Raises:
            EndpointError: See `Gateway.open`; or the process did not start.
        """
        self._desk = _KeptDesk(desk, self._options.resume_s)
        self._edge.open(self._desk)
        self._endpoints, self._since_s = self._edge.endpoints, time.monotonic()
        self._options = _bound(self._options, self._endpoints)

    def pump(self) -> float | None:
        """Take what the process has handed over, or see to another one; see `rtemo.api.Source`."""
        now_s = time.monotonic()
        self._desk.watch(now_s)
        if self._again_s is None:
            try:
                return self._edge.pump()
            except RtemoError as error:
                self._fall(error, now_s, now_s - self._since_s)
                self._desk.lose(now_s)
        elif self._is_draining:
            self._desk.end_waiting()  # whoever came for them would be turned away
        elif now_s >= self._again_s:
            self._open_again(now_s)
        return _TURN_S

    def drain(self) -> None:
        """See `Gateway.drain`. Any thread."""
        self._is_draining = True
        self._edge.drain()

    def close(self) -> None:
        """Let the gateway close, within a bound, and end the process."""
        self._edge.close()

    def _fall(self, error: RtemoError, now_s: float, lived_s: float) -> None:
        """Take note that there is no process, and when there is to be another one."""
        self._edge.close()
        self._desk.report(Fault(where=self.name, problem=error.problem, action="retrying"))
        self._again_s = now_s + self._back_off.wait_s(lived_s)

    def _open_again(self, now_s: float) -> None:
        edge = self._edge = GatewayProcess(self._gateway, self._options)
        if self._is_draining:  # said to the one before, meanwhile
            edge.drain()
        try:
            edge.open(self._desk)
        except RtemoError as error:
            self._fall(error, time.monotonic(), 0.0)
            return
        self._since_s, self._again_s = now_s, None
        self._desk.report(SourceState(state="recovered", detail=f"{self.name} takes calls again"))


class _Kept(NamedTuple):
    """A stream that was opened, and as what."""

    writer: StreamWriter
    role: str


class _KeptDesk:
    """The desk of the engine, with the streams of a process that has died held for the next one.

    Args:
        desk: Of the engine.
        resume_s: How long streams are held.
    """

    def __init__(self, desk: StreamDesk, resume_s: float) -> None:
        self.format = desk.format
        self.is_live = desk.is_live
        self._desk = desk
        self._resume_s = resume_s
        self._open: dict[tuple[str, str], _Kept] = {}
        self._waiting: dict[tuple[str, str], _Kept] = {}
        self._lost_since_s = 0.0

    @property
    def count_waiting(self) -> int:
        """Streams that wait to be taken up again."""
        return len(self._waiting)

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> StreamWriter:
        """Admit a stream, or go on with the one that waits.

        Raises:
            PolicyError: See `StreamDesk.open_stream`; or it waits under another role.
            CapacityError: See `StreamDesk.open_stream`.
        """
        key = (call, channel)
        kept = self._waiting.get(key)
        if kept is None or kept.writer.is_closed:
            self._open = {key: held for key, held in self._open.items() if not held.writer.is_closed}
            writer = self._desk.open_stream(
                call, channel, source=source, role=role, prefill_s=prefill_s, is_estimate=is_estimate
            )
            self._open[key] = _Kept(writer, role)
            return writer
        if canonical_role(kept.role) != canonical_role(role):
            raise PolicyError(f"call {call} channel {channel} is open as {kept.role!r}, not as {role!r}")
        self._open[key] = self._waiting.pop(key)
        missing_s = time.monotonic() - self._lost_since_s
        kept.writer.write_gap(round(missing_s * self.format.sample_rate_hz))
        kept.writer.report(SourceState(state="recovered", detail="taken up again"))
        return kept.writer

    def report(self, data: Payload) -> None:
        """Emit an event about the gateway."""
        self._desk.report(data)

    def lose(self, now_s: float) -> None:
        """Hold the streams of the process that has died."""
        self.end_waiting()  # a process or more ago: long enough
        self._waiting, self._open, self._lost_since_s = self._open, {}, now_s
        for kept in self._waiting.values():
            kept.writer.report(SourceState(state="lost", detail="the process of its gateway has died"))

    def watch(self, now_s: float) -> None:
        """End streams that nobody has taken up in time."""
        if self._waiting and now_s - self._lost_since_s > self._resume_s:
            self.end_waiting()

    def end_waiting(self) -> None:
        """End all streams that wait."""
        for kept in self._waiting.values():
            kept.writer.end("source failed")
        self._waiting = {}


def _bound(options: GatewayOptions, endpoints: Mapping[str, object]) -> GatewayOptions:
    """Write into options where it was bound, so that the next process is reached at the port the system chose."""
    if not hasattr(options, "endpoint") or len(endpoints) != 1:
        return options
    (endpoint,) = endpoints.values()
    return msgspec.structs.replace(options, endpoint=str(endpoint))


def in_own_process(source: object) -> object:
    """Put a gateway whose options ask for it into a process of its own; anything else stays what it is.

    One that sends audio back, or tells its peers what was found, is here with what it sends.
    """
    if not isinstance(source, Gateway) or not source.options.own_process:
        return source
    if any(getattr(source, end, None) is not None for end in ("sink", "publisher")):
        return source
    return GatewayKeeper(source, source.options)
