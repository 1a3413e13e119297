"""WebrtcBackEnd: the voice detector of the WebRTC project, one per stream, asked only when there is sound."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, HopFlag, PluginError, StateTable, StreamFormat
from rtemo.dsp.kernel import kernel
from rtemo_plugins.vad.back_end import UNKNOWN

VOTE_WEIGHT = np.float32(0.3)
"""Weight of the newest decision in the smoothed vote; tuned with the thresholds in `TUNED`."""

_CONCEALED = int(HopFlag.CONCEALED)


class WebrtcBackEnd:
    """Gaussian mixtures over six sub-bands of 80-4000 Hz in fixed point (WebRTC's `common_audio/vad`).

    The library takes one frame of one stream per call (about 2 us), so this is the one loop over rows; everything
    around it is done for all rows at once. Its bare decision is a bit; the probability given here is a smoothed vote
    and not calibrated.

    Args:
        format: Must have frames the library accepts.
        capacity: Most rows.
        aggressiveness: 0 to 3.
        silence_power: Mean square below which a hop is silence without asking.

    Raises:
        PluginError: The library is not installed, or does not accept the format.
    """

    def __init__(self, format: StreamFormat, capacity: int, aggressiveness: int, silence_power: float) -> None:
        try:
            webrtcvad = import_module("webrtcvad")
        except ImportError as error:
            raise PluginError(
                f"`back_end = 'webrtc'` needs a package that cannot be imported ({error})",
                "run pip install webrtcvad-wheels, or choose `back_end = 'silero'`, the default",
            ) from error
        if not webrtcvad.valid_rate_and_frame_length(format.sample_rate_hz, format.hop_samples):
            raise PluginError(
                f"webrtcvad takes 10, 20 or 30 ms at 8, 16, 32 or 48 kHz; got {format.hop_samples} samples at "
                f"{format.sample_rate_hz} Hz",
                "choose such a hop or `back_end = 'silero'`",
            )
        self._rate_hz = format.sample_rate_hz
        self._hop_samples = format.hop_samples
        self._aggressiveness = aggressiveness
        self._silence_power = np.float32(silence_power)
        self.lag_samples = np.zeros(capacity, np.int64)
        self.began = np.zeros(capacity, np.uint8)
        self._make: Any = webrtcvad.Vad
        self._detectors: list[Any] = []
        self._state = StateTable(capacity)
        self._vote = self._state.add("vote", (), np.float32)
        self._pcm = np.zeros((capacity, format.hop_samples), np.int16)
        self._pcm_bytes = [memoryview(row).cast("B") for row in self._pcm]

    def judge(
        self, block: Block, probability: NDArray[np.float32], voice: NDArray[np.uint8], toned: NDArray[np.uint32]
    ) -> None:
        """Judge one hop of every row; one that is known by now to be a tone is not asked for."""
        _prepare(block.samples, block.flags, self._silence_power, self._pcm, voice)
        voice[(voice == 1) & (toned & 1 != 0)] = 0
        for row in np.flatnonzero(voice == 1).tolist():
            voice[row] = self._detectors[row].is_speech(self._pcm_bytes[row], self._rate_hz, self._hop_samples)
        _vote(voice, self._vote, probability)

    def admit(self, row: int) -> None:
        """Make a detector for `row`, the first free one."""
        self._state.admit(row)
        self._detectors.append(self._make(self._aggressiveness))

    def retire(self, row: int, last: int) -> None:
        """Drop the detector of `row`; the last one takes its place."""
        self._state.retire(row, last)
        self._detectors[row] = self._detectors[last]
        self._detectors.pop()

    def reset(self, row: int) -> None:
        """Replace the detector of `row` by a fresh one."""
        self._state.reset(row)
        self._detectors[row] = self._make(self._aggressiveness)


@kernel
def _prepare(
    samples: NDArray[np.float32],
    flags: NDArray[np.uint8],
    silence_power: np.float32,
    pcm: NDArray[np.int16],
    voice: NDArray[np.uint8],
) -> None:
    """Convert to 16 bit and mark what need not be asked: 0 silence, 1 to be asked, `UNKNOWN` made-up audio.

    NaN becomes 0; what is out of range is clipped.
    """
    n, hop_samples = samples.shape
    for i in range(n):
        power = np.float32(0.0)
        for k in range(hop_samples):
            x = samples[i, k]
            x = np.float32(0.0) if np.isnan(x) else min(max(x, np.float32(-1.0)), np.float32(1.0))
            power += x * x
            pcm[i, k] = np.int16(x * np.float32(32767.0))
        if flags[i] & _CONCEALED:
            voice[i] = UNKNOWN
        else:
            voice[i] = 1 if power >= silence_power * np.float32(hop_samples) else 0


@kernel
def _vote(voice: NDArray[np.uint8], vote: NDArray[np.float32], probability: NDArray[np.float32]) -> None:
    for i in range(voice.shape[0]):
        vote[i] += VOTE_WEIGHT * (np.float32(1.0 if voice[i] == 1 else 0.0) - vote[i])
        probability[i] = np.float32(np.nan) if voice[i] == UNKNOWN else vote[i]
