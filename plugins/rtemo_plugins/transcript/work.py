"""Work: writes down the turns of all streams; runs on the lane's own thread."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import LaneContext, ModelError, SpokenText, Transcript, Utterance, Window, Word
from rtemo.api.lane import STRIDE
from rtemo.api.turns import Turn, Turns
from rtemo_plugins.transcript.ear import Ear, TurnText
from rtemo_plugins.transcript.options import TranscriptOptions
from rtemo_plugins.transcript.redaction import redacted
from rtemo_plugins.transcript.trust import is_said

_SURE_S = 2.0
"""Least speech from which a language is taken to be found for good."""
_DOUBTFUL_LOG_PROBABILITY = -0.7
"""A turn that is less likely than this in the language of its stream is tried in whatever language it may be."""


class Spoken(NamedTuple):
    """What is to be said of a turn."""

    start_sample: int
    transcript: Transcript


class _Job(NamedTuple):
    """A window made ready for the model."""

    number: int
    window: Window
    turn: Turn
    ear: Ear
    text: TurnText
    samples: NDArray[np.float32]
    is_final: bool


class Work:
    """Works on batches of windows; see `rtemo.api.lane.LaneWork`.

    Args:
        context: Lends the model.
        options: Of the plugin.
        turns: When each stream spoke.

    Raises:
        ModelError: There is no such model, it hears another rate, or it does not know the language.
    """

    def __init__(self, context: LaneContext, options: TranscriptOptions, turns: Turns) -> None:
        self._speech = speech = context.speech(options.bundle)
        self._options = options
        self._turns = turns
        self._rate_hz = rate_hz = context.format.sample_rate_hz
        self._ears: dict[int, Ear] = {}
        self._prompt = ", ".join(word.strip() for word in options.hot_words if word.strip())
        if speech.card.sample_rate_hz != rate_hz:
            raise ModelError(
                f"bundle {options.bundle!r} hears {speech.card.sample_rate_hz} Hz, the engine gives {rate_hz} Hz",
                "take the transcript plugin out of `chain`",
            )
        if options.language and options.language not in speech.languages:
            known = ", ".join(speech.languages[:8])
            raise ModelError(
                f"bundle {options.bundle!r} does not know the language {options.language!r}",
                f"choose one of those that it knows ({known}, ...), or leave plugins.transcript.language empty",
            )

    def __call__(self, windows: Sequence[Window]) -> list[Spoken | None]:
        """One text for each window, or None; of one stream the windows come one after the other."""
        for stream in [stream for stream in self._ears if not self._turns.knows(stream)]:
            del self._ears[stream]
        results: list[Spoken | None] = [None] * len(windows)
        left = list(range(len(windows)))
        while left:
            streams: set[int] = set()
            now, later = [], []
            for number in left:
                stream = windows[number].stream.id
                (later if stream in streams else now).append(number)
                streams.add(stream)
            jobs = [job for number in now if (job := self._prepare(number, windows[number])) is not None]
            self._listen([job for job in jobs if len(job.samples)])
            for job in jobs:
                results[job.number] = self._say(job)
            left = later
        return results

    def _prepare(self, number: int, window: Window) -> _Job | None:
        stream, options = window.stream.id, self._options
        is_final = window.trigger != STRIDE
        if is_final:
            turn = self._turns.ended_at(stream, window.end_sample) or Turn(window.start_sample, window.end_sample)
        else:
            going_on = self._turns.going_on(stream, window.end_sample)
            if going_on is None:
                return None
            turn = going_on
        least_s = options.least_s if is_final else options.first_s
        if window.end_sample - turn.start_sample < least_s * self._rate_hz:
            return None
        ear = self._ears.setdefault(stream, Ear())
        text = ear.turn(turn.start_sample)
        if window.start_sample > text.base:  # the lane came too late for it, or the stream has jumped
            text.words.give_up(window.start_sample)
            text.base = window.start_sample
        samples = window.samples[text.base - window.start_sample :]
        if is_final and text.heard_to >= window.end_sample:  # a stride has heard it all, and the pause behind it
            samples = samples[:0]
        return _Job(number, window, turn, ear, text, samples, is_final)

    def _listen(self, jobs: Sequence[_Job]) -> None:
        """Have windows written down, those of one kind at once; for the last word on a turn more time is taken."""
        alike: dict[tuple[str, bool], list[_Job]] = {}
        for job in jobs:
            alike.setdefault((self._options.language or job.ear.language, job.is_final), []).append(job)
        again: list[_Job] = []
        for (language, is_final), group in alike.items():
            for job, text in zip(group, self._write(group, language, is_final), strict=True):
                if language and not self._options.language and is_final and self._is_doubtful(text):
                    again.append(job)
                else:
                    self._take(job, text, is_found=not language)
        if again:  # somebody goes on in another language
            for job, text in zip(again, self._write(again, "", True), strict=True):
                self._take(job, text, is_found=True)

    def _write(self, jobs: Sequence[_Job], language: str, is_final: bool) -> list[SpokenText]:
        windows = [job.samples for job in jobs]
        return self._speech.transcribe(windows, language=language, prompt=self._prompt, patient=is_final)

    def _is_doubtful(self, text: SpokenText) -> bool:
        said = [one.mean_log_probability for one in text.utterances if is_said(one, self._options)]
        return not said or min(said) < _DOUBTFUL_LOG_PROBABILITY

    def _take(self, job: _Job, spoken: SpokenText, is_found: bool) -> None:
        text, ear, options = job.text, job.ear, self._options
        words = self._words(job, [one for one in spoken.utterances if is_said(one, options)])
        text.words.take(words)
        text.heard_to = job.window.end_sample
        if is_found and words:
            text.language, text.language_probability = spoken.language, spoken.language_probability
            is_sure = spoken.language_probability >= options.language_sure
            if is_sure and len(job.samples) >= _SURE_S * self._rate_hz:
                ear.keep(spoken.language, spoken.language_probability)

    def _words(self, job: _Job, utterances: Sequence[Utterance]) -> list[Word]:
        """Words with their places in the stream, in order and within what was listened to."""
        words: list[Word] = []
        first, last = job.text.base, job.window.end_sample
        for utterance in utterances:
            spoken = [(one.text, one.start_s, one.end_s, one.probability) for one in utterance.words]
            for text, start_s, end_s, probability in spoken or _spread(utterance):
                if not text.strip():
                    continue
                start = min(max(job.text.base + round(start_s * self._rate_hz), first), last)
                end = min(max(job.text.base + round(end_s * self._rate_hz), start), last)
                words.append(Word(text=text, start_sample=start, end_sample=end, probability=_rounded(probability)))
                first = start
        return words

    def _say(self, job: _Job) -> Spoken | None:
        text, options = job.text, self._options
        words = text.words
        if job.is_final:
            words.stand()
            job.ear.close(job.turn.start_sample)
        elif job.window.end_sample - text.base > options.trim_s * self._rate_hz:
            settled = words.settle(job.window.end_sample)
            text.base = text.base if settled is None else settled
        said = [*words.stable, *words.rest]
        shown = [word.text for word in said]
        stable_count = len(words.stable)
        if options.redact:
            shown, fixed_count = redacted(shown, job.is_final)
            stable_count = min(stable_count, fixed_count)
        line = "".join(shown)
        blanks = len(line) - len(line.lstrip())
        line = line.strip()
        stable_chars = min(max(sum(map(len, shown[:stable_count])) - blanks, 0), len(line))
        told = (line, stable_chars)
        if not job.is_final and (not options.partial or told == (text.told or ("", 0))):
            return None
        text.told = told
        transcript = Transcript(
            text=line,
            stable_chars=stable_chars,
            is_final=job.is_final,
            language=options.language or text.language,
            language_probability=_rounded(text.language_probability),
            words=tuple(
                Word(
                    text=mask.strip(),
                    start_sample=word.start_sample,
                    end_sample=word.end_sample,
                    probability=word.probability,
                )
                for mask, word in zip(shown, said, strict=True)
            ),
            is_redacted=shown != [word.text for word in said],
            trigger="stride" if not job.is_final else "stream_end" if job.turn.is_last else "turn_end",
        )
        return Spoken(job.turn.start_sample, transcript)


def _spread(utterance: Utterance) -> list[tuple[str, float, float, float | None]]:
    """Words of an utterance whose times were not found: each as long as its letters."""
    texts = [f" {text}" for text in utterance.text.split()]
    total, at, words = max(sum(map(len, texts)), 1), utterance.start_s, []
    for text in texts:
        end = at + (utterance.end_s - utterance.start_s) * len(text) / total
        words.append((text, at, end, None))
        at = end
    return words


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
