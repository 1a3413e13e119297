"""Simulation: a cell from event to event; its calls are placed by the code that places them in a server."""

import heapq
import itertools
import random
from collections.abc import Callable

from bench.capacity.cell.outcome import Incident, Outcome
from bench.capacity.cell.settings import Settings
from bench.capacity.cell.traffic import Traffic
from rtemo.api import CapacityError, Counters, Health
from rtemo.back_off import BackOff
from rtemo.cluster.calls import Calls, Key
from rtemo.cluster.room import Room

_DAY_S = 86_400.0
_REPORT_S = 1.0
_LOOK_S = 1.0


class _Front:
    """A front, and the workers it has."""

    def __init__(self, capacity_streams: int) -> None:
        self._capacity_streams = capacity_streams
        self.is_up = True
        self.begin()

    def begin(self) -> None:
        """Have nothing, as after a start."""
        self.rooms: dict[int, Room] = {}
        self.calls = Calls(self._capacity_streams, self.rooms)
        self.held: dict[int, dict[int, _Call]] = {}


class _Worker:
    """A worker: on a node, of a front, and up or not."""

    def __init__(self, number: int, node: int, front: _Front) -> None:
        self.number = number
        self.node = node
        self.front = front
        self.is_up = False
        self.life = 0
        self.since_s = 0.0
        self.reported_s = 0.0
        self.back_off = BackOff()


class _Call:
    """A call: at a worker, or cut off since a while."""

    __slots__ = ("cut_s", "end_s", "front", "incident", "keys", "name", "number", "retry_s", "worker")

    def __init__(self, number: int, end_s: float, streams: int) -> None:
        self.number = number
        self.name = f"call-{number}"
        self.end_s = end_s
        self.keys: list[Key] = [(b"", b"%d-%d" % (number, channel)) for channel in range(streams)]
        self.front: _Front | None = None
        self.worker: _Worker | None = None
        self.cut_s = 0.0
        self.retry_s = 0.0
        self.incident: Incident | None = None


