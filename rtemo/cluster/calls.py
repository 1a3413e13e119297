"""Calls: which worker has which call, and where a new one goes."""

from collections import Counter, OrderedDict
from collections.abc import Container

from rtemo.api import CapacityError
from rtemo.cluster.placing import ranked
from rtemo.cluster.room import Room

_MOVED_S = 60.0
_MAX_MOVED = 16_384

Key = tuple[bytes, bytes]
"""A stream: address of its client, and its names as they stand in every packet."""


class _Call:
    """A call that is placed: all its streams are at one worker."""

    __slots__ = ("keys", "moving_s", "worker")

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.keys: set[Key] = set()
        self.moving_s = 0.0


class Calls:
    """Keeps all streams of a call together, and counts how many each worker has.

    Args:
        capacity: Most streams, of all workers together.
        rooms: Worker → what it has room for; written by another thread.

    Attributes:
        streams: Worker → how many streams it has.
    """

    def __init__(self, capacity: int, rooms: dict[int, Room]) -> None:
        self.streams: Counter[int] = Counter()
        self._capacity = capacity
        self._rooms = rooms
        self._calls: dict[str, _Call] = {}

    def __contains__(self, call: str) -> bool:
        return call in self._calls

    @property
    def is_any_open(self) -> bool:
        """Whether there is a worker that takes calls at all, if it has room."""
        return any(room.is_open for room in list(self._rooms.values()))

    def at(self, worker: int) -> list[str]:
        """Name the calls that a worker has. Any thread."""
        return [name for name, call in list(self._calls.items()) if call.worker == worker]

    def place(self, call: str, reachable: Container[int], without: Container[int] = ()) -> int:
        """Choose the worker for a stream: that of its call, or the first of all that has room.

        Args:
            call: Name of the call.
            reachable: Workers that messages can be passed to.
            without: Workers that have said they have no room.

        Raises:
            CapacityError: None has.
        """
        if self.streams.total() >= self._capacity:
            raise CapacityError(f"all {self._capacity} streams are in use", "end one, or raise engine.capacity")
        placed = self._calls.get(call)
        if placed is not None:
            if placed.moving_s:
                raise CapacityError(f"call {call!r} is on its way to another worker", "try again in a second")
            return placed.worker
        rooms = dict(self._rooms)
        reasons = []
        for worker in ranked(call, rooms):
            reason = "is not running"
            if worker in without:
                reason = "is full"
            elif worker in reachable:
                reason = rooms[worker].refusal(self.streams[worker])
            if not reason:
                return worker
            reasons.append(f"worker {worker} {reason}")
        told = ", ".join(sorted(reasons)) or "there is no worker"
        raise CapacityError(f"there is no room for another call: {told}", "try again later, or add a worker")

    def enter(self, call: str, key: Key, worker: int) -> None:
        """Take note of a stream at a worker."""
        self._calls.setdefault(call, _Call(worker)).keys.add(key)
        self.streams[worker] += 1

    def leave(self, call: str, key: Key, worker: int) -> None:
        """Take note that a stream is no longer there."""
        placed = self._calls[call]
        placed.keys.discard(key)
        if not placed.keys:
            del self._calls[call]
        self.streams[worker] -= 1

    def begin_move(self, call: str, now_s: float, again_s: float) -> list[Key]:
        """Give the streams of a call that is to leave its worker; none if they were given less than `again_s` ago."""
        placed = self._calls.get(call)
        if placed is None or now_s - placed.moving_s < again_s:
            return []
        placed.moving_s = now_s
        return list(placed.keys)


class Moved:
    """Remembers for a minute which streams have lost their worker, and up to where their audio had come."""

    def __init__(self) -> None:
        self._streams: OrderedDict[bytes, tuple[float, int | None]] = OrderedDict()

    def __contains__(self, names: bytes) -> bool:
        return names in self._streams

    def note(self, names: bytes, now_s: float, end_sample: int | None) -> None:
        """Take note of a stream; `end_sample` is the position after its last packet."""
        self._streams[names] = (now_s, end_sample)
        self._streams.move_to_end(names)
        while len(self._streams) > _MAX_MOVED:
            self._streams.popitem(last=False)

    def end_sample(self, names: bytes) -> int | None:
        """Tell up to where the audio of a stream had come; None where that is not known."""
        return self._streams[names][1] if names in self._streams else None

    def forget(self, names: bytes) -> None:
        """Forget a stream: it goes on."""
        self._streams.pop(names, None)

    def prune(self, now_s: float) -> None:
        """Forget what is too old."""
        while self._streams and now_s - next(iter(self._streams.values()))[0] > _MOVED_S:
            self._streams.popitem(last=False)
