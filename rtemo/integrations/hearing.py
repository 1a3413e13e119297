"""Hearing: one engine for all callers of a process, started beside what is running."""

import asyncio
import contextlib
import logging
import threading
from typing import Any

from rtemo.api import ProcessedBlock, RtemoError, StreamFacts, StreamFormat
from rtemo.config import Config
from rtemo.integrations.ear import Ear
from rtemo.session import Session

_LOG = logging.getLogger("rtemo.integrations")


class Hearing:
    """An engine that many pipelines share: each caller has an `Ear`, and a tick works on all of them at once.

    It warms up in a thread of its own from `start` on (the first time on a machine it compiles for many seconds), and
    ears may be made and used meanwhile: until it is ready audio passes as it came.

    Args:
        config: Settings; defaults when None. With plugins that enhance, ears give the enhanced audio.
        options: Further ones of `Session`, as `publishers`.

    Attributes:
        problem: Why it could not be started; None while there is no reason.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        self.problem: RtemoError | None = None
        self._sink = EarSink()
        self.session = Session(config, sinks=[self._sink, *options.pop("sinks", ())], **options)
        self._is_ready = threading.Event()
        self._is_settled = threading.Event()  # ready, failed, or closed
        self._lock = threading.Lock()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        """Whether streams can be opened."""
        return self._is_ready.is_set()

    def start(self) -> None:
        """Begin to warm up; returns at once, and may be called by every pipeline."""
        with self._lock:
            if self._thread is None and not self._is_closing:
                self._thread = threading.Thread(target=self._warm, name="rtemo-hearing", daemon=True)
                self._thread.start()

    async def ready(self, timeout_s: float | None = None) -> bool:
        """Wait until it is ready, without holding up the loop; tell whether it came to that.

        Raises:
            RtemoError: It cannot be started.
        """
        self.start()
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        while not self._is_settled.is_set():
            if deadline_s is not None and loop.time() > deadline_s:
                return False
            await asyncio.sleep(0.02)
        if self.problem is not None:
            raise self.problem
        return self.is_ready

    def ear(self, call: str, channel: str = "0", *, sample_rate_hz: int = 16_000, role: str = "user") -> Ear:
        """Make the ear of one caller.

        Args:
            call: Name of the call; one ear at a time has it with its channel.
            channel: Channel within the call.
            sample_rate_hz: Of the audio that it will be given.
            role: Who speaks; the policy decides what may be found out.
        """
        return Ear(self, call, channel, sample_rate_hz, role)

    def listen_in(self, ear: Ear, is_on: bool) -> None:
        """Send the processed audio of an ear's stream to it, or stop doing so."""
        self._sink.note(ear, is_on)

    async def close(self) -> None:
        """Stop, in a thread; may be called twice."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
        if thread is not None:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._stop)

    def _warm(self) -> None:
        try:
            self.session.start()
            if not self._is_closing:
                self._is_ready.set()
        except RtemoError as error:
            self.problem = error
            _LOG.warning("rtemo cannot be started, audio passes as it comes: %s", error)
        finally:
            self._is_settled.set()

    def _stop(self) -> None:
        self._is_ready.clear()
        self._is_settled.set()
        if self._thread is not None:
            with contextlib.suppress(RtemoError):
                self.session.stop()


class EarSink:
    """Takes the processed audio of streams to the ears that they belong to; see `rtemo.api.AudioSink`."""

    name = "ears"
    overrun_samples = underrun_samples = 0

    def __init__(self) -> None:
        self._ears: dict[tuple[str, str], Ear] = {}

    def note(self, ear: Ear, is_on: bool) -> None:
        """Take an ear in, or out. Any thread."""
        if is_on:
            self._ears[ear.call, ear.channel] = ear
        elif self._ears.get((ear.call, ear.channel)) is ear:
            del self._ears[ear.call, ear.channel]

    def wants(self, stream: StreamFacts) -> bool:
        """Whether an ear listens to a stream."""
        return (stream.call, stream.channel) in self._ears

    def open(self, format: StreamFormat) -> None:
        """Nothing has to be opened."""

    def write(self, block: ProcessedBlock) -> None:
        """Hand one hop to each ear."""
        for row, stream in enumerate(block.streams):
            ear = self._ears.get((stream.call, stream.channel))
            if ear is not None:
                _, first, last = block.span(row)
                if last > first:
                    ear.take(int(block.start_sample[row]), int(block.capture_ns[row]), first, block.samples[row])

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""
