"""Product: clips through rtemo itself, many at a time, and what its `spoof` events say of each."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.clip_source import ClipSource
from bench.quality.spoof.heard import Heard
from rtemo.api import Event, Fault, Health, RtemoError, Spoof, StreamEnd
from rtemo.config import Config, load_config
from rtemo.engine import registry
from rtemo.session import Session

CHAINS = {
    "gem": ("vad", "merit", "gem"),
    "listener": ("vad", "listener"),
    "default": ("vad", "listener", "merit", "gem"),
}
"""What is measured → the plugins that it needs, and nothing else; `default` is both, as in the chain that ships."""
TELLERS = {"gem": ("gem",), "listener": ("listener",), "default": ("gem", "listener")}
"""What is measured → its plugins that tell of synthesis."""
LEAST = {"gem": "least_s", "listener": "heard_s"}
"""Plugin → its option for the speech before the first verdict."""
EVERY_DECISION = {"refresh_s": 0.5}
"""Options of a plugin with which it tells of every decision; what it decides stays as configured."""


_PATIENCE_S = 60.0  # of the engine with a plugin, on a machine that does something else as well


class Product:
    """Streams clips through one session in freewheel, each as a call of its own.

    Args:
        config: A configuration; by default the chain is what the plugin needs.
        parallel: Clips in the engine at once.
        options: Options of what tells of synthesis that are set whatever the configuration says; by default it speaks
            of every decision, from one second of speech on.
        system: One of `CHAINS`.

    Attributes:
        parallel: Clips in the engine at once.
        busy_us: Time of these plugins in the tick per stream and hop over the last run, the median of its reports; NaN
            before.
    """

    def __init__(
        self,
        config: Path | None = None,
        parallel: int = 16,
        options: Mapping[str, object] | None = None,
        system: str = "gem",
    ) -> None:
        tellers = TELLERS[system]
        chosen = {name: {**EVERY_DECISION, LEAST[name]: 1.0} if options is None else dict(options) for name in tellers}
        self._config = config_of(system, config, parallel, chosen)
        self._tellers = tellers
        self.parallel = parallel
        self.busy_us = float("nan")

    def hear(self, clips: Iterable[tuple[str, NDArray[np.float32]]]) -> dict[str, Heard]:
        """Hear clips under names of their own; what was never spoken in has an empty `Heard`.

        Raises:
            RtemoError: Something broke on the way.
        """
        source, tally = ClipSource(clips, self.parallel), _Tally(self._tellers)
        session = Session(self._config, sources=[source], publishers=[tally], mode="freewheel")
        session.start()
        try:
            while not session.wait(0.1):
                if source.failure or tally.faults:
                    break
        finally:
            session.stop()
        if source.failure:
            raise source.failure
        if tally.faults:
            fault = tally.faults[0]
            raise RtemoError(f"{fault.where} failed in the engine ({fault.problem})", "mend it first")
        self.busy_us = tally.busy_us
        return {name: tally.heard(name) for name in source.names}


class _Tally:
    """A publisher that keeps what is said of spoofing."""

    name = "tally"

    def __init__(self, tellers: Sequence[str]) -> None:
        self._tellers = tellers
        self.faults: list[Fault] = []
        self._busy_us: list[float] = []
        self._lock = threading.Lock()
        self._said: dict[str, list[tuple[Spoof, int]]] = {}
        self._duration_s: dict[str, float] = {}

    def open(self) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        with self._lock:
            for event in events:
                data = event.data
                if isinstance(data, Spoof):
                    self._said.setdefault(event.call, []).append((data, event.end_sample))
                elif isinstance(data, StreamEnd):
                    self._duration_s[event.call] = data.duration_s
                elif isinstance(data, Fault):
                    self.faults.append(data)
                elif isinstance(data, Health):
                    timings = {timing.name: timing.busy_p50_us for timing in data.plugins}
                    busy_us = sum(timings.get(name, 0.0) for name in self._tellers)
                    if data.streams and busy_us:
                        self._busy_us.append(busy_us / data.streams)

    @property
    def busy_us(self) -> float:
        """Time in the tick per stream and hop: the median of what health reports say."""
        return float(np.median(self._busy_us)) if self._busy_us else float("nan")

    def heard(self, call: str) -> Heard:
        """What was said of a clip."""
        with self._lock:
            said = self._said.get(call, [])
            return Heard(
                speech_s=np.array([spoof.speech_s for spoof, _ in said]),
                score=np.array([spoof.score for spoof, _ in said]),
                is_spoof=np.array([spoof.verdict == "spoof" for spoof, _ in said], np.bool_),
                is_alarmed=np.array([spoof.is_alarmed for spoof, _ in said], np.bool_),
                is_final=np.array([spoof.trigger == "stream_end" for spoof, _ in said], np.bool_),
                end_s=np.array([end / 16_000 for _, end in said]),
                total_speech_s=said[-1][0].speech_s if said else 0.0,
                duration_s=self._duration_s.get(call, 0.0),
            )


def config_of(system: str, path: Path | None, parallel: int, options: Mapping[str, Mapping[str, object]]) -> Config:
    """Give a configuration with the plugins in its chain, their options and room for the clips.

    Raises:
        RtemoError: A plugin is not installed, or not in the chain of the file.
    """
    chain, tellers = CHAINS[system], TELLERS[system]
    for name in tellers:
        if name not in registry.installed():
            raise RtemoError(f"the plugin {name} is not installed", "install rtemo again, or give module:function")
    config = load_config(path) if path else msgspec.structs.replace(Config(), chain=chain)
    if config.chain == Config().chain:
        config = msgspec.structs.replace(config, chain=chain)  # the file says nothing of the chain
    if not set(tellers) <= set(config.chain):
        raise RtemoError(
            f"{path} has no {' and '.join(tellers)} in its chain", f"add what is needed: {', '.join(chain)}"
        )
    engine = msgspec.structs.replace(config.engine, capacity=max(parallel, config.engine.capacity), hang_s=_PATIENCE_S)
    plugins = config.plugins | {name: {**config.plugin_options(name), **chosen} for name, chosen in options.items()}
    return msgspec.structs.replace(config, engine=engine, plugins=plugins)
