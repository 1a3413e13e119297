"""SinkThread: runs one sink of processed audio on a thread of its own."""

import threading
import time
from collections.abc import Callable

from rtemo.api import AudioSink, Fault, Payload, SinkState, StreamFormat
from rtemo.engine.audio_outbox import AudioOutbox
from rtemo.engine.trouble import as_error, describe, quietly

_TICK_S = 0.02


class SinkThread:
    """The one owner of a sink: opens, feeds, ticks and closes it; its failure ends the sink, never the engine.

    Args:
        sink: Where the audio goes.
        format: Format of the audio.
        capacity_blocks: Ticks held for it.
        report: Emits an event about the engine.
    """

    def __init__(
        self, sink: AudioSink, format: StreamFormat, capacity_blocks: int, report: Callable[[Payload], None]
    ) -> None:
        self.outbox = AudioOutbox(capacity_blocks)
        self._sink = sink
        self._format = format
        self._report = report
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._written_blocks = 0
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name=f"rtemo-sink-{sink.name}", daemon=True)

    @property
    def is_idle(self) -> bool:
        """Whether everything so far has been handed to the sink, or it has gone."""
        return self.outbox.is_closed or self._written_blocks == self.outbox.posted_blocks

    def state(self) -> SinkState:
        """Tell what was lost on the way so far. Any thread."""
        return SinkState(
            name=self._sink.name,
            dropped_hops=self.outbox.dropped_hops,
            overrun_samples=self._sink.overrun_samples,
            underrun_samples=self._sink.underrun_samples,
            state="closed" if self._has_failed else "running",
        )

    def start(self) -> None:
        """Start the thread and wait until the sink is open; raises what `open` raises."""
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise as_error(self._error, self._sink.name)

    def stop(self, timeout_s: float) -> bool:
        """Write what is left, close the sink, and tell whether that was done within `timeout_s`."""
        self._stop.set()
        self.outbox.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._sink.open(self._format)
        except BaseException as error:
            self._error = error
            self._close()
            return
        finally:
            self._opened.set()
        try:
            self._serve()
        except BaseException as error:
            self._has_failed = True
            self._report(Fault(where=self._sink.name, problem=describe(error), action="closed"))
        finally:
            self._close()

    def _serve(self) -> None:
        """Write until told to stop and nothing is left."""
        due_s = 0.0
        while True:
            is_last = self._stop.is_set()
            block = self.outbox.take(0.0 if is_last else _TICK_S)
            if block is not None:
                self._sink.write(block)
                self._written_blocks += 1
            now_s = time.monotonic()
            if block is None or now_s >= due_s:
                due_s = now_s + _TICK_S
                self._sink.tick()
            if is_last and block is None and self.is_idle:
                return

    def _close(self) -> None:
        self.outbox.is_closed = True
        with quietly():  # one that cannot even be closed must not keep the session from ending
            self._sink.close()
