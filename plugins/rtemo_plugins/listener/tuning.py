"""ListenerTuner: turns cut into the windows that the lane would give the network, for `rtemo tune`."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, TunedTurn, TunedWindow
from rtemo.dsp.whisper_mel import MEL_COUNT, RATE_HZ, as_whisper_hears, log_mel_power
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.work import FRAME_SAMPLES, LEAST_FRAMES, ONSET_SAMPLES, frames_of

_STRIDE_SAMPLES = RATE_HZ
"""Time between two windows of a turn: those that the plugin takes in between hardly say anything new."""


class ListenerTuner:
    """See `rtemo.api.Tuner`; windows begin and end as the plugin's do with its own options."""

    plugin = "listener"
    option = "bundle"
    bundle = "merit-large"
    mask = "there"

    def windows(self, card: ModelCard, samples: NDArray[np.float32], turn: TunedTurn) -> list[TunedWindow]:
        """Cut a turn into windows."""
        options, frames = ListenerOptions(), frames_of(card, card.name)
        start = max(0, turn.known_sample - ONSET_SAMPLES)
        if turn.end_sample - start < options.least_s * RATE_HZ:
            return []
        first = start + round(options.first_s * RATE_HZ)
        windows = []
        for end in (*range(first, turn.end_sample, _STRIDE_SAMPLES), turn.end_sample):
            is_final = end == turn.end_sample
            begin = max(turn.start_sample if is_final else 0, start, end - frames * FRAME_SAMPLES)
            count = (end - begin) // FRAME_SAMPLES
            if count < LEAST_FRAMES:
                continue
            mel = np.zeros((2 * frames, MEL_COUNT), np.float32)
            power = log_mel_power(samples[begin : begin + count * FRAME_SAMPLES])
            mel[: 2 * count] = as_whisper_hears(power, float(card.front_end["loudest"]))
            there = (np.arange(frames) < count).astype(np.float32)
            share = min(1.0, (end - begin) / (end - start)) * (0.5 if is_final else 1.0)  # as `memory.Heard.add`
            windows.append(TunedWindow({"mel": mel, "there": there}, share if windows else 1.0))
        return windows
