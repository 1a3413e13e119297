"""Cost of a chain on this machine, measured tick by tick without anything else running."""

import resource
import sys
import time
from functools import partial

import msgspec

from rtemo.api import PluginTiming
from rtemo.api.units import samples_to_ms
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
    hop_us: float
    """Time there is for a tick."""
    streams_per_core: int
    """How many streams one core could carry at this cost per stream."""
    keeps_up: bool
    """Whether 99 % of the ticks took less than a hop."""
    plugins: tuple[PluginTiming, ...]
    peak_memory_mib: float


def measure(config: Config, streams: int, audio_s: float, *, with_audio: bool = False) -> ChainCost:
    """Run the chain over synthetic voices, as fast as possible, on this thread alone.

    No source, publisher or clock takes part: the time between two ticks is not counted, so what is measured is the
    driver's own work on a hop (gathering, all plugins, making events). A live run adds what the machine
    does besides.

    Args:
        config: Chain and plugin options.
        streams: How many.
        audio_s: Audio per stream to measure, after a few seconds that are not counted.
        with_audio: Take the processed audio of every stream; else nobody wants any, and what only serves it is not run.

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
    ready_s = time.perf_counter() - start_s
    try:
        feeder = _Feeder(engine, streams)
        _feed(engine, feeder, _SETTLE_S)
        _clear(engine)
        _feed(engine, feeder, audio_s)
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
        hop_us=hop_us,
        streams_per_core=int(streams * hop_us / max(mean_us, 1e-3)),
        keeps_up=health.tick_p99_us < hop_us,
        plugins=health.plugins,
        peak_memory_mib=_peak_memory_mib(),
    )


class _Feeder:
    """Gives every stream its own place in one of a few voices."""

    def __init__(self, engine: Engine, streams: int) -> None:
        rate_hz = engine.format.sample_rate_hz
        self._chunk = _CHUNK_HOPS * engine.format.hop_samples
        self._voices = [nonsense(_VOICE_S, rate_hz, seed) for seed in range(min(streams, _VOICES))]
        self._writers = [engine.open_stream(f"call-{index}", "0") for index in range(streams)]
        self._at = 0

    def write(self) -> None:
        """Write one chunk to every stream."""
        for index, writer in enumerate(self._writers):
            sound = self._voices[index % len(self._voices)]
            start = (self._at + index * 7919) % (sound.shape[0] - self._chunk)
            writer.write(sound[start : start + self._chunk])
        self._at += self._chunk


def _feed(engine: Engine, feeder: _Feeder, audio_s: float) -> None:
    for _ in range(round(audio_s / engine.format.hop_s / _CHUNK_HOPS)):
        feeder.write()
        ticks = 0
        while ticks < _CHUNK_HOPS:
            ticks += engine.driver.step()
        engine.outbox.take(0.0)


def _clear(engine: Engine) -> None:
    engine.driver.tick_time.clear()
    for stage in engine.chain.stages:
        stage.busy.clear()
        stage.wait.clear()


def _peak_memory_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
