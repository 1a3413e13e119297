"""VoiceService: says text, the beginning before the end is made, each sample marked as synthetic."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import VoiceHandle, VoicePlan
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.dsp.watermark import RATE_HZ, Watermarker
from rtemo.voice.clauses import clauses_of
from rtemo.voice.colour import ColourFilter
from rtemo.voice.errors import VoiceError
from rtemo.voice.espeak import Espeak, find_espeak
from rtemo.voice.formants import before_playing, played_rate_hz
from rtemo.voice.manner import Manner, at_median, shaped
from rtemo.voice.phonemes import SpokenForm, phonemes_of
from rtemo.voice.style import Style

_LEAD_FRAMES = 4
_FIRST_FRAMES = 22
_MORE_FRAMES = 120
_CONTEXT_FRAMES = 8
_FULL = 0.98
_WORDS = "give a sentence"


class TimedWord(NamedTuple):
    """One word that was said, and when.

    Attributes:
        text: As written.
        signs: Its phonemes.
        start_sample: Where it begins in all that was said, at 16 kHz.
        end_sample: Where it ends.
    """

    text: str
    signs: str
    start_sample: int
    end_sample: int


class SpokenPart(NamedTuple):
    """Some of what is said.

    Attributes:
        samples: float32 [k] at 16 kHz, with the watermark.
        words: Words that the clause which begins here will hold; empty in its later parts.
    """

    samples: NDArray[np.float32]
    words: tuple[TimedWord, ...]


class Speech(NamedTuple):
    """All of what was said.

    Attributes:
        samples: float32 [k] at 16 kHz, with the watermark.
        words: Its words, in order.
    """

    samples: NDArray[np.float32]
    words: tuple[TimedWord, ...]


class VoiceService:
    """Says text in any style of one model.

    Args:
        voice: The model.
        espeak: What turns words into IPA; espeak-ng where it is installed when None.
        has_watermark: Whether what is said carries the watermark. Only for measuring what it costs.
    """

    def __init__(self, voice: VoiceHandle, espeak: Espeak | None = None, has_watermark: bool = True) -> None:
        self.voice = voice
        self._espeak = espeak or find_espeak()
        self.has_watermark = has_watermark

    def forms(self, text: str, language: str = "en-us") -> list[SpokenForm]:
        """Turn text into words with phonemes that this voice can say.

        Raises:
            VoiceError: There is nothing to say in it.
        """
        return phonemes_of(text, language, self._espeak, self.voice.signs)

    def plan(
        self, forms: list[SpokenForm], style: Style, manner: Manner | None = None
    ) -> tuple[VoicePlan, list[slice]]:
        """Plan one clause; tells also which signs belong to each word.

        Raises:
            VoiceError: It is too long, or the voice does not plan.
        """
        signs, spans = sign_spans(forms)
        manner = manner or Manner()
        try:
            plan = self.voice.plan(signs, style.of(len(signs)), speed=manner.speed / style.formants)
        except ValueError as error:
            raise VoiceError(str(error), "give a shorter text") from error
        return shaped(at_median(plan, style.pitch_hz), manner), spans

    def stream(
        self, text: str, style: Style, *, language: str = "en-us", manner: Manner | None = None
    ) -> Iterator[SpokenPart]:
        """Say text: parts come as soon as they are made, the first after the first quarters of a second of speech.

        A clause is planned as a whole, so that its melody is that of the clause, and rendered in pieces.

        Raises:
            VoiceError: There is nothing to say in it.
        """
        clauses = [clause for clause in clauses_of(text) if any(map(str.isalnum, clause))]
        if not clauses:
            raise VoiceError(f"there is no word in {text[:40]!r}" if text.strip() else "there is no text", _WORDS)
        manner = manner or Manner()
        gain = 10.0 ** (manner.level_db / 20.0)
        rate_hz = played_rate_hz(self.voice.card.sample_rate_hz, style.formants if self.voice.can_plan else 1.0)
        output = _Output(rate_hz, gain, style.colour_db, self.has_watermark)
        is_first = True
        for clause in clauses:
            forms = self.forms(clause, language)
            start = output.given_samples
            if not self.voice.can_plan:
                signs, spans = sign_spans(forms)
                audio, ends = self.voice.say(signs, style.of(len(signs)), speed=manner.speed)
                words = _timed(forms, spans, ends, start, rate_hz)
                yield SpokenPart(output.put(audio), words)
                continue
            plan, spans = self.plan(forms, style, manner)
            if is_first:  # nobody waits for silence
                silence = int(plan.durations_frames[0]) - _LEAD_FRAMES
                plan = cut_plan(plan, max(silence, 0), int(plan.durations_frames.sum()))
            ends = np.cumsum(plan.durations_frames) * self.voice.frame_samples
            words = _timed(forms, spans, ends, start, rate_hz)
            plan = before_playing(plan, rate_hz / self.voice.card.sample_rate_hz)
            for piece in self._rendered(plan, is_first):
                yield SpokenPart(output.put(piece), words)
                words = ()
            is_first = False
        yield SpokenPart(output.end(), ())

    def say(self, text: str, style: Style, *, language: str = "en-us", manner: Manner | None = None) -> Speech:
        """Say text as a whole; see `stream`."""
        parts = list(self.stream(text, style, language=language, manner=manner))
        return Speech(
            np.concatenate([part.samples for part in parts]), tuple(word for part in parts for word in part.words)
        )

    def _rendered(self, plan: VoicePlan, is_first: bool) -> Iterator[NDArray[np.float32]]:
        """Render a plan in pieces that are joined in the middle of what both have made."""
        frames = int(plan.durations_frames.sum())
        first = _FIRST_FRAMES if is_first else _MORE_FRAMES
        if frames <= first + 2 * _CONTEXT_FRAMES:
            yield self.voice.render(plan)
            return
        size = self.voice.frame_samples
        start = 0
        tail = np.zeros(0, np.float32)
        length = first
        while start < frames:
            end = frames if frames - start - length < 2 * _CONTEXT_FRAMES else _quiet_frame(plan, start + length)
            low, high = max(0, start - _CONTEXT_FRAMES), min(frames, end + _CONTEXT_FRAMES)
            audio = self.voice.render(cut_plan(plan, low, high))
            piece = audio[(start - low) * size : (end - low) * size].copy()
            if tail.size:
                fade = np.linspace(0.0, 1.0, tail.size, dtype=np.float32)
                piece[: tail.size] = fade * piece[: tail.size] + (1.0 - fade) * tail
            tail = audio[(end - low) * size : (end - low) * size + size].copy()
            yield piece
            start = end
            length = min(_MORE_FRAMES, 2 * length)


class _Output:
    """From the rate of the voice to 16 kHz, colour, level and watermark, part by part."""

    def __init__(self, rate_hz: int, gain: float, colour_db: Sequence[float], has_watermark: bool) -> None:
        self._resampler = PolyphaseResampler(rate_hz, RATE_HZ)
        self._gain = np.float32(gain)
        self._colour = ColourFilter(colour_db) if len(colour_db) > 1 else None
        self._marker = Watermarker() if has_watermark else None
        self._rate_hz = rate_hz
        self._taken_samples = 0

    @property
    def given_samples(self) -> int:
        """How many samples at 16 kHz what was put in so far makes."""
        return -(-self._taken_samples * RATE_HZ // self._rate_hz)

    def put(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        self._taken_samples += audio.shape[0]
        return self._marked(self._resampler.process(audio))

    def end(self) -> NDArray[np.float32]:
        rest = self._marked(self._resampler.flush().reshape(-1))
        if self._colour is not None:
            colour, self._colour = self._colour, None
            rest = np.concatenate([rest, self._marked(colour.flush())])
        return rest if self._marker is None else np.concatenate([rest, _limited(self._marker.flush())])

    def _marked(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._colour is not None:
            samples = self._colour.process(samples)
        louder = _limited(self._gain * samples)
        return louder if self._marker is None else _limited(self._marker.process(louder))


def _limited(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    limited: NDArray[np.float32] = np.clip(samples, -_FULL, _FULL)
    return limited


def sign_spans(forms: list[SpokenForm]) -> tuple[str, list[slice]]:
    """Put words together to what a voice is given; tells also which of its durations belong to each word.

    The first duration is that of the silence before, so sign k has duration k + 1.
    """
    signs = ""
    spans = []
    for form in forms:
        if signs:
            signs += " "
        spans.append(slice(len(signs) + 1, len(signs) + 1 + len(form.signs)))
        signs += form.signs + form.mark
    return signs, spans


def cut_plan(plan: VoicePlan, start: int, end: int) -> VoicePlan:
    """Take frames [start, end) out of a plan, to be rendered by themselves."""
    ends = np.cumsum(plan.durations_frames)
    starts = ends - plan.durations_frames
    durations = np.maximum(np.minimum(ends, end) - np.maximum(starts, start), 0)
    return msgspec.structs.replace(
        plan,
        durations_frames=durations,
        pitch_hz=plan.pitch_hz[2 * start : 2 * end],
        energy=plan.energy[2 * start : 2 * end],
    )


def _quiet_frame(plan: VoicePlan, wanted: int) -> int:
    """Find the frame near a place where least is heard, so that a join is not."""
    low, high = max(1, wanted - _CONTEXT_FRAMES), min(int(plan.durations_frames.sum()) - 1, wanted + _CONTEXT_FRAMES)
    energy = plan.energy.reshape(-1, 2).mean(axis=1)[low:high]
    return low + int(np.argmin(energy))


def _timed(
    forms: list[SpokenForm], spans: list[slice], ends: NDArray[np.int64], start_sample: int, rate_hz: int
) -> tuple[TimedWord, ...]:
    def at(sample: int) -> int:
        return start_sample + int(sample) * RATE_HZ // rate_hz

    return tuple(
        TimedWord(form.text, form.signs, at(ends[span.start - 1]), at(ends[span.stop - 1]))
        for form, span in zip(forms, spans, strict=True)
    )
