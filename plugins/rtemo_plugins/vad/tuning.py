"""Tuning: the thresholds and times found best for each back end on noisy speech of known boundaries."""

import msgspec

from rtemo.api import ConfigError, StreamFormat
from rtemo.api.units import seconds_to_hops, seconds_to_samples
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.turn import Rules


class Tuning(msgspec.Struct, frozen=True):
    """What a null in the options stands for."""

    start_probability: float
    stop_probability: float
    min_speech_ms: float
    onset_pad_ms: float
    offset_pad_ms: float


TUNED = {
    "webrtc": Tuning(0.7, 0.5, 60.0, 30.0, -40.0),
    "silero": Tuning(0.4, 0.35, 50.0, 30.0, -40.0),
}
"""Within 0.003 of the best mean frame F1 over clean, 20, 10 and 0 dB on training noises, with the fewest short words
lost among those; the pads bring the median errors of onset and offset near zero. WebRTC's decisions trail by its own
hangover of 60 to 90 ms, silero's by its windows."""

RESUME_S = 0.06
"""Voiced time that takes speech out of its hangover; less is a click."""


def rules_for(options: VadOptions, format: StreamFormat) -> Rules:
    """Turn options into the numbers the state machine works with.

    Raises:
        ConfigError: Speech would stop at a higher probability than it starts.
    """
    tuned = TUNED[options.back_end]

    def chosen(name: str) -> float:
        value = getattr(options, name)
        return float(getattr(tuned, name) if value is None else value)

    start, stop = chosen("start_probability"), chosen("stop_probability")
    if stop > start:
        raise ConfigError(
            f"vad: stop_probability {stop} is above start_probability {start}", "set it to at most that value"
        )
    rate_hz, hop = format.sample_rate_hz, format.hop_samples
    return Rules(
        start_probability=start,
        stop_probability=stop,
        min_speech_hops=seconds_to_hops(chosen("min_speech_ms") / 1000, rate_hz, hop),
        resume_hops=seconds_to_hops(RESUME_S, rate_hz, hop),
        hangover_hops=seconds_to_hops(options.hangover_ms / 1000, rate_hz, hop),
        onset_pad_samples=seconds_to_samples(chosen("onset_pad_ms") / 1000, rate_hz),
        offset_pad_samples=seconds_to_samples(chosen("offset_pad_ms") / 1000, rate_hz),
        max_samples=seconds_to_samples(options.max_speech_s, rate_hz),
        hop_samples=hop,
    )
