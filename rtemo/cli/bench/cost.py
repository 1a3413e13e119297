"""Cost of a chain on this machine, measured tick by tick without anything else running."""

import resource
import sys
import time
from functools import partial

import msgspec
import numpy as np

from rtemo.api import PluginTiming
from rtemo.api.units import samples_to_ms
from rtemo.cli.bench.yardstick import Yardstick
from rtemo.cli.starting import StartLine
from rtemo.config import Config
from rtemo.dsp.voice import nonsense
from rtemo.engine.demand import take_all
from rtemo.engine.engine import Engine
from rtemo.engine.registry import make
from rtemo.runtime.store import ModelStore
from rtemo.warming import Warming

_VOICES = 16
_VOICE_S = 9.0
_SETTLE_S = 3.0
_CHUNK_HOPS = 16
_NEVER_S = 1e9
_LANE_STREAMS = 4
_LANE_AUDIO_S = 6.0
_APART = 7919  # samples between the places at which two streams are
_TURNS_S = 8.0
"""Time from the beginning of a turn to that of the next."""
_LINE_NOISE = 1e-3
"""Deviation of what is heard while nobody speaks, -60 dBFS: no line is quite silent."""


class ChainCost(msgspec.Struct, frozen=True, kw_only=True):
    """What it costs to run a chain over n streams."""

    streams: int
    audio_s: float
    """Audio per stream that was measured."""
    ready_s: float
    """From nothing to a warmed chain, imports of the plugins included."""
    latency_ms: float
    tick_p50_us: float
    tick_p99_us: float
    tick_mean_us: float
    tick_cpu_us: float
    """Processor time of a tick; unlike time by the clock it does not grow while other programs run."""
    speech_share: float
    """Of the time of each stream, the share in which somebody speaks."""
    hop_us: float
    """Time there is for a tick."""
    streams_per_core: int
    """How many streams one core could carry at this cost per stream."""
    keeps_up: bool
    """Whether 99 % of the ticks took less than a hop."""
    plugins: tuple[PluginTiming, ...]
    peak_memory_mib: float
    yardstick_us: float = 0.0
    """Time of a fixed job of NumPy, in turns with what was measured; 0 where it was not taken."""


class LaneCost(msgspec.Struct, frozen=True, kw_only=True):
    """What slow work costs that is done beside the ticks."""

    lane: str
    ms_per_s: float
    """Time for every second of speech of a stream."""
    streams_per_core: int
    """How many streams that speak all the time one core could carry."""
    yardstick_us: float = 0.0
    """Time of a fixed job of NumPy, in turns with what was measured; 0 where it was not taken."""


