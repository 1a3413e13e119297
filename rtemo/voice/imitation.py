"""Imitation: text in the voice of a reference, with its colour, pitch and tempo."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import VoicePlan
from rtemo.voice.colour import coloured, spectrum_of
from rtemo.voice.envelope import EnvelopeMatcher
from rtemo.voice.formants import played_rate_hz, rendered
from rtemo.voice.manner import at_median
from rtemo.voice.phonemes import SpokenForm
from rtemo.voice.reference import RATE_HZ, Melody, melody_of
from rtemo.voice.seams import gain_between
from rtemo.voice.service import VoiceService, sign_spans
from rtemo.voice.speaker import without_silence
from rtemo.voice.style import Style

_SLOWEST, _FASTEST = 0.6, 1.8
_LEAST_FRAMES = 1


class Sentence(NamedTuple):
    """A sentence that is going to be said.

    Attributes:
        forms: Its words.
        spans: Which durations of the plan belong to each word.
        plan: How it is said.
    """

    forms: list[SpokenForm]
    spans: list[slice]
    plan: VoicePlan


class Imitator:
    """Says text as a reference sounds.

    The style brings what the model can reach. What it cannot is given by filter: the long-term spectrum of the
    reference over that of a copy of the same text, where the text is known, so that voice, room and line are alike.

    Args:
        service: What speaks.
        style: Fitted to the reference, or near to it.
        reference: float32 [k] at 16 kHz.
        text: What is said in the reference; empty where nobody knows.
        language: Of the text.
        colour_share: How far the spectrum is moved to that of the reference, 0 to 1.
        envelope_share: How far each sound is moved to how the reference says it, where the text is known, 0 to 1.
    """

    def __init__(
        self,
        service: VoiceService,
        style: Style,
        reference: NDArray[np.float32],
        text: str = "",
        language: str = "en-us",
        colour_share: float = 1.0,
        envelope_share: float = 0.0,
    ) -> None:
        self.service = service
        self.style = style
        self.language = language
        self.reference = reference
        self.melody: Melody = melody_of(reference)
        self._share = colour_share
        self._wanted = spectrum_of(without_silence(reference))
        self._own = self._wanted
        self.speed = 1.0
        copy = self.planned(text or "The birch canoe slid on the smooth planks.")
        self.copy = rendered(service.voice, copy.plan, style.formants)
        self.copy_sentence = copy
        self._own = spectrum_of(without_silence(self.copy))
        self.gain = gain_between(without_silence(reference), without_silence(self.copy))
        if text:
            spoken_s = len(without_silence(reference)) / RATE_HZ
            made_s = len(without_silence(self.copy)) / RATE_HZ
            self.speed = float(np.clip(made_s / max(spoken_s, 0.1), _SLOWEST, _FASTEST))
        self._matcher: EnvelopeMatcher | None = None
        if text and envelope_share > 0.0:
            copied = coloured(self.copy, self._own, self._wanted, self._share) * np.float32(self.gain)
            self._matcher = EnvelopeMatcher(copied, reference, envelope_share)

    def planned(self, text: str, speed: float | None = None) -> Sentence:
        """Plan a sentence at the median pitch and the tempo of the reference.

        Raises:
            VoiceError: There is nothing to say in it.
        """
        forms = self.service.forms(text, self.language)
        signs, spans = sign_spans(forms)
        speed = (speed or self.speed) / self.style.formants  # what is played faster is made slower
        plan = self.service.voice.plan(signs, self.style.of(len(signs)), speed=speed)
        return Sentence(forms, spans, at_median(plan, self.melody.median_hz))

    def with_durations(self, sentence: Sentence, durations_frames: NDArray[np.int64]) -> Sentence:
        """Plan a sentence once more with durations of one's own."""
        plan = self.service.voice.plan(
            sentence.plan.signs, sentence.plan.style, durations_frames=np.maximum(durations_frames, _LEAST_FRAMES)
        )
        return sentence._replace(plan=at_median(plan, self.melody.median_hz))

    def spoken(self, sentence: Sentence) -> NDArray[np.float32]:
        """Render a sentence in colour and level of the reference, float32 [k] at 16 kHz, without watermark."""
        samples = rendered(self.service.voice, sentence.plan, self.style.formants)
        made = coloured(samples, self._own, self._wanted, self._share) * np.float32(self.gain)
        if self._matcher is not None:
            made = self._matcher.matched(made)
        clipped: NDArray[np.float32] = np.clip(made, -0.98, 0.98)
        return clipped

    def word_samples(self, sentence: Sentence, first: int, last: int) -> tuple[int, int]:
        """Tell where words [first, last) of a sentence lie in what `spoken` gives."""
        ends = np.cumsum(sentence.plan.durations_frames) * self.service.voice.frame_samples
        scale = RATE_HZ / played_rate_hz(self.service.voice.card.sample_rate_hz, self.style.formants)
        start = ends[sentence.spans[first].start - 1]
        end = ends[sentence.spans[last - 1].stop - 1]
        return round(start * scale), round(end * scale)


def with_pitch(sentence: Sentence, pitch_hz: NDArray[np.float32]) -> Sentence:
    """Give a sentence another melody, float32 [2 frames]."""
    return sentence._replace(plan=msgspec.structs.replace(sentence.plan, pitch_hz=pitch_hz))


def stretched_contour(pitch_hz: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Give a melody in semitones about its median, filled where nothing is voiced, as so many values over its length.

    Zeros where nothing at all is voiced.
    """
    voiced = np.flatnonzero(pitch_hz > 0)
    if len(voiced) < 3 or count < 1:
        return np.zeros(count, np.float32)
    semitones = 12.0 * np.log2(pitch_hz[voiced] / np.median(pitch_hz[voiced]))
    within = pitch_hz[voiced[0] : voiced[-1] + 1]
    whole = np.interp(np.arange(len(within)), voiced - voiced[0], semitones)
    smooth = np.convolve(np.pad(whole, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    return np.interp(np.linspace(0, len(smooth) - 1, count), np.arange(len(smooth)), smooth).astype(np.float32)
