"""Rig: one plugin and those it needs, driven hop by hop without an engine, in buffers spoilt after every hop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from rtemo.api import Block, HopFlag, Payload, Plugin, ResetReason, StreamFormat
from rtemo.dsp.finite import SANE
from rtemo.engine import registry
from rtemo.engine.delay import AudioDelay
from rtemo.engine.outlet import checked
from rtemo.runtime import ModelStore

FORMAT = StreamFormat()
HOP = FORMAT.hop_samples

_MODELS = ModelStore()


class Context:
    """What the engine lends plugins: the format and checked models."""

    format = FORMAT

    def model(self, name: str):
        return _MODELS.load(name)

    def card(self, name: str):
        return _MODELS.card(name)


class Emitted(NamedTuple):
    """One event, without the hop at which it came out."""

    data: Payload
    start_sample: int
    end_sample: int


@dataclass
class Heard:
    """What came out for one stream."""

    events: list[Emitted] = field(default_factory=list)
    audio: list[np.ndarray] = field(default_factory=list)
    marks: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate(self.audio) if self.audio else np.zeros(0, np.float32)

    def mark(self, name: str) -> np.ndarray:
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
    """

    def __init__(self, plugin: Plugin | str, capacity: int = 6, *, spoil: bool = True, keep: bool = True) -> None:
        self.plugin = registry.make(plugin) if isinstance(plugin, str) else plugin
        self.chain = with_required(self.plugin)
        self.processors = [one.open(Context(), capacity) for one in self.chain]
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
        self._spoil = spoil
        self._keep = keep
        self._position: dict[str, int] = {}
        self._tick = 0

    def admit(self, stream: str) -> None:
        for part in (*self.processors, *self._late_heard.values()):
            part.admit(len(self.streams))
        self.streams.append(stream)
        self.heard[stream] = Heard()
        self._position[stream] = 0

    def retire(self, stream: str) -> None:
        row, last = self.streams.index(stream), len(self.streams) - 1
        for part in (*self.processors, *self._late_heard.values()):
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
        self.heard[stream] = Heard()

    def tick(self, hops: Mapping[str, np.ndarray], flags: Mapping[str, int] | None = None) -> None:
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
        self._tick += 1
        for plugin, processor in zip(self.chain, self.processors, strict=True):
            is_under_test = plugin is self.plugin
            before = None if plugin.spec.edits_audio else samples.copy()
            processor.process(block, self._hear if is_under_test else _ignore)
            if is_sane and plugin.spec.edits_audio:
                assert np.abs(samples).max(initial=0.0) <= SANE, f"{plugin.spec.name} would be taken out for its audio"
            for mark in plugin.spec.provides:
                assert marks[mark.name] is lent[mark.name], f"{plugin.spec.name} replaced the array of {mark.name}"
            if before is not None:
                np.testing.assert_array_equal(samples, before, f"{plugin.spec.name} edits audio without saying so")
            elif plugin.spec.latency_samples:
                position -= plugin.spec.latency_samples
                self._late_heard[plugin.spec.name].exchange(entered)
        for row, stream in enumerate(self.streams if self._keep else []):
            heard = self.heard[stream]
            heard.audio.append(samples[row].copy())
            for mark in self.plugin.spec.provides:
                heard.marks.setdefault(mark.name, []).append(marks[mark.name][row].copy())
        if self._spoil:
            for array in (samples, entered, position, flag_bits, block.rows, *marks.values()):
                array[...] = np.nan if array.dtype.kind == "f" else 77

    def play(
        self, audio: Mapping[str, np.ndarray], starts: Mapping[str, int] | None = None, *, end: bool = True
    ) -> dict[str, Heard]:
        """Play streams, each from its tick on, until all have ended.

        As in the engine, zeros fill the last hop, one empty hop follows (and as many as the chain delays), the last
        of which is flagged LAST, and the stream is retired after it. Without `end`, streams just stop and stay.
        """
        drain_hops = 1 + -(-sum(one.spec.latency_samples for one in self.chain) // HOP) if end else 0
        waiting = dict(audio)
        playing: dict[str, list[tuple[np.ndarray, int]]] = {}
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
        for processor in self.processors:
            processor.close()

    def _hear(self, row: int, data: Payload, start_sample: int, end_sample: int) -> None:
        assert checked(data) == data, "a payload holds what the engine would refuse"
        assert type(row) is int
        assert type(start_sample) is int
        assert type(end_sample) is int
        assert start_sample <= end_sample
        self.heard[self.streams[row]].events.append(Emitted(data, start_sample, end_sample))


def _ignore(row: int, data: Payload, start_sample: int, end_sample: int) -> None:
    pass


def hops_of(samples: np.ndarray, drain_hops: int) -> Iterator[tuple[np.ndarray, int]]:
    """Cut a stream into hops with their flags as the engine does, with some empty ones after it."""
    whole = len(samples) // HOP
    for k in range(whole):
        yield samples[k * HOP : (k + 1) * HOP], 0
    rest = samples[whole * HOP :]
    if len(rest):
        yield np.pad(rest, (0, HOP - len(rest))), int(HopFlag.PADDED)
    for k in range(drain_hops):
        yield np.zeros(HOP, np.float32), int(HopFlag.PADDED | (HopFlag.LAST if k == drain_hops - 1 else 0))
