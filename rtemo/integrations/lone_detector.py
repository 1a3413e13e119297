"""LoneDetector: the installed voice activity detector, run by itself on one stream, for frameworks that call it."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo import extensions
from rtemo.api import AudioDemand, Block, ConfigError, ModelCard, ModelHandle, Payload, SpeechStart, StreamFormat
from rtemo.engine import registry
from rtemo.runtime.store import ModelStore

_PROBABILITY = ".probability"


class LoneDetector:
    """Tells the probability of voice hop by hop; loads in a thread, and says 0 until it is loaded.

    Args:
        name: The plugin; the first of the default chain that tells where speech begins when empty.
        options: Of the plugin.

    Raises:
        ConfigError: No plugin there tells a probability of voice.
    """

    def __init__(self, name: str = "", options: dict[str, Any] | None = None) -> None:
        self._plugin, self._mark = _find(name, options or {})
        self._format = StreamFormat()
        self._processor: Any = None
        self._problem: BaseException | None = None
        self._rest = np.zeros(0, np.float32)
        self._at = 0
        self._marks = {mark.name: np.zeros((1, *mark.shape), mark.dtype) for mark in self._plugin.spec.provides}
        self._loading = threading.Thread(target=self._load, name="rtemo-detector", daemon=True)
        self._loading.start()

    @property
    def is_ready(self) -> bool:
        """Whether it is loaded.

        Raises:
            RtemoError: It cannot be.
        """
        if self._problem is not None:
            raise self._problem
        return self._processor is not None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is loaded."""
        self._loading.join(timeout_s)
        return self.is_ready

    def probability(self, samples: NDArray[np.float32]) -> float:
        """Take audio, float32 [k] at 16 kHz, and give the mean over the hops that it completes, or 0."""
        if not self.is_ready:
            return 0.0
        hop = self._format.hop_samples
        joined = np.concatenate([self._rest, samples])
        found = [self._judge(joined[begin : begin + hop]) for begin in range(0, joined.shape[0] - hop + 1, hop)]
        self._rest = joined[joined.shape[0] // hop * hop :]
        return float(np.mean(found)) if found else 0.0

    def _judge(self, hop: NDArray[np.float32]) -> float:
        block = Block(
            self._at // hop.shape[0],
            hop[None].copy(),
            np.zeros(1, np.int64),
            np.array([self._at], np.int64),
            np.zeros(1, np.uint8),
            self._marks,
        )
        self._processor.process(block, _nobody)
        self._at += hop.shape[0]
        probability = float(self._marks[self._mark][0])
        return 0.0 if np.isnan(probability) else probability

    def _load(self) -> None:
        try:
            processor = self._plugin.open(_Lending(self._format), 1)
            processor.admit(0)
            self._processor = processor
            self._judge(np.zeros(self._format.hop_samples, np.float32))  # what is compiled at first use is compiled now
            self._at = 0
        except BaseException as error:
            self._processor, self._problem = None, error


class _Lending:
    """What the engine would lend."""

    audio_demand: AudioDemand = "never"
    said_earlier: frozenset[str] = frozenset()
    said_later: frozenset[str] = frozenset()

    def __init__(self, format: StreamFormat) -> None:
        self.format = format
        self._store = ModelStore()

    def model(self, name: str) -> ModelHandle:
        """Load a bundle."""
        return self._store.load(name)

    def card(self, name: str) -> ModelCard:
        """Read the card of a bundle."""
        return self._store.card(name)


def _find(name: str, options: dict[str, Any]) -> tuple[Any, str]:
    """Find a detector by what it declares, with the name of its mark."""
    for candidate in (name,) if name else extensions.default_chain():
        plugin = registry.make(candidate)
        marks = [mark.name for mark in plugin.spec.provides if mark.name.endswith(_PROBABILITY)]
        if SpeechStart in plugin.spec.emits and marks and not plugin.spec.requires:
            return (registry.make(candidate, options) if options else plugin), marks[0]
    what = f"plugin {name!r} does not tell" if name else "no plugin of the default chain tells"
    raise ConfigError(f"{what} a probability of voice", "name a plugin that does")


def _nobody(row: Any, data: Payload, start_sample: int, end_sample: int) -> None:
    """Take no event: the marks tell everything."""