def measure(
    config: Config, streams: int, audio_s: float, *, with_audio: bool = False, speech_share: float = 1.0
) -> ChainCost:
    """Run the chain over synthetic voices, as fast as possible, on this thread alone.

    No source, publisher or clock takes part: the time between two ticks is not counted, so what is measured is the
    driver's own work on a hop (gathering, all plugins, making events). A live run adds what the machine
    does besides, and worker lanes, which `measure_lanes` looks at.

    Args:
        config: Chain and plugin options.
        streams: How many.
        audio_s: Audio per stream to measure, after a few seconds that are not counted.
        with_audio: Take the processed audio of every stream; else nobody wants any, and what only serves it is not run.
        speech_share: Share of the time in which a voice speaks, in turns of its own; in between there is faint noise.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    start_s = time.perf_counter()
    options = msgspec.structs.replace(config.engine, capacity=streams, health_interval_s=_NEVER_S, owns_process=True)
    plugins = [make(name, config.plugin_options(name)) for name in config.chain]
    engine = Engine(
        plugins,
        options,
        is_live=False,
        open_store=partial(ModelStore, config.runtime),
        on_audio=take_all if with_audio else None,
    )
    with Warming(config, StartLine()):
        engine.open()
    engine.driver.leave_lanes_out()
    ready_s = time.perf_counter() - start_s
    try:
        feeder = _Feeder(engine, streams, speech_share)
        _feed(engine, feeder, _SETTLE_S)
        _clear(engine)
        yardstick = Yardstick()
        cpu_us = _feed(engine, feeder, audio_s, yardstick)
        health = engine.health()
        mean_us = engine.driver.tick_time.mean_ns() / 1e3
    finally:
        engine.stop("measured")
    hop_us = engine.format.hop_ns / 1e3
    return ChainCost(
        streams=streams,
        audio_s=audio_s,
        ready_s=ready_s,
        latency_ms=samples_to_ms(engine.chain.latency_samples, engine.format.sample_rate_hz),
        tick_p50_us=health.tick_p50_us,
        tick_p99_us=health.tick_p99_us,
        tick_mean_us=mean_us,
        tick_cpu_us=cpu_us,
        speech_share=speech_share,
        hop_us=hop_us,
        streams_per_core=int(streams * hop_us / max(mean_us, 1e-3)),
        keeps_up=health.tick_p99_us < hop_us,
        plugins=health.plugins,
        peak_memory_mib=_peak_memory_mib(),
        yardstick_us=yardstick.us,
    )


def measure_lanes(config: Config) -> list[LaneCost]:
    """Run a few voices through the chain with its worker lanes, and tell how long these work.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    options = msgspec.structs.replace(config.engine, capacity=_LANE_STREAMS, health_interval_s=_NEVER_S)
    plugins = [make(name, config.plugin_options(name)) for name in config.chain]
    engine = Engine(plugins, options, is_live=False, open_store=partial(ModelStore, config.runtime))
    engine.open()
    try:
        if not engine.lanes.all:
            return []
        engine.lanes.start()
        feeder = _Feeder(engine, _LANE_STREAMS, speech_share=1.0)
        yardstick = Yardstick()
        _feed(engine, feeder, _LANE_AUDIO_S, yardstick)
        heard_s = _LANE_STREAMS * _LANE_AUDIO_S
        found = []
        for lane in engine.lanes.all:
            ms_per_s = lane.worker.busy.total_ns / 1e6 / heard_s
            found.append(
                LaneCost(
                    lane=lane.worker.where,
                    ms_per_s=ms_per_s,
                    streams_per_core=int(1e3 / max(ms_per_s, 1e-3)),
                    yardstick_us=yardstick.us,
                )
            )
        return found
    finally:
        engine.stop("measured")


class _Feeder:
    """Gives every stream its own place in one of a few voices."""

    def __init__(self, engine: Engine, streams: int, speech_share: float) -> None:
        rate_hz = engine.format.sample_rate_hz
        self._chunk = _CHUNK_HOPS * engine.format.hop_samples
        self._voices = [nonsense(_VOICE_S, rate_hz, seed) for seed in range(min(streams, _VOICES))]
        self._writers = [engine.open_stream(f"call-{index}", "0") for index in range(streams)]
        self._turns = round(_TURNS_S * rate_hz)
        self._spoken = round(speech_share * self._turns)
        self._noise = (_LINE_NOISE * np.random.default_rng(0).standard_normal(rate_hz)).astype(np.float32)
        self._at = 0

    def write(self) -> None:
        """Write one chunk to every stream."""
        for index, writer in enumerate(self._writers):
            sound = self._voices[index % len(self._voices)]
            at = self._at + index * _APART
            if at % self._turns >= self._spoken:
                sound = self._noise
            start = at % (sound.shape[0] - self._chunk)
            writer.write(sound[start : start + self._chunk])
        self._at += self._chunk


def _feed(engine: Engine, feeder: _Feeder, audio_s: float, yardstick: Yardstick | None = None) -> float:
    """Run that much audio; give the processor time of a tick in us."""
    spent_ns = 0
    chunks = max(1, round(audio_s / engine.format.hop_s / _CHUNK_HOPS))
    for _ in range(chunks):
        feeder.write()
        ticks = 0
        start_ns = time.thread_time_ns()
        while ticks < _CHUNK_HOPS:
            ticks += engine.driver.step()
        spent_ns += time.thread_time_ns() - start_ns
        engine.outbox.take(0.0)
        if yardstick is not None:
            yardstick.lay()
    return spent_ns / chunks / _CHUNK_HOPS / 1e3


def _clear(engine: Engine) -> None:
    engine.driver.tick_time.clear()
    for stage in engine.chain.stages:
        stage.busy.clear()
        stage.wait.clear()


def _peak_memory_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
