"""Fleet: the workers of a front: started, watched, replaced, and let go."""

import selectors
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rtemo.api import ConfigError, Fault, Health, RtemoError, WorkerState
from rtemo.back_off import BackOff
from rtemo.cluster.ingest import FrontIngest
from rtemo.cluster.merging import LiveEvents
from rtemo.cluster.messages import Asked, Beat, Begin, FromWorker, Happened, Reached, Remark, Stop, from_worker
from rtemo.cluster.queries import FrontQueries
from rtemo.cluster.room import Room
from rtemo.cluster.starter import Address, Place, Seat, StartedWorker, Starter
from rtemo.config import Config
from rtemo.config.workers import WorkersOptions
from rtemo.io.wire import WireError
from rtemo.io.worker_wire import Compiling, Crashed, Ready, Refused

_LATE_S = 0.5
_QUIET_S = 1.0
_HELD_S = 0.3  # this program itself was held for so long: what it has not heard it could not hear
_MOST_WORKERS = 256


class Joint(Protocol):
    """Who has connections to the workers."""

    def join(self, worker: int, address: Address) -> None:
        """Connect to a worker that is reached there. Any thread."""

    def leave(self, worker: int) -> None:
        """Part from a worker that has gone. Any thread."""


class _Seat:
    """The place of a worker, whichever process holds it."""

    def __init__(self, number: int, options: WorkersOptions) -> None:
        self.number = number
        self.room = Room(options)
        self.process: StartedWorker | None = None
        self.lives = 0
        self.back_off = BackOff()
        self.start_at_s = 0.0
        self.is_leaving = False
        self.leave_by_s = 0.0
        self.was_ready = False
        self.is_late = False
        self.is_told_to_stop = False
        self.queries: tuple[str, ...] | None = None

    @property
    def state(self) -> str:
        if self.process is None:
            return "restarting"
        if self.is_leaving:
            return "leaving"
        if not self.process.is_ready:
            return "restarting" if self.was_ready else "starting"
        return "late" if self.is_late else "running"


