"""Recording of one utterance from a microphone, from its first word to the silence after it."""

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, ConfigError, ProcessedBlock, Source, SpeechEnd, SpeechStart, StreamFormat

if TYPE_CHECKING:
    from rtemo.config import Config

_LEAD_S, _TAIL_S = 0.3, 0.1


class _Keeper:
    """A sink that keeps what it is given, in memory."""

    name = "utterance"
    overrun_samples = 0
    underrun_samples = 0

    def __init__(self) -> None:
        self.parts: list[NDArray[np.float32]] = []

    def open(self, format: StreamFormat) -> None:
        """Nothing has to be opened."""

    def write(self, block: ProcessedBlock) -> None:
        """Keep the first stream's audio."""
        if block.n:
            self.parts.append(block.audio(0)[1].copy())

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""


def record_utterance(longest_s: float = 20.0, device: str = "", source: Source | None = None) -> NDArray[np.float32]:
    """Record until somebody has spoken and fallen silent, float32 [k] at 16 kHz; nothing is written to disk.

    Args:
        longest_s: When to give up, or to break off who does not stop.
        device: Microphone, by number or part of its name; empty is the default one.
        source: Where audio comes from instead, for tests.

    Raises:
        AudioInputError: Nobody spoke.
        ConfigError: No plugin of the chain tells when somebody speaks.
        DeviceError: There is no such microphone.
    """
    import rtemo
    from rtemo.config import load_config
    from rtemo.io.sources.microphone import MicrophoneSource
    from rtemo.io.sources.options import MicrophoneOptions

    if source is None:
        wanted: int | str = int(device) if device.isdecimal() else device
        source = MicrophoneSource(MicrophoneOptions(device=wanted, role="user"))
    keeper = _Keeper()
    start = end = -1
    config = load_config(None)
    with rtemo.Session(_listening(config), sources=[source], sinks=[keeper]) as session:
        rate_hz = session.engine.format.sample_rate_hz
        until_s = time.monotonic() + longest_s
        for event in session.events(2.0):
            if isinstance(event.data, SpeechStart) and start < 0:
                start = event.start_sample
            elif isinstance(event.data, SpeechEnd) and start >= 0:
                end = event.end_sample
                break
            if time.monotonic() > until_s:
                break
    if start < 0:
        raise AudioInputError(f"nobody spoke within {longest_s:.0f} s", "speak louder, or check `rtemo devices`")
    samples = np.concatenate(keeper.parts)
    first = max(0, start - round(_LEAD_S * rate_hz))
    return samples[first : end + round(_TAIL_S * rate_hz)] if end >= 0 else samples[first:]


def _listening(config: "Config") -> "Config":
    """Keep of the chain no more than the first plugin that tells when somebody speaks."""
    from rtemo.cli.options import specs_of

    for name, spec in zip(config.chain, specs_of(config, config.chain), strict=True):
        if SpeechStart in spec.emits:
            return msgspec.structs.replace(config, chain=(name,))
    raise ConfigError("no plugin of the chain tells when somebody speaks", "add one that does (see rtemo plugins)")
