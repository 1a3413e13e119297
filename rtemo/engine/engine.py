"""Engine: ring, floor, chain and driver put together; it can be opened, fed and stopped."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    AudioSink,
    Block,
    CapacityError,
    ConfigError,
    Health,
    ModelCard,
    ModelHandle,
    Payload,
    Plugin,
    SessionEnd,
    SessionStart,
    StreamFormat,
    StreamWriter,
)
from rtemo.api.text import shown
from rtemo.api.units import seconds_to_hops, seconds_to_samples
from rtemo.dsp.voice import nonsense
from rtemo.engine.chain import Chain
from rtemo.engine.clock import Clock, Doorbell, SystemClock
from rtemo.engine.demand import Demand
from rtemo.engine.driver import Driver
from rtemo.engine.floor import Floor
from rtemo.engine.gather import Intake
from rtemo.engine.hand_out import AudioTap
from rtemo.engine.lane_worker import LentContext, ModelLender
from rtemo.engine.lanes import Lanes
from rtemo.engine.options import EngineOptions
from rtemo.engine.outbox import Outbox
from rtemo.engine.outlet import checked_report
from rtemo.engine.precedence import Precedence
from rtemo.engine.ring import RingRows
from rtemo.engine.sink_thread import SinkThread
from rtemo.engine.watchdog import Watchdog
from rtemo.engine.writer import RingWriter

_WARM_TICKS = 220  # long enough for every plugin's first event on speech-like sound
_WARM_STREAMS = 2
_PATIENCE_FOR_FILES = 10


class EngineContext:
    """What plugins are lent: the format and the models, each loaded once."""

    def __init__(self, format: StreamFormat, open_store: Callable[[], ModelLender] | None) -> None:
        self._context = LentContext(format, open_store)
        self.format = format
        self.models: dict[str, ModelHandle] = {}
        self._cards: dict[str, ModelCard] = {}

    @property
    def hashes(self) -> dict[str, str]:
        """Bundle → sha256 of its weights, of those that lanes run too."""
        return {name: card.sha256 for name, card in self._cards.items()}

    def model(self, name: str) -> ModelHandle:
        """Load a bundle, or lend the one already loaded."""
        if name not in self.models:
            handle = self.models[name] = self._context.model(name)
            self._cards[name] = handle.card
        return self.models[name]

    def card(self, name: str) -> ModelCard:
        """Read the card of a bundle that others will run."""
        card = self._cards[name] = self._context.card(name)
        return card


class Engine:
    """One chain over many streams.

    Args:
        plugins: Configured plugins in order.
        options: Settings.
        is_live: Real time; otherwise freewheel, as fast as the machine allows and without any loss.
        clock: Time; virtual in tests.
        open_store: Makes what lends models: one for the chain, one for each lane, since a handle serves one thread.
        on_audio: Receives every processed hop on the driver thread.
        sinks: Where processed audio goes, each on a thread of its own; see `open_sinks`.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin],
        options: EngineOptions | None = None,
        *,
        format: StreamFormat | None = None,
        is_live: bool = True,
        clock: Clock | None = None,
        open_store: Callable[[], ModelLender] | None = None,
        on_audio: AudioTap | None = None,
        sinks: Sequence[AudioSink] = (),
    ) -> None:
        self.options = options or EngineOptions()
        self.format = format or StreamFormat()
        self.is_live = is_live
        self.clock = clock or SystemClock()
        self.outbox = Outbox(self.clock, self.options.outbox_events)
        self._plugins = list(plugins)
        self._bell = Doorbell(self.clock)
        rate_hz, hop_samples = self.format.sample_rate_hz, self.format.hop_samples
        hops = seconds_to_hops(self.options.ring_s, rate_hz, hop_samples)
        self._ring = RingRows(self.options.capacity, 1 << max(2, (hops - 1).bit_length()), hop_samples, rate_hz)
        self._intake = Intake(
            self._ring,
            is_live,
            seconds_to_samples(self.options.max_backlog_s, rate_hz),
            round(self.options.patience_s * 1e9),
            round(self.options.settle_s * 1e9),
            seconds_to_samples(self.options.max_surplus_s, rate_hz),
            round(self.options.surplus_patience_s * 1e9),
            seconds_to_hops(self.options.stall_s, rate_hz, hop_samples),
        )
        self.floor = Floor(self.format, self._ring, self._intake, self.outbox, is_live)
        blocks = max(2, seconds_to_hops(self.options.audio_buffer_s, rate_hz, hop_samples))
        self.sinks = [SinkThread(sink, self.format, blocks, self._report) for sink in sinks]
        self.lanes = Lanes(
            self.format,
            self.options.capacity,
            is_live,
            self.clock.now_ns,
            self._bell.ring,
            self._report,
            open_store,
        )
        self._demand = Demand(sinks, on_audio is not None, self.options.capacity)
        self.driver = Driver(
            self.format,
            self.options,
            is_live,
            self.clock,
            self._bell,
            self.floor,
            self._intake,
            self.outbox,
            on_audio,
            self.sinks,
            self.lanes,
            self._demand,
        )
        self.context = EngineContext(self.format, open_store)
        self.chain: Chain
        self._threads: list[threading.Thread] = []
        self._watchdog: Watchdog | None = None
        self._is_ready = False
        self._is_stopped = False
        self._switch_interval_s = 0.0
        self._precedence = Precedence()
        self._drain_hops = 1

    def open(self) -> None:
        """Open the plugins, warm everything up and say that the engine is ready; starts no thread."""
        self.driver.is_muted = True
        try:
            self.chain = Chain(
                self._plugins,
                self.context,
                self.options.capacity,
                self.clock,
                lambda name: partial(self.driver.emit, name),
                self.driver.report_fault,
                self.driver.drop_event,
                self.lanes,
                self.floor.rows,
                self._demand.kind,
            )
        except BaseException:
            self.lanes.stop(0.0)
            raise
        self._drain_hops = 1 + -(-self.chain.latency_samples // self.format.hop_samples)
        self._warm()
        self.driver.is_muted = False
        if self.options.owns_process:  # a program that embeds the engine would never get frozen objects back
            gc.collect()
            gc.freeze()
            self._switch_interval_s = sys.getswitchinterval()
            sys.setswitchinterval(0.0005)  # the driver is late by this much when another thread computes in Python
        self.driver.start(self.chain)
        self._is_ready = True
        self.outbox.post(
            None,
            "engine",
            SessionStart(
                chain=tuple(plugin.spec.name for plugin in self._plugins),
                latency_samples=self.chain.latency_samples,
                sample_rate_hz=self.format.sample_rate_hz,
                hop_samples=self.format.hop_samples,
                models=self.context.hashes,
            ),
            0,
            0,
        )

    def start(self) -> None:
        """Start the driver thread and the watchdog, after `open`."""
        self.lanes.start()
        # Nobody waits for a file: a machine that stands still for a while must not cost it a plugin.
        hang_s = self.options.hang_s * (1 if self.is_live else _PATIENCE_FOR_FILES)
        self._watchdog = Watchdog(self.chain, hang_s, self.clock, self._go_on)
        self._start_driver(0)
        self._watchdog.start()

    def take_precedence(self) -> None:
        """Let the threads there are by now run before other programs, where this is asked for and permitted."""
        if self.is_live and self.options.owns_process and self.options.realtime and not self._is_stopped:
            self._precedence.take()

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        analysis: str = "person",
        is_estimate: bool = False,
    ) -> StreamWriter:
        """Admit a stream; see `rtemo.api.StreamDesk`.

        With `analysis` `timing` only plugins that say nothing about persons hear it.

        Raises:
            CapacityError: The engine is full, or does not run.
            ConfigError: The ring cannot hold what is to be kept in hand.
        """
        if not self._is_ready or self._is_stopped:
            raise CapacityError(
                "the engine has stopped" if self._is_stopped else "the engine has not been started",
                "open streams while the session runs",
            )
        prefill = seconds_to_samples(prefill_s, self.format.sample_rate_hz) if self.is_live else 0
        if not 0 <= prefill <= self._ring.capacity_samples // 2:
            raise ConfigError(
                f"{prefill_s:g} s of audio cannot be kept in hand, the ring holds {self.options.ring_s:g} s",
                "raise `engine.ring_s` to more than twice as much",
            )
        # Names come from outside, and everything that is said about them must be fit for JSON.
        names = (shown(call), shown(channel), shown(source), shown(role))
        stream = self.floor.open(*names, prefill, self._drain_hops, analysis, is_estimate)
        return RingWriter(stream, self._ring, self._bell, self.clock, self.outbox, self.is_live)

    def report(self, data: Payload) -> None:
        """Emit an event about the engine's surroundings (a source, a publisher)."""
        self.outbox.post(None, "source", checked_report(data), 0, 0)

    def open_sinks(self) -> None:
        """Open all sinks and start their threads, before `start`; raises what one's `open` raises."""
        for sink in self.sinks:
            sink.start()

    def close_sinks(self, timeout_s: float) -> None:
        """Let the sinks write what is left and close them, after `stop`; waits for `timeout_s` at most."""
        deadline_s = time.monotonic() + timeout_s
        for sink in self.sinks:  # all are told before the first is waited for
            sink.stop(0.0)
        for sink in self.sinks:
            sink.stop(max(0.0, deadline_s - time.monotonic()))

    def _report(self, data: Payload) -> None:
        self.outbox.post(None, "engine", data, 0, 0)

    @property
    def latency_samples(self) -> int:
        """Delay of the audio through all plugins together; known before they are opened."""
        return sum(plugin.spec.latency_samples for plugin in self._plugins if plugin.spec.edits_audio)

    def health(self) -> Health:
        """Tell the state of the engine. Any thread."""
        return self.driver.health()

    def stop(self, reason: str, timeout_s: float = 0.8) -> Health:
        """Stop the driver, end all streams, close the plugins; may be called twice."""
        if self._is_stopped:
            return self.health()
        self._is_stopped = True
        if self._watchdog is not None:
            self._watchdog.stop()
        self.driver.stop()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:  # else it was interrupted before it began
                thread.join(max(0.0, deadline - time.monotonic()))
        health = self.health()
        if not self._is_ready:
            return health
        if not any(thread.is_alive() for thread in self._threads):
            self.driver.release(reason)
            self.chain.close()
        self.lanes.stop(max(0.1, deadline - time.monotonic()))
        self.outbox.post(None, "engine", SessionEnd(reason=reason, counters=health.counters), 0, 0)
        if self._switch_interval_s:
            sys.setswitchinterval(self._switch_interval_s)
            gc.unfreeze()
        self._precedence.give_back()
        return health

    def _start_driver(self, holder: int) -> None:
        thread = threading.Thread(target=self.driver.run, args=(holder,), name=f"rtemo-driver-{holder}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _go_on(self, holder: int) -> None:
        # The hung thread ends by itself if ever; nobody waits for it, and nobody is to wait for it.
        self._precedence.give_back(self._threads)
        self._threads.clear()
        self.driver.pass_on()
        self._start_driver(holder)
        if self._precedence.grant != "none":
            self._precedence.take(self._threads)

    def _warm(self) -> None:
        """Run ring, gather and chain once on speech-like sound, so that nothing is compiled or paged in later."""
        hop = self.format.hop_samples
        n = min(_WARM_STREAMS, self.options.capacity)
        slots = np.arange(n)
        for row in range(n):
            self.chain.admit(row)
        self.driver.chain = self.chain
        sound = _warm_sound(_WARM_TICKS * hop, self.format.sample_rate_hz)
        samples = np.zeros((n, hop), np.float32)
        start = np.zeros(n, np.int64)
        flags = np.zeros(n, np.uint8)
        capture = np.zeros(n, np.int64)
        chain = self.chain
        block = Block(0, samples, slots, start, flags, chain.marks(n), chain.heard(n), chain.doubts(n))
        for slot in range(n):
            self._ring.append_gap(slot, hop, 0)
        self._ring.append_rows(slots, samples, np.zeros(n, np.int64), np.zeros(n, np.int64))
        for tick in range(_WARM_TICKS):
            for slot in range(n):
                self._ring.append(slot, sound[tick * hop : (tick + 1) * hop], 0)
            self._intake.take(slots, 0, samples, start, flags, capture)
            self.chain.process(block, self.clock.now_ns(), 0)
            self.chain.log.clear()
        for row in range(n - 1, -1, -1):
            self.chain.retire(row)
            self._ring.clear(row)
            self._intake.clear(row, 0, 1)
        for stage in self.chain.stages:
            stage.busy.clear()
            stage.wait.clear()


def _warm_sound(count_samples: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """Make sound that voice activity detectors take for speech, and an end, so that the end of speech is warmed too."""
    voice = nonsense(count_samples / sample_rate_hz + 0.3, sample_rate_hz)[-count_samples:].copy()
    voice[-count_samples // 4 :] = 0.0  # a hangover, and the time until it is known
    return voice
