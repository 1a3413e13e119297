"""Correction: a recording and an edited text become a recording of the edited text, in the mood that it asks for.

After EmoCorrector (Liu et al. 2025, arXiv:2505.20341): emotional feature of the edited text, retrieval of matching
speech, synthesis with that emotion and the speaker's identity. Here only the edited span is made; all else stays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, SpeechHandle
from rtemo.dsp.watermark import add_watermark
from rtemo.voice.align import moved_times, warp_path
from rtemo.voice.colour import coloured
from rtemo.voice.edits import Edit, edits_between, matched_words, words_of
from rtemo.voice.errors import VoiceError
from rtemo.voice.imitation import Imitator, Sentence
from rtemo.voice.manner import MANNERS
from rtemo.voice.reference import RATE_HZ
from rtemo.voice.seams import FADE_SAMPLES, gain_between, put_in, quiet_place
from rtemo_models.systems.emo_corrector.delivery import Delivery, delivered, delivery_of
from rtemo_models.systems.emo_corrector.store import ClipStore, Found
from rtemo_models.systems.emo_corrector.takes import TakeJudge, Verdict, best_of, takes_of
from rtemo_models.systems.emo_corrector.text_emotion import text_emotion

_NEIGHBOURS = 2
_LEAST_WORD_SAMPLES = 480


class Span(NamedTuple):
    """What was replaced, and by what.

    Attributes:
        old: Words that were there.
        new: Words that are there now.
        start_sample: Where they begin in the new recording.
        end_sample: Where they end.
    """

    old: str
    new: str
    start_sample: int
    end_sample: int


class Correction(NamedTuple):
    """A corrected recording.

    Attributes:
        samples: float32 [k] at 16 kHz; what is synthetic in it carries the watermark.
        spans: What was replaced.
        emotion: The mood that was aimed at.
        found: Clips whose delivery was taken.
        delivery: How the new words are said, against how the speaker speaks.
        verdict: How they were heard; None where nobody judged.
        takes: How many takes it was chosen from.
    """

    samples: NDArray[np.float32]
    spans: tuple[Span, ...]
    emotion: str
    found: tuple[Found, ...]
    delivery: Delivery
    verdict: Verdict | None = None
    takes: int = 1


def transcribed(
    speech: SpeechHandle, samples: NDArray[np.float32], language: str
) -> tuple[list[str], NDArray[np.int64]]:
    """Write down a recording: words, and int64 [words, 2] where each lies in it."""
    code = language.split("-")[0]
    text = speech.transcribe([samples], language=code if code in speech.languages else "")[0]
    words, times = [], []
    for spoken in (word for part in text.utterances for word in part.words):
        own = words_of(spoken.text)
        if own:
            words.append("-".join(own))
            times.append((round(spoken.start_s * RATE_HZ), round(spoken.end_s * RATE_HZ)))
    return words, np.array(times, np.int64).reshape(-1, 2).clip(0, len(samples))


def word_times(
    samples: NDArray[np.float32],
    words: Sequence[str],
    imitator: Imitator,
    heard: tuple[list[str], NDArray[np.int64]] | None = None,
) -> NDArray[np.int64]:
    """Tell where each word of a text lies in its recording, int64 [words, 2].

    Where a recogniser has heard them, by its times; words that it did not hear, and all of them where there is none, by
    dynamic time warping of the synthetic copy, whose times are known, onto the recording.
    """
    copy = imitator.copy_sentence
    times = np.array([imitator.word_samples(copy, place, place + 1) for place in range(len(copy.forms))], np.int64)
    path = warp_path(imitator.copy, samples)
    warped = moved_times(times.reshape(-1), path).reshape(-1, 2)
    places = matched_words(words, [form.text for form in copy.forms])
    found = np.array([warped[place] if place is not None else (-1, -1) for place in places], np.int64)
    known: list[int] = []
    if heard is not None and heard[0]:
        for place, match in enumerate(matched_words(words, heard[0])):
            if match is not None:
                found[place] = heard[1][match]
                known.append(place)
    for place in sorted(set(range(len(found))) - set(known)):  # between those that were heard
        low = max((found[other, 1] for other in known if other < place), default=0)
        high = min((found[other, 0] for other in known if other > place), default=len(samples))
        if found[place, 0] >= 0:
            found[place] = found[place].clip(low, max(low, high))
    for place in range(len(found)):  # one that nobody knows stands where the one before ends
        if found[place, 0] < 0:
            found[place] = found[place - 1, 1] if place else 0
    ordered = np.maximum.accumulate(found.reshape(-1)).reshape(-1, 2)
    return ordered.clip(0, len(samples))


def choose_delivery(
    emotion: NDArray[np.float64], store: ClipStore | None, texts: Sequence[str], k: int = 3
) -> tuple[Delivery, tuple[Found, ...]]:
    """Choose how new words are said: as clips that express the mood, or as that mood is said by most people."""
    if store is not None:
        found = tuple(store.search(emotion, k, texts))
        if found:
            return delivery_of(found, store), found
    return Delivery(MANNERS[EMOTIONS[int(np.argmax(emotion))]], np.zeros(0, np.float32)), ()


def correct(
    samples: NDArray[np.float32],
    old_text: str,
    new_text: str,
    imitator: Imitator,
    *,
    heard: tuple[list[str], NDArray[np.int64]] | None = None,
    store: ClipStore | None = None,
    emotion: NDArray[np.float64] | None = None,
    k: int = 3,
    judge: TakeJudge | None = None,
    takes: int = 1,
) -> Correction:
    """Replace the words of a recording that an edited text changes.

    Args:
        samples: The recording, float32 [k] at 16 kHz.
        old_text: What is said in it.
        new_text: What it is to say.
        imitator: Speaks as the recording does; it was made with the old text.
        heard: Words and times of a recogniser, of `transcribed`.
        store: Clips to take the delivery from; without one it is that of most people.
        emotion: float64 [8], the mood; found by `text_emotion` when None.
        k: How many clips.
        judge: Chooses among takes; without it there is one.
        takes: How many there are at most.

    Raises:
        VoiceError: Nothing is changed, or the new text cannot be said.
    """
    old, new = words_of(old_text), words_of(new_text)
    if not new:
        raise VoiceError("the edited text has no word", "give the sentence as it is to be said")
    edits = edits_between(old, new)
    if not edits:
        raise VoiceError(
            "the edited text says what the recording says", "change a word, or ask for a manner alone, as --manner calm"
        )
    changed = frozenset(word.lower() for edit in edits for word in new[edit.new_start : edit.new_end])
    wanted = text_emotion(new_text, changed) if emotion is None else emotion
    delivery, found = choose_delivery(wanted, store, (old_text, new_text), k)
    times = word_times(samples, old, imitator, heard)
    sentence = imitator.planned(new_text)

    def taken(way: Delivery) -> tuple[NDArray[np.float32], list[Span]]:
        made, spans = samples, list[Span]()
        for edit in reversed(edits):  # from the end, so that positions before it stay
            made, span = _replaced(made, samples, times, imitator, sentence, edit, way, old, new)
            spans = [span, *_moved(spans, span, edit, times)]
        return made, spans

    ways = [delivery] if judge is None else takes_of(delivery, wanted, takes)
    done = [taken(way) for way in ways]
    chosen, verdict = 0, None
    if judge is not None:
        places = [place for edit in edits for place in range(edit.new_start, edit.new_end)]
        verdicts = [
            judge.hear(made, new_text, places, [(span.start_sample, span.end_sample) for span in spans], wanted)
            for made, spans in done
        ]
        chosen = best_of(verdicts)
        verdict = verdicts[chosen]
    made, spans = done[chosen]
    emotion_name = EMOTIONS[int(np.argmax(wanted))]
    return Correction(made, tuple(spans), emotion_name, found, ways[chosen], verdict, len(ways))


def _moved(spans: list[Span], before: Span, edit: Edit, times: NDArray[np.int64]) -> list[Span]:
    """Move later spans by what an earlier one has become longer."""
    start, end = span_of(times, edit)
    shift = (before.end_sample - before.start_sample) - (end - start)
    return [span._replace(start_sample=span.start_sample + shift, end_sample=span.end_sample + shift) for span in spans]


def span_of(times: NDArray[np.int64], edit: Edit) -> tuple[int, int]:
    """Tell which samples the old words of an edit take; none, between two words, where words are put in."""
    if edit.end > edit.start:
        return int(times[edit.start, 0]), int(times[edit.end - 1, 1])
    if edit.start == 0:
        return int(times[0, 0]), int(times[0, 0])
    before = int(times[edit.start - 1, 1])
    after = int(times[edit.start, 0]) if edit.start < len(times) else before
    middle = (before + max(after, before)) // 2
    return middle, middle


def _replaced(
    made: NDArray[np.float32],
    samples: NDArray[np.float32],
    times: NDArray[np.int64],
    imitator: Imitator,
    sentence: Sentence,
    edit: Edit,
    delivery: Delivery,
    old: Sequence[str],
    new: Sequence[str],
) -> tuple[NDArray[np.float32], Span]:
    start, end = span_of(times, edit)
    start = quiet_place(samples, start)
    end = max(start, quiet_place(samples, end))
    words = (" ".join(old[edit.start : edit.end]), " ".join(new[edit.new_start : edit.new_end]))
    if edit.new_end == edit.new_start:
        made, at = put_in(made, start, end, np.zeros(0, np.float32))
        return made, Span(*words, at, at)
    first, last = edit.new_start, edit.new_end
    said = delivered(imitator, sentence, first, last, delivery)
    audio = imitator.spoken(said)
    gain = _level(samples, times, audio, said, imitator, edit) * 10.0 ** (delivery.manner.level_db / 20.0)
    if len(delivery.colour_db):
        audio = coloured(audio, np.ones(len(delivery.colour_db)), 10.0 ** (delivery.colour_db / 10.0))
    low, high = imitator.word_samples(said, first, last)
    half = FADE_SAMPLES // 2
    low, high = quiet_place(audio, low), quiet_place(audio, high)
    padded = np.pad(audio, (half, half))
    piece = np.clip(padded[low : high + 2 * half] * np.float32(gain), -0.98, 0.98).astype(np.float32)
    marked = add_watermark(piece, start - half) if imitator.service.has_watermark else piece
    made, begin = put_in(made, start, end, marked)
    return made, Span(*words, begin + half, begin + len(marked) - half)


def _level(
    samples: NDArray[np.float32],
    times: NDArray[np.int64],
    audio: NDArray[np.float32],
    said: Sentence,
    imitator: Imitator,
    edit: Edit,
) -> float:
    """Gain by which the words around the edit are as loud in the copy as in the recording."""
    wanted, copied = [], []
    after = len(said.forms) - edit.new_end
    for place in range(max(0, edit.start - _NEIGHBOURS), edit.start):
        wanted.append(samples[times[place, 0] : times[place, 1]])
        new_place = place - edit.start + edit.new_start
        copied.append(audio[slice(*imitator.word_samples(said, new_place, new_place + 1))])
    for step in range(min(_NEIGHBOURS, len(times) - edit.end, after)):
        wanted.append(samples[times[edit.end + step, 0] : times[edit.end + step, 1]])
        copied.append(audio[slice(*imitator.word_samples(said, edit.new_end + step, edit.new_end + step + 1))])
    if sum(map(len, wanted)) < _LEAST_WORD_SAMPLES:
        return 1.0
    return gain_between(np.concatenate(wanted), np.concatenate(copied))
