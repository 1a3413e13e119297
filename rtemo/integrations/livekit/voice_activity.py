"""RtemoVAD: rtemo's voice activity detector in LiveKit's place for one."""

import asyncio
import time
from collections import deque
from typing import Any

from livekit import rtc
from livekit.agents.vad import VAD, VADCapabilities, VADEvent, VADEventType, VADStream

from rtemo.dsp.resample import PolyphaseResampler
from rtemo.integrations.lone_detector import LoneDetector
from rtemo.integrations.mixing import mixed
from rtemo.io.pcm import as_float

_RATE_HZ = 16_000
_MOST_SPEECH_S = 60.0


class RtemoVAD(VAD):
    """Tells where speech begins and ends; it runs by itself and needs no listener.

    Args:
        activation_threshold: Probability from which a frame counts as voice.
        min_speech_s: Voice before speech has begun.
        min_silence_s: Silence after which it has ended.
        prefix_s: Audio before the first voice that belongs to the speech.
        options: Of the plugin that detects.
    """

    def __init__(
        self,
        *,
        activation_threshold: float = 0.5,
        min_speech_s: float = 0.05,
        min_silence_s: float = 0.4,
        prefix_s: float = 0.3,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(capabilities=VADCapabilities(update_interval=0.02))
        self.activation_threshold = activation_threshold
        self.min_speech_s = min_speech_s
        self.min_silence_s = min_silence_s
        self.prefix_s = prefix_s
        self.options = options

    @property
    def model(self) -> str:
        """Name for metrics."""
        return "rtemo"

    @property
    def provider(self) -> str:
        """Name for metrics."""
        return "rtemo"

    def stream(self) -> "RtemoVADStream":
        """Begin to hear somebody."""
        return RtemoVADStream(self)


class RtemoVADStream(VADStream):
    """One participant; made by `RtemoVAD.stream`. It loads in a thread, and frames wait in its channel meanwhile."""

    def __init__(self, made_by: RtemoVAD) -> None:
        self._rules = made_by
        self._detector = LoneDetector(options=made_by.options)
        self._resampler: PolyphaseResampler | None = None
        self._rate_hz = 0
        self._heard_samples = 0
        self._restart()
        super().__init__(made_by)

    def _restart(self) -> None:
        self._is_speaking = False
        self._voice_s = self._silence_s = self._speech_s = 0.0
        self._quiet_s = self._held_s = 0.0
        self._frames: deque[rtc.AudioFrame] = deque()

    async def _main_task(self) -> None:
        await asyncio.to_thread(self._detector.wait)
        async for frame in self._input_ch:
            if isinstance(frame, self._FlushSentinel):
                if self._is_speaking:
                    self._end()
                self._restart()
                continue
            self._hear(frame)

    def _hear(self, frame: rtc.AudioFrame) -> None:
        begun_s = time.perf_counter()
        if frame.sample_rate != self._rate_hz:
            self._rate_hz = frame.sample_rate
            self._resampler = None if self._rate_hz == _RATE_HZ else PolyphaseResampler(self._rate_hz, _RATE_HZ)
        pcm = as_float(mixed(frame.data.cast("B"), frame.num_channels))
        samples = pcm if self._resampler is None else self._resampler.process(pcm[None, :])[0]
        self._heard_samples += samples.shape[0]
        probability = self._detector.probability(samples)
        duration_s = frame.duration
        self._frames.append(frame)
        self._held_s += duration_s
        if probability >= self._rules.activation_threshold:
            self._voice_s += duration_s
            self._silence_s = 0.0
        else:
            self._silence_s += duration_s
            self._voice_s = 0.0
        if self._is_speaking:
            self._speech_s += duration_s
            if self._silence_s >= self._rules.min_silence_s:
                self._end()
        else:
            self._quiet_s += duration_s
            if self._voice_s >= self._rules.min_speech_s:
                self._is_speaking, self._speech_s = True, self._voice_s
                self._send(VADEventType.START_OF_SPEECH, list(self._frames))
        self._forget(_MOST_SPEECH_S if self._is_speaking else self._rules.prefix_s + self._rules.min_speech_s)
        self._send(
            VADEventType.INFERENCE_DONE,
            [frame],
            probability=probability,
            inference_duration=time.perf_counter() - begun_s,
            raw_accumulated_silence=self._silence_s,
            raw_accumulated_speech=self._voice_s,
        )

    def _end(self) -> None:
        self._is_speaking = False
        self._send(VADEventType.END_OF_SPEECH, list(self._frames))
        self._speech_s = self._quiet_s = self._held_s = 0.0
        self._frames.clear()

    def _forget(self, kept_s: float) -> None:
        while self._held_s > kept_s and len(self._frames) > 1:
            self._held_s -= self._frames.popleft().duration

    def _send(self, kind: VADEventType, frames: list[rtc.AudioFrame], **facts: float) -> None:
        self._event_ch.send_nowait(
            VADEvent(
                type=kind,
                samples_index=self._heard_samples,
                timestamp=time.time(),
                speech_duration=self._speech_s,
                silence_duration=self._silence_s if self._is_speaking else self._quiet_s,
                frames=frames,
                speaking=self._is_speaking,
                **facts,
            )
        )