class Fleet:
    """Keeps a number of workers running, and tells the ingest which there are.

    It belongs to one thread. A worker is lost when its process ends, which shows at once, or when nothing is heard from
    it for `hang_s`, upon which it is killed; after half a second of silence it gets no new calls.

    Args:
        config: What each engine is to be, endpoints left out.
        options: How workers are treated.
        ingest: Passes audio to them.
        others: Who else has to know which workers there are.
        events: Takes what they tell.
        queries: What they look for in words.
        rooms: Worker → what it has room for; the ingest reads it.
        starter: Brings workers up.
        begin: Makes the first message to a worker of a configuration and of where it is to listen.
        remark: Called with one sentence for whoever started the server.
        on_compiling: Called with how far the first start is.

    Attributes:
        restarts: How often a worker has been replaced.
    """

    def __init__(
        self,
        config: Config,
        options: WorkersOptions,
        ingest: FrontIngest,
        others: Sequence[Joint],
        events: LiveEvents,
        queries: FrontQueries,
        rooms: dict[int, Room],
        starter: Starter,
        begin: Callable[[Config, Place], Begin],
        remark: Callable[[str], None],
        on_compiling: Callable[[Compiling], None] | None = None,
    ) -> None:
        self._config = config
        self._options = options
        self._ingest = ingest
        self._joints: tuple[Joint, ...] = (ingest, *others)
        self._events = events
        self._queries = queries
        self._rooms = rooms
        self._starter = starter
        self._begin = begin
        self._remark = remark
        self._on_compiling = on_compiling
        self._seats: dict[int, _Seat] = {}
        self._last_number = 0
        self._wanted = 0
        self._selector = selectors.DefaultSelector()
        self._turned_s = time.monotonic()
        self._said: set[str] = set()
        self._is_stopping = False
        self._is_started = False

    @property
    def restarts(self) -> int:
        """How often a worker has been replaced."""
        return sum(max(0, seat.lives - 1) for seat in self._seats.values())

    @property
    def states(self) -> tuple[WorkerState, ...]:
        """How each worker fares."""
        return tuple(
            WorkerState(
                name=str(seat.number),
                state=seat.state,
                streams=self._ingest.desk.calls.streams[seat.number],
                load=seat.room.load,
                late_p99_us=seat.room.late_p99_us,
                restarts=max(0, seat.lives - 1),
            )
            for seat in self._seats.values()
        )

    @property
    def process_ids(self) -> dict[int, int]:
        """Worker → number of its process, of those that have one."""
        return {seat.number: seat.process.pid for seat in self._seats.values() if seat.process is not None}

    @property
    def numbers(self) -> list[int]:
        """Number of each worker, those that are leaving too."""
        return list(self._seats)

    def is_running(self, number: int) -> bool:
        """Whether a worker takes calls."""
        return number in self._seats and self._seats[number].state == "running"

    def is_leaving(self, number: int) -> bool:
        """Whether a worker has been let go and still has calls."""
        return number in self._seats and self._seats[number].is_leaving

    @property
    def nodes(self) -> dict[int, str]:
        """Worker → its machine, of those that are on another one."""
        return {seat.number: seat.process.node for seat in self._seats.values() if seat.process and seat.process.node}

    @property
    def is_ready(self) -> bool:
        """Whether all workers take calls."""
        return all(seat.process is not None and seat.process.is_ready for seat in self._seats.values())

    @property
    def is_over(self) -> bool:
        """Whether no process is left."""
        return all(seat.process is None for seat in self._seats.values())

    def start(self, count: int) -> None:
        """Start the first workers and wait until all are ready.

        Raises:
            RtemoError: One cannot begin, which the user can mend.
        """
        self._wanted = count
        for _ in range(count):
            self.add()
        while not self.is_ready:
            self.turn(0.2)
        self._is_started = True

    def add(self) -> int:
        """Add a worker and give its number.

        Raises:
            ConfigError: There are too many.
        """
        if len(self._seats) >= _MOST_WORKERS:
            raise ConfigError(f"there are {_MOST_WORKERS} workers, which is the most", "remove one first")
        self._last_number += 1
        seat = _Seat(self._last_number, self._options)
        self._seats[seat.number] = seat
        self._launch(seat)
        return seat.number

    def remove(self, number: int) -> None:
        """Let a worker go: it gets no new calls, and those it has move when nobody speaks in them.

        Raises:
            ConfigError: There is none of that number, or it is the last.
        """
        seat = self._seats.get(number)
        if seat is None or seat.is_leaving:
            known = ", ".join(str(other.number) for other in self._seats.values() if not other.is_leaving)
            raise ConfigError(f"there is no worker {number}", f"there are: {known}")
        if sum(not other.is_leaving for other in self._seats.values()) == 1:
            raise ConfigError(f"worker {number} is the last", "add another one first, or stop the server")
        seat.is_leaving = True
        seat.room.is_open = False
        seat.leave_by_s = time.monotonic() + self._options.move_s

    def turn(self, timeout_s: float) -> None:
        """Listen to the workers for so long, then look after them.

        Raises:
            RtemoError: A worker cannot begin, which the user can mend; only until the first are ready.
            RuntimeError: One has failed in a way of which nothing is known; only until then.
        """
        for key, _ in self._selector.select(timeout_s):
            self._listen(key.data)
        now_s = time.monotonic()
        was_held, self._turned_s = now_s - self._turned_s > timeout_s + _HELD_S, now_s
        for seat in list(self._seats.values()):
            if was_held and seat.process is not None:
                seat.process.heard_s = max(seat.process.heard_s, now_s - timeout_s)
            self._look_after(seat, now_s)
        self._queries.serve([seat.number for seat in self._seats.values() if seat.state == "running"], now_s)

    def stop(self, reason: str) -> None:
        """Tell all workers to end the streams they have, and to go; `turn` hears what they still say."""
        self._is_stopping = True
        for seat in self._seats.values():
            seat.room.is_open = False
            self._dismiss(seat, reason)

    def kill(self) -> None:
        """End what has not gone by itself."""
        for seat in self._seats.values():
            if seat.process is not None:
                seat.process.kill()
                self._part(seat)

    def _launch(self, seat: _Seat) -> None:
        seat.lives += 1
        workers = max(self._wanted, len(self._seats))
        seat.room = Room(self._options, self._starter.processors_each(workers))
        seat.is_late = seat.is_told_to_stop = False
        seat.queries = None
        which = Seat(seat.number, seat.lives, list(self._seats).index(seat.number), workers)
        seat.process = self._starter.start(which, lambda place: self._begin(self._config, place))
        self._selector.register(seat.process.link, selectors.EVENT_READ, seat)

    def _listen(self, seat: _Seat) -> None:
        process = seat.process
        if process is None:
            return
        try:
            for data in process.link.arrived():
                process.heard_s = time.monotonic()
                self._take(seat, process, from_worker(data))
        except (EOFError, OSError, WireError) as error:
            broken = "" if isinstance(error, EOFError | ConnectionError) else f" ({error})"
            self._lose(seat, f"died{broken}")

    def _take(self, seat: _Seat, process: StartedWorker, message: FromWorker) -> None:
        now_s = time.monotonic()
        match message:
            case Happened(events):
                for event in events:
                    if isinstance(event.data, Health):
                        seat.room.hear(event.data, now_s)
                self._events.take(seat.number, events, now_s)
            case Beat():
                pass
            case Reached():
                process.take_address(message)
            case Ready():
                assert process.address is not None, "it has told before"
                process.is_ready = seat.was_ready = True
                if seat.queries is not None:  # before it gets a call
                    self._queries.join(seat.number, process.send, seat.queries)
                self._rooms[seat.number] = seat.room
                seat.room.is_open = not (seat.is_leaving or self._is_stopping)
                for joint in self._joints:
                    joint.join(seat.number, process.address)
            case Asked(queries):
                seat.queries = queries
                problem = self._queries.hear(seat.number, message) if process.is_ready else ""
                if problem:
                    self._tell(seat, f"does not look for what the others look for: {problem}")
            case Remark(text):
                if text not in self._said:
                    self._said.add(text)
                    self._remark(text)
            case Compiling():
                if self._on_compiling is not None and seat is next(iter(self._seats.values())):
                    self._on_compiling(message)
            case Refused(problem, mend):
                if not self._is_started:
                    raise RtemoError(problem, mend)
                self._tell(seat, f"cannot begin: {problem}; {mend}")
            case Crashed(problem):
                if not self._is_started:
                    raise RuntimeError(problem)
                self._tell(seat, f"has failed: {problem}")

    def _look_after(self, seat: _Seat, now_s: float) -> None:
        process = seat.process
        if process is None:
            if seat.is_leaving:
                self._drop(seat)
            elif not self._is_stopping and now_s >= seat.start_at_s:
                self._launch(seat)
            return
        if not process.is_ready:
            return
        silent_s = now_s - process.heard_s
        if silent_s > self._options.hang_s and not seat.is_told_to_stop:
            process.kill()
            self._lose(seat, f"said nothing for {silent_s:.1f} s and was ended")
            return
        seat.is_late = silent_s > _LATE_S
        seat.room.is_open = not (seat.is_late or seat.is_leaving or self._is_stopping)
        if seat.is_leaving and not seat.is_told_to_stop:
            self._empty(seat, now_s)

    def _empty(self, seat: _Seat, now_s: float) -> None:
        """Have the calls of a worker that is to go move when nobody speaks in them; dismiss it when none is left."""
        held = self._ingest.desk.calls.at(seat.number)
        if not held:
            self._dismiss(seat, "moved")
            return
        is_time = now_s >= seat.leave_by_s
        for call in held if is_time else self._events.quiet_calls(seat.number, _QUIET_S, now_s):
            self._ingest.move(call)

    def _dismiss(self, seat: _Seat, reason: str) -> None:
        if seat.process is not None:
            seat.is_told_to_stop = True
            seat.process.send(Stop(reason))

    def _lose(self, seat: _Seat, how: str) -> None:
        """Go on without a process that has ended."""
        process, was_ready = seat.process, seat.process is not None and seat.process.is_ready
        assert process is not None, "there is one to lose"
        ending = self._part(seat)
        if seat.is_told_to_stop:
            return
        problem = f"{process.name} {how} ({ending})"
        if not self._is_started:
            raise RtemoError(f"worker {seat.number}: {problem} before it could begin", "is memory short? see the log")
        if was_ready:
            self._events.lose(seat.number, problem)
        else:
            self._tell(seat, f"{problem} before it could begin")
        now_s = time.monotonic()
        seat.start_at_s = now_s + seat.back_off.wait_s(now_s - process.started_s)

    def _tell(self, seat: _Seat, problem: str) -> None:
        self._events.tell(Fault(where=f"worker {seat.number}", problem=problem, action="retrying"))

    def _part(self, seat: _Seat) -> str:
        process = seat.process
        assert process is not None, "there is one to part from"
        self._rooms.pop(seat.number, None)
        self._queries.leave(seat.number)
        seat.room.is_open = False
        self._selector.unregister(process.link)
        ending = process.end()
        seat.process = None
        for joint in self._joints:
            joint.leave(seat.number)
        return ending

    def _drop(self, seat: _Seat) -> None:
        del self._seats[seat.number]
        self._wanted = max(1, len(self._seats))
