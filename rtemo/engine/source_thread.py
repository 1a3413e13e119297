"""SourceThread: runs one source on a thread of its own."""

import threading
from collections.abc import Sequence

from rtemo.api import Fault, Payload, Source, SourceCounts, StreamDesk, StreamWriter
from rtemo.engine.trouble import as_error, describe, quietly


class SourceThread:
    """Opens, pumps and closes a source; its failure ends the source and its streams, never the engine."""

    def __init__(self, source: Source, desk: StreamDesk) -> None:
        self.source = source
        self._desk = _Ledger(desk)
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"rtemo-source-{source.name}", daemon=True)

    @property
    def is_ended(self) -> bool:
        """Whether the source has delivered everything or has failed."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Start the thread and wait until the source is open; raises what `open` raises."""
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise as_error(self._error, self.source.name)

    def stop(self, timeout_s: float) -> None:
        """Ask the source to end and wait for it, within a bound."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self.source.open(self._desk)
        except BaseException as error:
            self._error = error
            self._close("source failed")
            return
        finally:
            self._opened.set()
        reason = "source closed"
        try:
            while not self._stop.is_set():
                delay_s = self.source.pump()
                if delay_s is None:
                    break
                if delay_s > 0:
                    self._stop.wait(delay_s)
        except BaseException as error:
            reason = "source failed"
            self._desk.report(Fault(where=self.source.name, problem=describe(error), action="closed"))
        finally:
            self._close(reason)

    def _close(self, reason: str) -> None:
        with quietly():  # a source that cannot be closed is over all the same
            self.source.close()
        self._desk.end_all(reason)


class _Ledger:
    """The desk, as one source sees it: remembers the streams opened there, so that none is left without an end."""

    def __init__(self, desk: StreamDesk) -> None:
        self._desk = desk
        self._writers: list[StreamWriter] = []
        self._look_at = 16
        self.format = desk.format
        self.is_live = desk.is_live

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
        """Admit a stream."""
        writer = self._desk.open_stream(
            call, channel, source=source, role=role, prefill_s=prefill_s, is_estimate=is_estimate
        )
        self._writers.append(writer)
        if len(self._writers) > self._look_at:  # not at every stream: there may be thousands, and many a second
            self._writers = [held for held in self._writers if not held.is_closed]
            self._look_at = 2 * len(self._writers) + 16
        return writer

    def report(self, data: Payload) -> None:
        """Emit an event about the source."""
        self._desk.report(data)

    def end_all(self, reason: str) -> None:
        """End the streams that the source has left open."""
        for writer in self._writers:
            writer.end(reason)


def counts_of(sources: Sequence[Source]) -> tuple[SourceCounts, ...]:
    """Give the counts of sources that keep some; one that cannot tell is left out: the driver asks."""
    counts = []
    for source in sources:
        ask = getattr(source, "source_counts", None)
        with quietly():
            counts += [] if ask is None else [ask()]
    return tuple(counts)
