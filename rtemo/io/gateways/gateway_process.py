"""GatewayProcess: a gateway in a process of its own, as a source of the session."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np

from rtemo.api import EndpointError, RtemoError, SourceCounts, StreamDesk, StreamWriter
from rtemo.child_process import ending, start_child
from rtemo.io.gateways import process_wire as wire
from rtemo.io.gateways.counts import GatewayCounts
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.options import GatewayOptions
from rtemo.io.gateways.process_desk import error_of

_START_S = 60.0
_TURN_S = 0.02
_MOST_MESSAGES = 64  # in a turn
_LOOK_S = 0.05
_CLOSE_S = 1.0


class GatewayProcess:
    """Runs a gateway beside the interpreter of the engine, which would have to wait for it 5,000 times a second.

    What comes in the 10 ms of a turn, of all calls, is one message and one call of the engine's ring. The process ends
    with this side's socket; when it dies by itself `pump` raises; see `GatewayKeeper`.

    Args:
        gateway: A gateway that was not opened; it tells what is wrong with its options, and is not used otherwise.
        options: Its options.
        relay: Where a front takes the audio of its calls, past the desk; empty where the desk is an engine's.
    """

    def __init__(self, gateway: Gateway, options: GatewayOptions, relay: str = "") -> None:
        self.name: str = gateway.name
        self.drain_s = options.drain_s
        self._gateway = gateway
        self._options = options
        self._relay = relay
        self._endpoints: dict[str, str] = {}
        self._counts = GatewayCounts()
        self._count_streams = 0
        self._state = wire.State()
        self._is_draining = False
        self._writers: dict[int, StreamWriter] = {}
        self._looked_s = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Connection
        self._desk: StreamDesk

    @property
    def endpoints(self) -> Mapping[str, object]:
        """See `Gateway.endpoints`."""
        return self._endpoints

    @property
    def count_streams(self) -> int:
        """See `Gateway.count_streams`."""
        return self._count_streams

    @property
    def process_id(self) -> int:
        """Number of the process; 0 while there is none."""
        return 0 if self._child is None else self._child.pid

    def source_counts(self) -> SourceCounts:
        """See `Gateway.source_counts`."""
        return SourceCounts(name=self.name, **msgspec.structs.asdict(self._counts))

    def check(self) -> object:
        """See `Gateway.check`."""
        return self._gateway.check()

    def open(self, desk: StreamDesk) -> None:
        """Start the process and have the gateway opened there.

        Raises:
            EndpointError: See `Gateway.open`; or the process did not start.
        """
        self._desk, self._state = desk, wire.State()
        cls = type(self._gateway)
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = start_child("rtemo.io.gateways.process_child", theirs)
        self._pipe = Connection(ours.detach())
        format = desk.format
        options: dict[str, Any] = msgspec.to_builtins(self._options)
        opening = wire.Opening(
            f"{cls.__module__}:{cls.__qualname__}",
            options,
            format.sample_rate_hz,
            format.hop_samples,
            self._relay,
        )
        try:
            self._pipe.send_bytes(wire.encode(opening))
            said = wire.decode_for_session(self._pipe.recv_bytes()) if self._pipe.poll(_START_S) else None
        except (EOFError, OSError):
            said = None
        if not isinstance(said, wire.Ready):
            raise EndpointError(f"the process of the source {self.name!r} did not start", "look at what it printed")
        if said.error:
            raise error_of(said.error, said.problem, said.mend)
        self._endpoints = said.endpoints

    def pump(self) -> float | None:
        """Take what the process has handed over; see `rtemo.api.Source`.

        Raises:
            RtemoError: The process has died.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._look()
        try:
            if self._pipe.poll(_TURN_S):
                for _ in range(_MOST_MESSAGES):
                    self._take(self._pipe.recv_bytes())
                    if not self._pipe.poll(0):
                        break
        except (EOFError, OSError):
            raise RtemoError(f"the process of the source {self.name!r} has died ({self._ending()})") from None
        return 0.0

    def drain(self) -> None:
        """See `Gateway.drain`. Any thread."""
        self._is_draining = True

    def close(self) -> None:
        """Let the gateway close, within a bound, and end the process."""
        child, self._child = self._child, None
        if child is None:
            return
        until_s = time.monotonic() + _CLOSE_S
        with contextlib.suppress(EOFError, OSError):
            self._pipe.send_bytes(wire.encode(wire.State(is_over=True)))
            while (left_s := until_s - time.monotonic()) > 0 and self._pipe.poll(left_s):
                self._take(self._pipe.recv_bytes())
        self._pipe.close()
        child.kill()
        child.wait()

    def _look(self) -> None:
        """Tell the process what has changed here, and let it go before others as this thread does."""
        closed = tuple(number for number, writer in self._writers.items() if writer.is_closed)
        state = wire.State(closed, self._is_draining)
        if state != self._state:
            self._state = state
            with contextlib.suppress(OSError):  # that it has died shows where it is read from
                self._pipe.send_bytes(wire.encode(state))
        for number in closed:
            del self._writers[number]
        if self._child is not None and hasattr(os, "sched_setscheduler"):
            with contextlib.suppress(OSError):
                ours = threading.get_native_id()
                policy = os.sched_getscheduler(ours)
                if os.sched_getscheduler(self._child.pid) != policy:
                    os.sched_setscheduler(self._child.pid, policy, os.sched_getparam(ours))

    def _take(self, data: bytes) -> None:
        said = wire.decode_for_session(data)
        if isinstance(said, wire.Turn):
            self._counts, self._count_streams = said.counts, said.count_streams
            for item in said.items:
                self._do(item)
        elif isinstance(said, wire.Open):
            self._pipe.send_bytes(wire.encode(self._admit(said)))

    def _admit(self, asked: wire.Open) -> wire.Answer:
        try:
            self._writers[asked.number] = self._desk.open_stream(
                asked.call,
                asked.channel,
                source=asked.source,
                role=asked.role,
                prefill_s=asked.prefill_s,
                is_estimate=asked.is_estimate,
            )
        except RtemoError as error:
            return wire.Answer(type(error).__name__, error.problem, error.mend)
        return wire.Answer()

    def _do(self, item: wire.Item) -> None:
        if isinstance(item, wire.Rows):
            self._write(item)
            return
        writer = self._writers.get(item.number)
        if isinstance(item, wire.Report):
            (self._desk if writer is None else writer).report(item.data)
        elif writer is None:
            return
        elif isinstance(item, wire.Gap):
            writer.write_gap(item.count_samples)
        elif isinstance(item, wire.Lost):
            writer.count_lost(item.count_samples)
        else:
            writer.end(item.reason)
            del self._writers[item.number]

    def _write(self, rows: wire.Rows) -> None:
        samples = np.frombuffer(rows.audio, np.float32).reshape(len(rows.numbers), -1)
        counts, captures_ns = np.array(rows.counts, np.int64), np.array(rows.captures_ns, np.int64)
        writers: list[Any] = [self._writers.get(number) for number in rows.numbers]
        if None in writers:
            kept = [row for row, writer in enumerate(writers) if writer is not None]
            writers, samples = [writers[row] for row in kept], samples[kept]
            counts, captures_ns = counts[kept], captures_ns[kept]
        if not writers:
            return
        if hasattr(writers[0], "write_together"):
            writers[0].write_together(writers, samples, counts, captures_ns)
            return
        for writer, part, count, capture_ns in zip(
            writers, samples, counts.tolist(), captures_ns.tolist(), strict=True
        ):
            writer.write(part[:count], capture_ns)

    def _ending(self) -> str:
        assert self._child is not None
        try:
            code = self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            return "its pipe broke"
        return ending(code)
