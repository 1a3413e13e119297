"""Crew: a batch worked on by several processes, each with an engine of its own."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from rtemo.api import Fault, RtemoError
from rtemo.api.text import shown
from rtemo.child_process import end_child, start_child
from rtemo.cli.analysis.dealer import Dealer
from rtemo.cli.analysis.merging import MergedEvents
from rtemo.cli.analysis.messages import (
    Begin,
    Done,
    Failed,
    Finish,
    FromWorker,
    Happened,
    Pipe,
    Play,
    Progress,
    Remark,
    Stop,
    Unwritten,
)
from rtemo.cli.analysis.outcome import Outcome
from rtemo.cli.analysis.request import Request
from rtemo.cli.starting import StartLine
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt
from rtemo.cluster.together import counters_together
from rtemo.config import Config
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.sources.files import FileFailure, FilesProgress, FilesSource, WaitingFile
from rtemo.io.whole_file import part_of
from rtemo.io.worker_wire import Compiling, Crashed, Ready, Refused
from rtemo.processors import count_processors

_PERIOD_S = 0.1
_STOP_S, _FINISH_S = 2.0, 10.0
_VAIN_STARTS = 3
"""How often in a row a worker may die before it is ready."""


class _Worker:
    """A process with an engine, seen from the crew.

    It is our own Python with the same path, started afresh, and ends when this side's socket closes.
    """

    def __init__(self, number: int, begin: Begin) -> None:
        self.number = number
        self.is_ready = False
        self.done_s = 0.0
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = start_child("rtemo.cli.analysis.worker", theirs, is_mute=True)
        self.pipe = Pipe(Connection(ours.detach()))
        self.send(begin)

    def send(self, message: msgspec.Struct) -> None:
        """Tell it something; that it has died shows when it is listened to."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def end(self) -> str:
        """Wait for its end, or bring it about; tell how it ended."""
        with contextlib.suppress(OSError):
            self.pipe.close()
        return end_child(self.process, _STOP_S)


