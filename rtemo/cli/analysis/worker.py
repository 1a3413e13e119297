"""A worker of a crew: an engine in a process of its own, which plays the files that it is dealt."""

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from rtemo.api import AudioSink, Counters, Event, Fault, Publisher
from rtemo.cli.analysis.messages import (
    Begin,
    Done,
    Failed,
    Finish,
    Happened,
    Pipe,
    Play,
    Progress,
    Remark,
    Stop,
    Unwritten,
)
from rtemo.cli.enhanced import EnhancedFiles
from rtemo.cli.options import own_process
from rtemo.cli.reports import Reports
from rtemo.cluster.together import counters_together
from rtemo.config import Config
from rtemo.io.sources.dealt_files import DealtFiles
from rtemo.io.sources.files import FileFailure, WaitingFile
from rtemo.io.worker_wire import Compiling, Ready, run_told
from rtemo.session import Session
from rtemo.telemetry import stay_offline
from rtemo.warming import WarmProgress

_PERIOD_S = 0.1


class Worker:
    """Plays files until there are no more, and hands on what is found.

    A file counts as done when its report and its processed audio are both complete; its lines are sent then, at once,
    so that a worker that dies before has said nothing of it that counts.

    Args:
        pipe: To the crew.
        begin: What the engine is to be.
    """

    def __init__(self, pipe: Pipe, begin: Begin) -> None:
        self._pipe = pipe
        self._stop = threading.Event()
        self._is_ready = False
        self._unwritten = 0
        self._calls: dict[Path, str] = {}
        self._results = _Results(pipe, begin.has_audio)
        self._source = source = DealtFiles(
            begin.jobs,
            channel_names=begin.channel_names,
            roles=begin.roles,
            on_failure=self._failed,
            on_remark=lambda text: pipe.send(Remark(text)),
        )
        targets: dict[Path, Path] = {}
        self._sink = EnhancedFiles(targets, source.tracks, self._results.written) if begin.has_audio else None
        self._targets = targets
        reports = _Reports(source.tracks, self._results, targets)
        publishers: list[Publisher] = [_Telling(pipe, begin.has_events), reports]
        sinks: list[AudioSink] = [] if self._sink is None else [self._sink]
        config = own_process(msgspec.convert(begin.config, Config))
        self._session = Session(
            config,
            sources=[source],
            publishers=publishers,
            mode="freewheel",
            sinks=sinks,
            on_progress=self._compiling,
        )

    def run(self) -> None:
        """Work to the end, in order.

        Raises:
            RtemoError: The chain cannot be opened.
            RuntimeError: Results cannot be handed on.
        """
        threading.Thread(target=self._listen, name="rtemo-crew", daemon=True).start()
        reason = "interrupted"
        try:
            self._session.start()
            self._is_ready = True
            self._pipe.send(Ready())
            while not self._stop.is_set() and not self._session.wait(_PERIOD_S):
                self._look()
            if not self._stop.is_set():
                reason = "end"
        finally:
            self._session.stop(reason)
        self._look()
        self._results.close()

    def _look(self) -> None:
        for fault in self._session.publisher_faults:
            raise RuntimeError(f"{fault.where}: {fault.problem}")
        if self._sink is not None:
            for problem in list(self._sink.failures.values())[self._unwritten :]:
                self._pipe.send(Unwritten(problem, is_all=False))
                self._unwritten += 1
            if self._sink.failure:
                self._pipe.send(Unwritten(self._sink.failure, is_all=True))
                self._results.close()
        self._pipe.send(Progress(self._source.progress.done_s))

    def _listen(self) -> None:
        """Do what the crew says; without it there is nobody to work for."""
        try:
            while True:
                message = self._pipe.from_crew()
                if isinstance(message, Play):
                    self._play(message)
                elif isinstance(message, Finish):
                    self._source.finish()
                elif isinstance(message, Stop):
                    if not self._is_ready:
                        os._exit(0)  # it may be compiling, which cannot be broken off
                    self._stop.set()
        except (EOFError, OSError):
            os._exit(1)

    def _play(self, play: Play) -> None:
        path = Path(os.fsdecode(play.path))
        self._calls[path] = play.call
        if play.target:
            self._targets[path] = Path(os.fsdecode(play.target))
        self._source.deal(WaitingFile(path=path, call=play.call, channels=play.channels, duration_s=play.duration_s))

    def _failed(self, failure: FileFailure) -> None:
        error = failure.error
        self._pipe.send(Failed(self._calls[failure.path], error.problem, error.mend, failure.is_partial))

    def _compiling(self, progress: WarmProgress) -> None:
        self._pipe.send(Compiling(progress.ready, progress.total, progress.is_over))


class _Results:
    """Holds the lines of a call until its audio is written, too."""

    def __init__(self, pipe: Pipe, has_audio: bool) -> None:
        self._pipe = pipe
        self._has_audio = has_audio
        self._lock = threading.Lock()
        self._reported: dict[str, Done] = {}
        self._written: set[str] = set()

    def reported(self, done: Done, is_silent: bool) -> None:
        """Take the lines of a call; one without any audio has none to wait for."""
        with self._lock:
            if self._has_audio and not is_silent and done.call not in self._written:
                self._reported[done.call] = done
                return
            self._written.discard(done.call)
        self._pipe.send(done)

    def written(self, call: str) -> None:
        """Take note that nothing more will be written for a call."""
        with self._lock:
            done = self._reported.pop(call, None)
            if done is None and self._has_audio:
                self._written.add(call)
        if done is not None:
            self._pipe.send(done)

    def close(self) -> None:
        """Send what waits: no more audio will be written."""
        with self._lock:
            self._has_audio = False
            waiting = list(self._reported.values())
            self._reported.clear()
        for done in waiting:
            self._pipe.send(done)


class _Reports(Reports):
    """Reports that are told with what was lost on their way."""

    def __init__(self, tracks: Mapping[tuple[str, str], Any], results: _Results, targets: Mapping[Path, Path]) -> None:
        super().__init__(tracks, lambda call, lines: None, targets)
        self._results = results

    def _write(self, call: str, reports: Mapping[int, dict[str, Any]]) -> None:
        lost = Counters()
        for report in reports.values():
            lost = counters_together([lost, msgspec.convert(report["counters"], Counters)])
        lines = b"".join(msgspec.json.encode(report) + b"\n" for _, report in sorted(reports.items()))
        is_silent = not any(report["duration_s"] for report in reports.values())
        self._results.reported(Done(call, lines, lost), is_silent)


class _Telling:
    """A publisher that hands events on: all, or faults alone."""

    name = "crew"

    def __init__(self, pipe: Pipe, has_events: bool) -> None:
        self._pipe = pipe
        self._has_events = has_events

    def open(self) -> None:
        """Do nothing: the pipe is open."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send them on.

        Raises:
            OSError: The crew has gone.
        """
        wanted = events if self._has_events else [event for event in events if isinstance(event.data, Fault)]
        if wanted:
            self._pipe.send(Happened(list(wanted)))

    def tick(self) -> None:
        """Do nothing: events go on at once."""

    def close(self) -> None:
        """Do nothing: there is more to be said."""


def main() -> int:
    """Work for the crew at the other end of the socket whose number is the argument."""
    stay_offline()
    pipe = Pipe(Connection(int(sys.argv[1])))
    begin = pipe.from_crew()
    if not isinstance(begin, Begin):
        return 1
    return run_told(lambda: Worker(pipe, begin).run(), pipe.send)


if __name__ == "__main__":
    sys.exit(main())