class Simulation:
    """Runs a cell once. The same settings give the same outcome.

    Args:
        settings: Of the cell, with the seed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.outcome = Outcome()
        self.now_s = 0.0
        self._end_s = 3600.0 * settings.hours
        self._draw = random.Random(settings.seed)
        self._traffic = Traffic(settings, random.Random(settings.seed + 1))
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._load = settings.options.max_load / settings.streams_per_worker
        per_front = settings.workers * settings.streams_per_worker  # no narrower than the workers are together
        self._fronts = [_Front(per_front) for _ in range(settings.fronts)]
        self._nodes_up = [True] * settings.nodes
        self._workers: dict[int, _Worker] = {}
        self._live: dict[int, _Call] = {}
        self._down = 0
        self._asking = 0

    def run(self) -> Outcome:
        """Run to the end."""
        for index in range(self.settings.workers):
            level, node = divmod(index, self.settings.nodes)
            front = self._fronts[(level + node) % len(self._fronts)]  # each front's on as many nodes as there are
            self._workers[index] = _Worker(index, node, front)
            self._down += 1
            self._up(self._workers[index])
        self._plan_failures()
        for at_s, length_s in self._traffic.arrivals():
            self._until(at_s)
            self._arrive(length_s)
        self._until(self._end_s)
        for call in self._live.values():
            self.outcome.call_s -= call.end_s - self._end_s
            if call.incident is not None and call.worker is None:
                self.outcome.lost_audio_s[call.incident.cause] += self._end_s - call.cut_s
        self.outcome.live = len(self._live) + self._asking
        return self.outcome

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._order), action))

    def _in(self, wait_s: float, action: Callable[[], None]) -> None:
        self._at(self.now_s + wait_s, action)

    def _until(self, at_s: float) -> None:
        while self._agenda and self._agenda[0][0] <= at_s:
            self.now_s, _, action = heapq.heappop(self._agenda)
            action()
        self.now_s = at_s

    # Calls

    def _arrive(self, length_s: float) -> None:
        outcome = self.outcome
        outcome.arrivals += 1
        call = _Call(outcome.arrivals, self.now_s + length_s, self.settings.streams_per_call)
        self._asking += 1
        self._ask(call, self.now_s + self.settings.first_wait_s)

    def _ask(self, call: _Call, until_s: float) -> None:
        """Ask for a place for a new call, for as long as a front holds an opening."""
        if self._place(call):
            self._asking -= 1
            self.outcome.call_s += call.end_s - self.now_s
            self._live[call.number] = call
            self.outcome.most_live = max(self.outcome.most_live, len(self._live))
            self._at(call.end_s, lambda: self._hang_up(call))
        elif self.now_s + self.settings.retry_s <= min(until_s, call.end_s):
            self._in(self.settings.retry_s, lambda: self._ask(call, until_s))
        else:
            self._asking -= 1
            self.outcome.refused += 1
            self.outcome.refused_in_trouble += self._down > 0

    def _place(self, call: _Call) -> bool:
        """Place a call by the rules of a front, which is any of those that are up, but for a call that has one."""
        front = call.front
        if front is None or not front.is_up:
            up = [one for one in self._fronts if one.is_up]
            if not up:
                return False
            front = self._draw.choice(up)
        try:
            number = front.calls.place(call.name, front.rooms)
        except CapacityError:
            return False
        call.front, call.worker = front, self._workers[number]
        for key in call.keys:
            front.calls.enter(call.name, key, number)
        front.held[number][call.number] = call
        if self.now_s - call.worker.reported_s >= _REPORT_S:
            self._report(call.worker)
        return True

    def _report(self, worker: _Worker) -> None:
        """Have a worker tell its load, as it does once a second."""
        worker.reported_s = self.now_s
        streams = worker.front.calls.streams[worker.number]
        health = Health(
            streams=streams,
            capacity=streams,
            ticks=1,
            load=streams * self._load,
            tick_p50_us=0.0,
            tick_p99_us=0.0,
            late_p99_us=0.0,
            counters=Counters(),
        )
        worker.front.rooms[worker.number].hear(health, self.now_s)

    def _leave(self, call: _Call) -> None:
        worker, front = call.worker, call.front
        assert worker is not None
        assert front is not None
        call.worker = None
        del front.held[worker.number][call.number]
        for key in call.keys:
            front.calls.leave(call.name, key, worker.number)

    def _hang_up(self, call: _Call) -> None:
        del self._live[call.number]
        if call.worker is not None:
            self._leave(call)
            self.outcome.ended += 1
            return
        self.outcome.lost += 1
        self._settle(call)

    def _cut_off(self, call: _Call, incident: Incident, seen_s: float) -> None:
        """Break a call off where it is; its client opens it again once that is seen."""
        incident.calls += 1
        incident.waiting += 1
        self.outcome.cut_off[incident.cause] += 1
        call.incident, call.cut_s, call.retry_s = incident, self.now_s, self.settings.retry_s
        self._in(seen_s + self.settings.reopen_s, lambda: self._again(call))

    def _again(self, call: _Call) -> None:
        if call.number not in self._live or call.worker is not None:
            return
        if self._place(call):
            self._settle(call)
            return
        self._in(call.retry_s * self._draw.uniform(0.75, 1.25), lambda: self._again(call))
        call.retry_s = min(self.settings.retry_most_s, 2 * call.retry_s)

    def _settle(self, call: _Call) -> None:
        assert call.incident is not None
        self.outcome.lost_audio_s[call.incident.cause] += self.now_s - call.cut_s
        call.incident.settle(self.now_s)
        call.incident = None

    # Life and death

    def _plan_failures(self) -> None:
        settings = self.settings
        for worker in list(self._workers.values()):
            self._plan(settings.worker_days, lambda worker=worker: self._kill_one(worker))
        for node in range(settings.nodes):
            self._plan(settings.node_days, lambda node=node: self._kill_node(node))
        for front in self._fronts:
            self._plan(settings.front_days, lambda front=front: self._kill_front(front))
        updates = int(settings.updates_per_day * settings.hours / 24.0)
        for number in range(updates):
            self._at((number + 0.5) * self._end_s / updates, lambda: self._update(list(self._workers)))

    def _plan(self, days: float, action: Callable[[], None]) -> None:
        """Have something happen at random, so often on average."""
        if days == float("inf"):
            return

        def happen() -> None:
            action()
            self._in(self._draw.expovariate(self.settings.faster / (days * _DAY_S)), happen)

        self._in(self._draw.expovariate(self.settings.faster / (days * _DAY_S)), happen)

    def _up(self, worker: _Worker) -> None:
        """Have a worker take calls, if its node and its front are there."""
        if worker.is_up or not worker.front.is_up or not self._nodes_up[worker.node]:
            return
        worker.is_up, worker.since_s = True, self.now_s
        worker.life += 1
        self._down -= 1
        room = worker.front.rooms[worker.number] = Room(self.settings.options)
        room.is_open = True
        worker.front.held[worker.number] = {}

    def _fall(self, worker: _Worker, incident: Incident, seen_s: float) -> None:
        """End a worker, and cut off what it has."""
        if not worker.is_up:
            return
        worker.is_up = False
        self._down += 1
        for call in list(worker.front.held[worker.number].values()):
            self._leave(call)
            self._cut_off(call, incident, seen_s)
        del worker.front.held[worker.number], worker.front.rooms[worker.number]

    def _incident(self, cause: str) -> Incident:
        incident = Incident(cause, self.now_s)
        self.outcome.incidents.append(incident)
        return incident

    def _kill_one(self, worker: _Worker) -> None:
        if not worker.is_up:
            return
        is_hang = self._draw.random() < self.settings.hang_share
        seen_s = self.settings.options.hang_s if is_hang else 0.0
        self._fall(worker, self._incident("hang" if is_hang else "worker"), seen_s)
        wait_s = worker.back_off.wait_s(self.now_s - worker.since_s)
        self._in(seen_s + wait_s + self.settings.start_s, lambda: self._up(worker))

    def _kill_node(self, node: int) -> None:
        if not self._nodes_up[node]:
            return
        self._nodes_up[node] = False
        incident = self._incident("node")
        for worker in self._workers.values():
            if worker.node == node:
                self._fall(worker, incident, self.settings.options.hang_s)
        self._in(self.settings.node_back_s, lambda: self._node_up(node))

    def _node_up(self, node: int) -> None:
        self._nodes_up[node] = True
        for worker in self._workers.values():
            if worker.node == node:
                self._in(self.settings.start_s, lambda worker=worker: self._up(worker))

    def _kill_front(self, front: _Front) -> None:
        """End a front, and its workers with it."""
        if not front.is_up:
            return
        front.is_up = False
        incident = self._incident("front")
        for worker in self._workers.values():
            if worker.front is front:
                self._fall(worker, incident, 0.0)
        front.begin()
        self._in(self.settings.front_back_s, lambda: self._front_up(front))

    def _front_up(self, front: _Front) -> None:
        front.is_up = True
        for worker in self._workers.values():
            if worker.front is front:
                self._in(self.settings.start_s, lambda worker=worker: self._up(worker))

    # Rolling update

    def _update(self, left: list[int]) -> None:
        """Replace a worker: another one is there when it goes, under its number here; then the next."""
        if not left:
            return
        worker = self._workers[left[0]]
        if not worker.is_up:  # what starts again by itself is new already
            self._in(_LOOK_S, lambda: self._update(left[1:]))
            return
        incident = self._incident("update")
        worker.front.rooms[worker.number].is_open = False
        life = worker.life
        for call in list(worker.front.held[worker.number].values()):
            wait_s = min(self._draw.expovariate(1.0 / self.settings.silence_s), self.settings.options.move_s)
            self._in(wait_s, lambda call=call: self._move(call, worker, life, incident))
        self._in(self.settings.start_s, lambda: self._emptied(worker, life, left))

    def _move(self, call: _Call, worker: _Worker, life: int, incident: Incident) -> None:
        if call.worker is worker and worker.life == life and call.number in self._live:
            self._leave(call)
            self._cut_off(call, incident, self.settings.move_gap_s - self.settings.reopen_s)

    def _emptied(self, worker: _Worker, life: int, left: list[int]) -> None:
        """Go on with the next worker once this one has no call."""
        if worker.is_up and worker.life == life:
            if worker.front.held[worker.number]:
                self._in(_LOOK_S, lambda: self._emptied(worker, life, left))
                return
            worker.front.rooms[worker.number] = Room(self.settings.options)
            worker.front.rooms[worker.number].is_open = True
            worker.life += 1
        self._update(left[1:])