class Crew:
    """Works on files with several processes.

    Args:
        request: What is asked for.
        source: Has looked at the files.
        files: What it found.
        processes: How many.
        complain: Called with every file that fails.
        remark: Called with one sentence about an odd file, or about a process that died.
    """

    def __init__(
        self,
        request: Request,
        source: FilesSource,
        files: Sequence[WaitingFile],
        processes: int,
        complain: Callable[[FileFailure], None],
        remark: Callable[[str], None],
    ) -> None:
        self.outcome = Outcome(failures=source.failures)
        self._request = request
        self._files = {file.call: file for file in files}
        self._files_total = source.progress.files_total
        self._complain = complain
        self._remark = remark
        self._begin = Begin(
            config=msgspec.to_builtins(_shared(request.config, processes)),
            jobs=request.jobs,
            channel_names=request.channel_names,
            roles=request.roles,
            has_audio=request.targets is not None,
            has_events=request.events is not None,
        )
        publisher = None
        if request.events is not None:
            publisher = JsonlPublisher(request.events, purpose=request.config.policy.purpose)
            publisher.check()
        self._events = MergedEvents(publisher)
        self._dealer = Dealer(files, request.jobs)
        self._workers: list[_Worker] = []
        self._wanted = processes
        self._started = 0
        self._vain_starts = 0
        self._done_s = 0.0  # of workers that died: what they finished
        self._finished_s: dict[int, float] = {}
        self._files_done = 0
        self._start_line = None if request.is_quiet else StartLine()
        self._untold = [failure.fault for failure in source.failures]

    @property
    def process_ids(self) -> list[int]:
        """Numbers of the processes that work."""
        return [worker.process.pid for worker in self._workers]

    def run(self) -> Outcome:
        """Work to the end, or until results can no longer be written, or until interrupted.

        Raises:
            RtemoError: The chain or the file of events cannot be opened.
            RuntimeError: A worker has failed in a way of which nothing is known.
        """
        outcome = self.outcome
        with term_as_interrupt():
            reason = "failed"
            try:
                self._events.open()
                for _ in range(self._wanted):
                    self._start()
                with self._bar() as show:
                    while not self._dealer.is_over and outcome.output_failure is None:
                        stop_if_told()
                        self._turn(_PERIOD_S)
                        show(self._progress)
                reason = "end"
                outcome.is_whole = True
            except KeyboardInterrupt:
                reason = "interrupted"
            finally:
                with shielded():
                    self._wind_up(Finish() if reason == "end" and outcome.output_failure is None else Stop())
                    self._events.close(reason)
        outcome.faults = self._events.faults
        outcome.publisher_faults = self._events.publisher_faults
        if self._request.targets is not None:
            outcome.unwritten = [*self._request.targets.failures.values(), *outcome.unwritten]
        return outcome

    def _start(self) -> None:
        self._started += 1
        self._workers.append(_Worker(self._started, self._begin))

    def _turn(self, timeout_s: float) -> None:
        """Take what workers say, one message each, and deal."""
        by_connection = {worker.pipe.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout_s):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                message = worker.pipe.from_worker()
            except (EOFError, OSError):
                self._lose(worker)
                continue
            self._take(worker, message)
        if self._workers and all(worker.is_ready for worker in self._workers):  # who is first would take too much
            for number, file in self._dealer.deal():
                self._worker(number).send(self._play(file))

    def _take(self, worker: _Worker, message: FromWorker) -> None:
        match message:
            case Progress(done_s):
                worker.done_s = done_s
            case Happened(events):
                self._events.take(worker.number, events)
            case Done(call, lines, lost):
                self._done(worker, call)
                self.outcome.lost = counters_together([self.outcome.lost, lost])
                self._write(lines)
            case Failed(call, problem, mend, is_partial):
                file = self._files[call]
                failure = FileFailure(path=file.path, error=RtemoError(problem, mend), is_partial=is_partial)
                if str(failure.error) not in map(str, (known.error for known in self.outcome.failures)):
                    # One that breaks off says so once more when it is begun again.
                    self.outcome.failures.append(failure)
                    self._complain(failure)
                if not is_partial:
                    self._dealer.done(worker.number, call)
                    self._events.forget(call)
            case Remark(text):
                self._remark(text)
            case Unwritten(problem, is_all):
                if is_all:
                    self.outcome.sink_failure = self.outcome.sink_failure or problem
                elif problem not in self.outcome.unwritten:
                    self.outcome.unwritten.append(problem)
            case Ready():
                self._vain_starts = 0
                worker.is_ready = True
                self._dealer.join(worker.number)
                for fault in self._untold:
                    self._events.tell(fault, "source")
                self._events.faults += self._untold
                self._untold = []
            case Compiling(ready, total, is_over):
                from rtemo.warming import WarmProgress  # brings the engine along, which is rarely needed here

                if self._start_line is not None and worker is self._workers[0]:
                    self._start_line(WarmProgress(ready, total, is_over))
            case Refused(problem, mend):
                raise RtemoError(problem, mend)
            case Crashed(problem):
                raise RuntimeError(problem)

    def _done(self, worker: _Worker, call: str) -> None:
        file = self._dealer.done(worker.number, call)
        self._events.forget(call)
        if file is not None:
            self._files_done += 1
            self._finished_s[worker.number] = self._finished_s.get(worker.number, 0.0) + file.duration_s

    def _lose(self, worker: _Worker) -> None:
        """Go on without a worker that died: its files are worked on again, or have had their second chance."""
        self._workers.remove(worker)
        ending = worker.end()
        self._done_s += self._finished_s.pop(worker.number, 0.0)
        self._events.leave(worker.number)
        again, given_up = self._dealer.leave(worker.number)
        problem = f"process {worker.process.pid} died ({ending})"
        if again:
            count = "1 file is" if len(again) == 1 else f"{len(again)} files are"
            self._remark(f"! {problem}; {count} begun again")
            self._events.tell(Fault(where=f"process {worker.number}", problem=problem, action="retrying"))
        for file in given_up:
            self._give_up(file, f"{problem}, and the one before it that worked on this file, too")
        if not worker.is_ready:
            self._vain_starts += 1
        if self._vain_starts < _VAIN_STARTS:
            if self._dealer.has_more or not self._workers:
                self._start()
        elif not self._workers:
            for file in self._dealer.give_up():
                self._give_up(file, f"{problem} before it could begin, as {_VAIN_STARTS - 1} others did")

    def _give_up(self, file: WaitingFile, why: str) -> None:
        problem = f"{shown(file.path)} could not be analysed: {why}"
        error = RtemoError(problem, "look into the system's log; is memory short?")
        failure = FileFailure(path=file.path, error=error)
        self.outcome.failures.append(failure)
        self._complain(failure)
        self._events.break_off(file.call)
        self._events.faults.append(failure.fault)
        self._events.tell(failure.fault)
        target = self._target(file)
        if target is not None:
            with contextlib.suppress(OSError):
                part_of(target).unlink(missing_ok=True)

    def _write(self, lines: bytes) -> None:
        try:
            self._request.write(lines)
        except OSError as error:
            self.outcome.output_failure = self.outcome.output_failure or error

    def _wind_up(self, word: Finish | Stop) -> None:
        """End all workers; what they still say counts, as long as they say it in time."""
        for worker in self._workers:
            worker.send(word)
        until_s = time.monotonic() + (_FINISH_S if isinstance(word, Finish) else _STOP_S)
        with contextlib.suppress(RtemoError, RuntimeError):
            while self._workers and time.monotonic() < until_s:
                by_connection = {worker.pipe.connection: worker for worker in self._workers}
                for connection in wait(list(by_connection), until_s - time.monotonic()):
                    worker = by_connection[connection]  # type: ignore[index]
                    try:
                        self._take(worker, worker.pipe.from_worker())
                    except (EOFError, OSError):
                        self._workers.remove(worker)
                        worker.end()
        for worker in self._workers:
            worker.process.kill()
            worker.end()
        self._workers.clear()

    def _play(self, file: WaitingFile) -> Play:
        target = self._target(file)
        return Play(
            path=os.fsencode(file.path),
            call=file.call,
            channels=file.channels,
            duration_s=file.duration_s,
            target=b"" if target is None else os.fsencode(target),
        )

    def _target(self, file: WaitingFile) -> Path | None:
        targets = self._request.targets
        return None if targets is None else targets.targets.get(file.path)

    def _worker(self, number: int) -> _Worker:
        return next(worker for worker in self._workers if worker.number == number)

    @property
    def _progress(self) -> FilesProgress:
        return FilesProgress(
            done_s=self._done_s + sum(worker.done_s for worker in self._workers),
            total_s=sum(file.duration_s for file in self._files.values()),
            files_done=self._files_done,
            files_failed=sum(not failure.is_partial for failure in self.outcome.failures),
            files_total=self._files_total,
        )

    @contextmanager
    def _bar(self) -> Iterator[Callable[[FilesProgress], None]]:
        from rtemo.cli.progress import progress_bar

        with progress_bar() if self._request.has_bar else nullcontext(lambda progress: None) as show:
            yield show


def _shared(config: Config, processes: int) -> Config:
    """Leave to each process its share of the processors, where a model would take as many as there are."""
    if config.runtime.speech_threads:
        return config
    threads = max(1, count_processors() // 2 // processes)
    return msgspec.structs.replace(config, runtime=msgspec.structs.replace(config.runtime, speech_threads=threads))
