"""Lanes: cuts the windows that are due and brings home what was found, on the driver thread."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtemo.api import Block, LaneState, LaneStatus, Payload, PluginError, StreamFormat
from rtemo.api.lane import STRIDE, Finding, LaneSpec, OpenLane
from rtemo.api.units import seconds_to_hops
from rtemo.engine.event_log import LoggedEvent
from rtemo.engine.history import History
from rtemo.engine.lane import Lane, Tell
from rtemo.engine.lane_queue import LaneJob, LaneQueue
from rtemo.engine.lane_worker import LaneWorker, ModelLender
from rtemo.engine.stream import Stream

_QUEUE_PER_STREAM = 4


class LaneLink:
    """What the plugin is given that has asked for a lane.

    Attributes:
        is_awaited: Whether the driver waits for what the lane finds.
        worker: Who works on it, once there is one.
    """

    def __init__(self, is_awaited: bool) -> None:
        self.is_awaited = is_awaited
        self.worker: LaneWorker | None = None

    @property
    def is_up(self) -> bool:
        """Whether windows are worked on."""
        worker = self.worker
        if self.is_awaited:
            return worker is None or worker.state != "failed"
        return worker is not None and worker.state == "running" and not worker.is_left_out


class Lanes:
    """All lanes of an engine, and the history that they look into.

    A live driver never waits for a lane: a window that a newer one of its stream supersedes is dropped and counted. A
    freewheeling one tells each finding when its stream has come a fixed way beyond the window, and waits for it then,
    so a file says the same every time.

    Args:
        format: Of all audio.
        slots: Streams held at once.
        is_live: Real time.
        now_ns: Tells the time.
        ring: Wakes the driver. Any thread.
        report: Emits an event about the engine. Any thread.
        open_store: Makes what lends models to a lane.
    """

    def __init__(
        self,
        format: StreamFormat,
        slots: int,
        is_live: bool,
        now_ns: Callable[[], int],
        ring: Callable[[], None],
        report: Callable[[Payload], None],
        open_store: Callable[[], ModelLender] | None,
    ) -> None:
        self._format = format
        self._slots = slots
        self._is_live = is_live
        self._now_ns = now_ns
        self._ring = ring
        self._report = report
        self._open_store = open_store
        self._asked: list[tuple[str, bool, LaneSpec, OpenLane, Any, Tell, LaneLink]] = []
        self.all: list[Lane] = []
        self._histories: dict[str, History] = {}
        self._landing: list[tuple[LaneJob, Lane]] = []
        self.waits_for: frozenset[str] = frozenset()
        """Kinds of events that cut a window."""

    def ask(
        self, plugin: str, is_timing: bool, spec: LaneSpec, open_work: OpenLane, options: Any, tell: Tell
    ) -> LaneStatus:
        """Note a lane that a plugin wants; it is made by `open`.

        Raises:
            PluginError: The plugin has one of that name already, or its facts contradict each other.
        """
        if any(plugin == other and spec.name == has.name for other, _, has, *_ in self._asked):
            raise PluginError(f"plugin {plugin!r} asks for two lanes named {spec.name!r}", "name each lane once")
        if not spec.on:
            raise PluginError(f"lane {spec.name!r} of {plugin!r} is never given a window", "name a trigger in `on`")
        link = LaneLink(is_awaited=not self._is_live)
        self._asked.append((plugin, is_timing, spec, open_work, options, tell, link))
        return link

    def open(self, marks: frozenset[str]) -> None:
        """Make what was asked for.

        Args:
            marks: Names of all marks of the chain.

        Raises:
            PluginError: A lane looks at a mark that nobody provides.
        """
        rate_hz, hop = self._format.sample_rate_hz, self._format.hop_samples
        longest_s: dict[str, float] = {}
        for plugin, _, spec, *_ in self._asked:
            if spec.while_mark and spec.while_mark not in marks:
                raise PluginError(
                    f"lane {spec.name!r} of {plugin!r} looks at {spec.while_mark!r}, which nobody provides",
                    f"add a plugin that provides {spec.while_mark!r} to `chain`",
                )
            kept_s = spec.window_s + (spec.max_age_s if self._is_live else spec.land_s) + spec.stride_s
            longest_s[spec.audio] = max(longest_s.get(spec.audio, 0.0), kept_s)
        for audio, kept_s in longest_s.items():
            self._histories[audio] = History(self._slots, seconds_to_hops(kept_s, rate_hz, hop) + 2, hop)
        for plugin, is_timing, spec, open_work, options, tell, link in self._asked:
            queue = LaneQueue(
                _QUEUE_PER_STREAM * self._slots, self._is_live, round(spec.max_age_s * 1e9), self._now_ns, self._ring
            )
            history = self._histories[spec.audio]
            where = f"{plugin}.{spec.name}"
            worker = LaneWorker(
                where,
                spec,
                open_work,
                options,
                self._format,
                self._open_store,
                queue,
                history,
                self._report,
            )
            link.worker = worker
            self.all.append(Lane(plugin, is_timing, spec, tell, worker, history, self._slots, self._format))
        self.waits_for = frozenset().union(*(lane.waits_for for lane in self.all))

    def start(self) -> None:
        """Let all lanes open their work and begin."""
        for lane in self.all:
            lane.worker.start()

    @property
    def hear_processed(self) -> bool:
        """Whether a lane was asked for that hears audio as it leaves the chain."""
        return any(spec.audio == "processed" for _, _, spec, *_ in self._asked)

    @property
    def heard(self) -> History | None:
        """The past as it entered the chain; None when no lane looks at it."""
        return self._histories.get("heard")

    @property
    def processed(self) -> History | None:
        """The past as it left the chain; None when no lane looks at it."""
        return self._histories.get("processed")

    @property
    def bytes_per_stream(self) -> int:
        """Memory of the past of one stream."""
        return sum(history.bytes_per_stream for history in self._histories.values())

    def clear_all(self) -> None:
        """Overwrite the past of all streams."""
        for history in self._histories.values():
            for slot in np.flatnonzero(history.count).tolist():
                history.clear(slot)

    def clear(self, slot: int) -> None:
        """Make a slot fresh for a new stream, and overwrite the past of the one that had it."""
        for history in self._histories.values():
            history.clear(slot)
        for lane in self.all:
            lane.clear(slot)

    def relieve(self, plugin: str, *, is_left_out: bool, thrift: int) -> None:
        """Give the lanes of a plugin no windows, or fewer of those that time cuts; what is left out is counted.

        Args:
            plugin: Its name.
            is_left_out: Whether there are to be none; what waits is dropped.
            thrift: Every how many strides cuts a window.
        """
        for lane in self.all:
            if lane.plugin == plugin:
                lane.thrift, was_left_out = thrift, lane.worker.is_left_out
                lane.worker.is_left_out = is_left_out
                if is_left_out and not was_left_out:
                    lane.queue.drop_waiting()

    def cut(self, block: Block, streams: list[Stream], said: Sequence[LoggedEvent], is_late: bool = False) -> None:
        """Cut what is due after a tick; strides that come due while the driver is late are dropped and counted.

        Args:
            block: The tick; its rows are those of `streams`.
            streams: Of each row.
            said: What plugins and lanes have said since the last tick.
            is_late: Whether the driver needs the processors more than lanes do.
        """
        for lane in self.all:
            waiting = len(lane.queue)
            if lane.has_strides:
                rows = lane.due(block).tolist()
                lane.queue.skipped += (lane.thrift - 1) * len(rows)
                if is_late or lane.worker.is_left_out:
                    lane.queue.skipped += len(rows)
                    rows = []
                for row in rows:
                    end = lane.history.end_sample(streams[row].slot)
                    self._put(lane, streams[row], end - lane.window_samples, end, STRIDE)
            if lane.waits_for:
                for event in said:
                    if event.stream is None or event.kind not in lane.waits_for:
                        continue
                    if lane.worker.is_left_out:
                        lane.queue.skipped += 1
                    else:
                        start = max(event.start_sample, event.end_sample - lane.window_samples)
                        self._put(lane, event.stream, start, event.end_sample, event.kind)
            if len(lane.queue) > waiting:
                lane.queue.wake()

    def _put(self, lane: Lane, stream: Stream, start_sample: int, end_sample: int, trigger: str) -> None:
        if not (lane.is_timing or stream.analysis == "person"):
            return
        start_sample = max(start_sample, 0)
        if end_sample - start_sample < max(lane.least_samples, 1):
            return
        if not self._is_live:
            lane.worker.wait_opened()  # what is told from here on must not depend on when that was
        history = lane.history
        land_count = int(history.count[stream.slot]) + lane.land_hops
        job = LaneJob(
            stream, int(history.life[stream.slot]), start_sample, end_sample, trigger, self._now_ns(), land_count
        )
        lane.queue.put(job)
        if not self._is_live:
            self._landing.append((job, lane))

    def collect(self, is_ending: Callable[[Stream], bool]) -> list[tuple[Lane, Finding]]:
        """Give what is to be told now; in freewheel after waiting for it.

        Args:
            is_ending: Tells of a stream that nothing more comes of it, so that it need not wait for its place.
        """
        for lane in self.all:
            lane.worker.look()
        found = self._arrived() if self._is_live else self._land(is_ending)
        findings = []
        for lane, job in found:
            lane.age.add(self._now_ns() - job.cut_ns)
            if job.result is not None:
                age = lane.history.end_sample(job.stream.slot) - job.end_sample
                findings.append(
                    (lane, Finding(job.stream, job.start_sample, job.end_sample, job.trigger, max(age, 0), job.result))
                )
        return findings

    def _arrived(self) -> list[tuple[Lane, LaneJob]]:
        return [(lane, job) for lane in self.all for job in lane.collect()]

    def _land(self, is_ending: Callable[[Stream], bool]) -> list[tuple[Lane, LaneJob]]:
        due = [
            (job, lane)
            for job, lane in self._landing
            if lane.history.count[job.stream.slot] >= job.land_count or is_ending(job.stream)
        ]
        if not due:
            return []
        for job, lane in due:
            while not job.is_done:
                lane.queue.wait()
                lane.worker.look()
        for lane in self.all:
            lane.queue.collect()
        landed = {id(job) for job, _ in due}
        self._landing = [(job, lane) for job, lane in self._landing if id(job) not in landed]
        return [(lane, job) for job, lane in due]

    def has(self, stream: Stream) -> bool:
        """Whether something of a stream is still to be told."""
        if not self._is_live:
            return any(job.stream is stream for job, _ in self._landing)
        return any(lane.queue.has(stream) for lane in self.all)

    def forget(self, stream: Stream) -> None:
        """Drop what is still on its way of a stream."""
        for lane in self.all:
            lane.queue.forget(stream)
        self._landing = [(job, lane) for job, lane in self._landing if job.stream is not stream]

    @property
    def longest_age_ns(self) -> int:
        """How long a stream that has ended is kept for what is still to be said of it."""
        return round(max((lane.spec.max_age_s for lane in self.all), default=0.0) * 1e9)

    def states(self) -> tuple[LaneState, ...]:
        """Tell how each lane fares."""
        return tuple(lane.state() for lane in self.all)

    def stop(self, timeout_s: float) -> None:
        """End all lanes, within a bound."""
        deadline_s = time.monotonic() + timeout_s
        for lane in self.all:  # all are told before the first is waited for
            lane.worker.stop(0.0)
        for lane in self.all:
            lane.worker.stop(max(0.0, deadline_s - time.monotonic()))
