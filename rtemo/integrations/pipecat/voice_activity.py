"""RtemoVADAnalyzer: rtemo's voice activity detector in pipecat's place for one."""

from typing import Any

from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams

from rtemo.dsp.resample import PolyphaseResampler
from rtemo.integrations.lone_detector import LoneDetector
from rtemo.io.pcm import decode_pcm

_FRAME_S = 0.02
_RATE_HZ = 16_000


class RtemoVADAnalyzer(VADAnalyzer):
    """Tells the confidence that 20 ms hold voice, with what tones, music and faint speech ask for.

    It loads in a thread; until then there is no voice. It runs by itself and needs no `RtemoProcessor`.

    Args:
        sample_rate: See `VADAnalyzer`.
        params: See `VADAnalyzer`; where volume is no sign of speech (faint lines), `min_volume` may be 0.
        options: Of the plugin.
    """

    def __init__(
        self, *, sample_rate: int | None = None, params: VADParams | None = None, options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(sample_rate=sample_rate, params=params)
        self.detector = LoneDetector(options=options)
        self._resampler: PolyphaseResampler | None = None

    def set_sample_rate(self, sample_rate: int) -> None:
        """See `VADAnalyzer`."""
        super().set_sample_rate(sample_rate)
        rate_hz = self.sample_rate
        self._resampler = None if rate_hz == _RATE_HZ else PolyphaseResampler(rate_hz, _RATE_HZ)

    def num_frames_required(self) -> int:
        """Samples that are judged at once: 20 ms."""
        samples: int = round(_FRAME_S * self.sample_rate)
        return samples

    def voice_confidence(self, buffer: bytes) -> float:
        """Tell the confidence, 0 to 1, that a buffer holds voice. The analyzer's own thread."""
        samples = decode_pcm(buffer, "s16le")
        if self._resampler is not None:
            samples = self._resampler.process(samples[None, :])[0]
        return self.detector.probability(samples)
