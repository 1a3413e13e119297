"""Rig: one plugin and those it needs, driven hop by hop without an engine, in buffers spoilt after every hop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    AudioDemand,
    Block,
    BlockEvent,
    Emit,
    HopFlag,
    LaneSpec,
    ModelCard,
    ModelHandle,
    Payload,
    Plugin,
    ResetReason,
    SentenceHandle,
    SpeechHandle,
    StreamFacts,
    StreamFormat,
)
from rtemo.api.lane import STRIDE, Finding, OpenLane, Window
from rtemo.api.units import seconds_to_hops, seconds_to_samples
from rtemo.dsp.finite import SANE
from rtemo.engine import registry
from rtemo.engine.delay import AudioDelay
from rtemo.engine.outlet import checked
from rtemo.runtime import ModelStore

FORMAT = StreamFormat()
HOP = FORMAT.hop_samples

_KEPT_S = 5.0  # beyond the longest window: what an event speaks of may lie back
_MODELS = ModelStore()


Sound = NDArray[np.float32]


class Facts(NamedTuple):
    """Who a stream is."""

    id: int
    call: str
    channel: str = "0"
    role: str = ""
    analysis: str = "person"


class Lane:
    """A worker lane without a thread: a window is worked on as soon as it is due, so it is always up."""

    is_awaited = is_up = True

    def __init__(
        self, spec: LaneSpec, open_work: OpenLane, tell: Callable[[Finding, Emit], None], options: Any, context: Any
    ) -> None:
        self.spec = spec
        self.tell = tell
        self._work = open_work(context, options)
        self._stride_hops = max(1, seconds_to_hops(spec.stride_s, FORMAT.sample_rate_hz, HOP))
        self._window = seconds_to_samples(spec.window_s, FORMAT.sample_rate_hz)
        self._least = max(1, seconds_to_samples(spec.least_s, FORMAT.sample_rate_hz))
        self._hops: dict[str, int] = {}
        self._is_wanted: dict[str, bool] = {}

    def forget(self, stream: str) -> None:
        """Begin anew with a stream."""
        self._hops[stream] = 0
        self._is_wanted[stream] = False

    def due(self, stream: str, mark: Any) -> bool:
        """Count one hop; tell whether the stride is over and somebody wants the window."""
        self._hops[stream] += 1
        self._is_wanted[stream] |= not self.spec.while_mark or mark != 0
        if STRIDE not in self.spec.on or self._hops[stream] < self._stride_hops:
            return False
        self._hops[stream] = 0
        is_wanted, self._is_wanted[stream] = self._is_wanted[stream], False
        return is_wanted

    def find(self, facts: Facts, past: "Past", start: int, end: int, trigger: str) -> Finding | None:
        """Work on what is there of [start, end)."""
        start = max(0, start, end - self._window)
        if end - start < self._least:
            return None
        (result,) = self._work([Window(facts, past.read(start, end), start, trigger)])
        age_samples = max(0, past.end_sample - end)
        return None if result is None else Finding(facts, start, end, trigger, age_samples, result)


class Past:
    """The last hops of a stream."""

    def __init__(self, hops: int) -> None:
        self.end_sample = 0
        self._count = 0
        self._ring = np.zeros((hops, HOP), np.float32)

    def append(self, hop: Sound, start_sample: int) -> None:
        """Keep one hop."""
        self._ring[self._count % len(self._ring)] = hop
        self._count += 1
        self.end_sample = start_sample + len(hop)

    def read(self, start_sample: int, end_sample: int) -> Sound:
        """Copy [start_sample, end_sample), as far as it is there."""
        count = min(-(-(self.end_sample - start_sample) // HOP), len(self._ring), self._count)
        kept = self._ring[np.arange(self._count - count, self._count) % len(self._ring)].reshape(-1)
        first = self.end_sample - len(kept)
        return kept[max(0, start_sample - first) : end_sample - first].copy()


class Context:
    """What the engine lends plugins: the format, checked models, and lanes."""

    format = FORMAT
    audio_demand: AudioDemand = "always"
    said_earlier: frozenset[str] = frozenset()
    said_later: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.lanes: list[Lane] = []

    def model(self, name: str) -> ModelHandle:
        """Load a bundle, or lend the one already loaded."""
        return _MODELS.load(name)

    def card(self, name: str) -> ModelCard:
        """Read the card of a bundle."""
        return _MODELS.card(name)

    def speech(self, name: str) -> SpeechHandle:
        """Load a speech model, or lend the one already loaded."""
        return _MODELS.speech(name)

    def sentence(self, name: str) -> SentenceHandle:
        """Load an encoder of sentences, or lend the one already loaded."""
        return _MODELS.sentence(name)

    def lane(
        self, spec: LaneSpec, open_work: OpenLane, tell: Callable[[Finding, Emit], None], options: Any = None
    ) -> Lane:
        """Open a lane."""
        lane = Lane(spec, open_work, tell, options, self)
        self.lanes.append(lane)
        return lane


class Emitted(NamedTuple):
    """One event, without the hop at which it came out."""

    data: Payload
    start_sample: int
    end_sample: int


@dataclass
class Heard:
    """What came out for one stream."""

    events: list[Emitted] = field(default_factory=list)
    audio: list[Sound] = field(default_factory=list)
    marks: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def samples(self) -> Sound:
        """All that came out, in order."""
        return np.concatenate(self.audio) if self.audio else np.zeros(0, np.float32)

    def mark(self, name: str) -> NDArray[Any]:
        """All values of a mark, one per hop."""
        return np.array(self.marks[name])


def with_required(plugin: Plugin) -> list[Plugin]:
    """Put installed plugins that provide what is required in front, in order."""
    chain: list[Plugin] = []

    def append(one: Plugin) -> None:
        for need in one.spec.requires:
            if not any(mark.name == need for earlier in chain for mark in earlier.spec.provides):
                append(_provider_of(need))
        chain.append(one)

    append(plugin)
    return chain


def _provider_of(mark: str) -> Plugin:
    for name in registry.installed():
        plugin = registry.make(name)
        if any(provided.name == mark for provided in plugin.spec.provides):
            return plugin
    raise AssertionError(f"no installed plugin provides {mark!r}")


class Rig:
    """A short chain that ends with the plugin under test.

    Args:
        plugin: The plugin under test, or the name of an installed one.
        capacity: Rows.
        spoil: Write garbage into every lent array after each tick.
        keep: Remember marks and audio, not only events.

    Attributes:
        thrift: How many times less often than usual the plugin is asked to tell what it finds.
    """

    def __init__(self, plugin: Plugin | str, capacity: int = 6, *, spoil: bool = True, keep: bool = True) -> None:
        self.plugin = registry.make(plugin) if isinstance(plugin, str) else plugin
        self.chain = with_required(self.plugin)
        self.contexts = [Context() for _ in self.chain]
        self.processors = [one.open(context, capacity) for one, context in zip(self.chain, self.contexts, strict=True)]
        self._facts: dict[str, Facts] = {}
        self._past: dict[str, tuple[Past, Past]] = {}
        self._said: list[tuple[int, BlockEvent]] = []
        self.streams: list[str] = []
        self.heard: dict[str, Heard] = {}
        self._marks = {
            mark.name: (mark, np.full((capacity, *mark.shape), mark.unknown, mark.dtype))
            for one in self.chain
            for mark in one.spec.provides
        }
        self._late_heard = {
            one.spec.name: AudioDelay(capacity, HOP, one.spec.latency_samples)
            for one in self.chain
            if one.spec.edits_audio
        }
        self.thrift = 1
        self._spoil = spoil
        self._keep = keep
        self._position: dict[str, int] = {}
        self._tick = 0

    @property
    def _parts(self) -> list[Any]:
        return [*self.processors, *self._late_heard.values()]

    def admit(self, stream: str) -> None:
        """Let a stream in, in the first free row."""
        self._facts[stream] = Facts(len(self._facts) + 1, stream)
        self._forget(stream)
        for part in self._parts:
            part.admit(len(self.streams))
        self.streams.append(stream)
        self.heard[stream] = Heard()
        self._position[stream] = 0

    def retire(self, stream: str) -> None:
        """Take a stream out; the last one takes its row."""
        row, last = self.streams.index(stream), len(self.streams) - 1
        for part in self._parts:
            part.retire(row, last)
        self.streams[row] = self.streams[last]
        self.streams.pop()

    def reset(self, stream: str, reason: ResetReason = ResetReason.REQUEST) -> None:
        """Reset one stream and take its position back to 0."""
        row = self.streams.index(stream)
        for processor in self.processors:
            processor.reset(np.array([row]), reason)
        for delay in self._late_heard.values():
            delay.admit(row)
        self._position[stream] = 0
        self._forget(stream)
        self.heard[stream] = Heard()

    def _forget(self, stream: str) -> None:
        windows_s = [lane.spec.window_s for context in self.contexts for lane in context.lanes]
        hops = seconds_to_hops(max(windows_s, default=0.0) + _KEPT_S, FORMAT.sample_rate_hz, HOP)
        self._past[stream] = (Past(hops), Past(hops))
        for context in self.contexts:
            for lane in context.lanes:
                lane.forget(stream)

    def tick(self, hops: Mapping[str, Sound], flags: Mapping[str, int] | None = None) -> None:
        """Run one hop, float32 [hop_samples], of every live stream."""
        n = len(self.streams)
        samples = np.zeros((n, HOP), np.float32)
        flag_bits = np.zeros(n, np.uint8)
        position = np.zeros(n, np.int64)
        for row, stream in enumerate(self.streams):
            samples[row] = hops[stream]
            flag_bits[row] = (flags or {}).get(stream, 0)
            position[row] = self._position[stream]
            self._position[stream] += HOP
        marks = {name: array[:n] for name, (_, array) in self._marks.items()}
        lent = dict(marks)
        entered = samples.copy()
        is_sane = bool((np.abs(samples) <= SANE).all())
        block = Block(self._tick, samples, np.arange(n)[::-1].copy(), position, flag_bits, marks, entered)
        block.thrift = self.thrift
        self._tick += 1
        for index, (plugin, processor) in enumerate(zip(self.chain, self.processors, strict=True)):
            block.events = [
                event for speaker, event in self._said if speaker < index and event.kind in plugin.spec.hears
            ]
            before = None if plugin.spec.edits_audio else samples.copy()
            processor.process(block, self._emit(index))
            if is_sane and plugin.spec.edits_audio:
                assert np.abs(samples).max(initial=0.0) <= SANE, f"{plugin.spec.name} would be taken out for its audio"
            for mark in plugin.spec.provides:
                assert marks[mark.name] is lent[mark.name], f"{plugin.spec.name} replaced the array of {mark.name}"
            if before is not None:
                np.testing.assert_array_equal(samples, before, f"{plugin.spec.name} edits audio without saying so")
            elif plugin.spec.latency_samples:
                position -= plugin.spec.latency_samples
                self._late_heard[plugin.spec.name].exchange(entered)
        said, self._said = self._said, []
        self._work(said, block, hops, samples)
        for row, stream in enumerate(self.streams if self._keep else []):
            heard = self.heard[stream]
            heard.audio.append(samples[row].copy())
            for mark in self.plugin.spec.provides:
                heard.marks.setdefault(mark.name, []).append(marks[mark.name][row].copy())
        if self._spoil:
            arrays: list[NDArray[Any]] = [samples, entered, position, flag_bits, block.rows, *marks.values()]
            for array in arrays:
                array[...] = np.nan if array.dtype.kind == "f" else 77

    def play(
        self, audio: Mapping[str, Sound], starts: Mapping[str, int] | None = None, *, end: bool = True
    ) -> dict[str, Heard]:
        """Play streams, each from its tick on, until all have ended.

        As in the engine, zeros fill the last hop, one empty hop follows (and as many as the chain delays), the last
        of which is flagged LAST, and the stream is retired after it. Without `end`, streams just stop and stay.
        """
        drain_hops = 1 + -(-sum(one.spec.latency_samples for one in self.chain) // HOP) if end else 0
        waiting = dict(audio)
        playing: dict[str, list[tuple[Sound, int]]] = {}
        tick = 0
        while waiting or playing:
            for stream in [one for one in waiting if (starts or {}).get(one, 0) <= tick]:
                if stream not in self.streams:
                    self.admit(stream)
                playing[stream] = list(hops_of(waiting.pop(stream), drain_hops))[::-1]
            if playing:
                now = {stream: left.pop() for stream, left in playing.items()}
                self.tick({one: hop for one, (hop, _) in now.items()}, {one: flag for one, (_, flag) in now.items()})
            for stream in [one for one, left in playing.items() if not left]:
                del playing[stream]
                if end:
                    self.retire(stream)
            tick += 1
        return self.heard

    def close(self) -> None:
        """Close the processors."""
        for processor in self.processors:
            processor.close()

    def _work(
        self, said: list[tuple[int, BlockEvent]], block: Block, hops: Mapping[str, Sound], samples: Sound
    ) -> None:
        """Let lanes work on what is due after a tick, and say what they found."""
        if not any(context.lanes for context in self.contexts):
            return
        for row, stream in enumerate(self.streams):
            self._past[stream][0].append(hops[stream], self._position[stream] - HOP)
            self._past[stream][1].append(samples[row], int(block.start_sample[row]))
        for index, context in enumerate(self.contexts):
            for lane in context.lanes:
                found = []
                for row, stream in enumerate(self.streams):
                    past = self._past[stream][lane.spec.audio == "processed"]
                    mark = block.marks[lane.spec.while_mark][row] if lane.spec.while_mark else 1
                    if lane.due(stream, mark):
                        found.append(lane.find(self._facts[stream], past, 0, past.end_sample, STRIDE))
                    for _, event in said:
                        if event.row == row and event.kind in lane.spec.on:
                            span = event.start_sample, event.end_sample
                            found.append(lane.find(self._facts[stream], past, *span, event.kind))
                for finding in filter(None, found):
                    lane.tell(finding, self._emit(index))

    def _emit(self, index: int) -> Emit:
        def emit(row: int | StreamFacts | None, data: Payload, start_sample: int, end_sample: int) -> None:
            if isinstance(row, Facts):
                row = self.streams.index(row.call)
            plugin = self.chain[index]
            if plugin is self.plugin:
                self._hear(row, data, start_sample, end_sample)
            facts = self._facts[self.streams[row]] if isinstance(row, int) else None
            place = row if isinstance(row, int) else None
            self._said.append((index, BlockEvent(place, facts, plugin.spec.name, data, start_sample, end_sample)))

        return emit

    def _hear(self, row: Any, data: Payload, start_sample: int, end_sample: int) -> None:
        assert checked(data, self.plugin.spec.emits) == data, "a payload holds what the engine would refuse"
        if row is None:  # about whoever happens to be there
            return
        assert type(row) is int
        assert type(start_sample) is int
        assert type(end_sample) is int
        assert start_sample <= end_sample
        self.heard[self.streams[row]].events.append(Emitted(data, start_sample, end_sample))


def hops_of(samples: Sound, drain_hops: int) -> Iterator[tuple[Sound, int]]:
    """Cut a stream into hops with their flags as the engine does, with some empty ones after it."""
    whole = len(samples) // HOP
    for k in range(whole):
        yield samples[k * HOP : (k + 1) * HOP], 0
    rest = samples[whole * HOP :]
    if len(rest):
        yield np.pad(rest, (0, HOP - len(rest))), int(HopFlag.PADDED)
    for k in range(drain_hops):
        yield np.zeros(HOP, np.float32), int(HopFlag.PADDED | (HopFlag.LAST if k == drain_hops - 1 else 0))
