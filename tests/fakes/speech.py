"""A speech model that hears words spelled by amplitude, so that what is said, when, and in which language is known.

A word is WORD_S of one constant amplitude, its number over `SCALE`; a pause within a turn is a faint one; a window that
cuts a word hears the first letters of it. `NOISE` makes the model write something that nobody said.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, SpeechHandle, SpokenText, SpokenWord, Utterance
from rtemo.runtime import ModelStore
from rtemo.runtime.store import find

RATE_HZ = 16_000
WORD_S, PAUSE_S = 0.3, 0.1
SCALE = 512
FAINT = 1 / 4096
ENGLISH = ("kids", "are", "talking", "by", "the", "door", "my", "number", "is", "four", "five", "4-2", "stop", "seven")
GERMAN = ("heute", "ist", "mittwoch", "bitte", "warten", "gleich")
NOISE = 0.75
LANGUAGES = {"en": ENGLISH, "de": GERMAN}
_ALL = [(word, language) for language, words in LANGUAGES.items() for word in words]


def say(text: str, pause_s: float = PAUSE_S) -> NDArray[np.float32]:
    """Spell a text."""
    numbers = {word: number for number, (word, _) in enumerate(_ALL, 1)}
    parts = []
    for word in text.split():
        parts.append(np.full(round(WORD_S * RATE_HZ), numbers[word] / SCALE, np.float32))
        parts.append(np.full(round(pause_s * RATE_HZ), FAINT, np.float32))
    return np.concatenate(parts)


def silence(duration_s: float) -> NDArray[np.float32]:
    """Nobody speaks."""
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


class FakeSpeech:
    """See the module.

    Attributes:
        asked: (number of windows, language, prompt) of every call.
    """

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.languages = tuple(LANGUAGES)
        self.asked: list[tuple[int, str, str]] = []
        self.windows: list[NDArray[np.float32]] = []

    def transcribe(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str = "",
        words: bool = True,
        prompt: str = "",
        patient: bool = True,
    ) -> list[SpokenText]:
        """Read what was spelled; in another language than the one asked for it is doubtful."""
        self.asked.append((len(windows), language, prompt))
        self.windows += windows
        return [self._read(samples, language) for samples in windows]

    def _read(self, samples: NDArray[np.float32], language: str) -> SpokenText:
        edges = np.flatnonzero(np.diff(samples, prepend=np.nan, append=np.nan) != 0)
        found: list[tuple[SpokenWord, str]] = []
        noise = False
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            number = round(float(samples[start]) * SCALE)
            noise |= samples[start] == np.float32(NOISE)
            if 1 <= number <= len(_ALL) and end - start > 0.05 * RATE_HZ:
                text, spoken = _ALL[number - 1]
                text = text[: max(1, round(len(text) * (end - start) / (WORD_S * RATE_HZ)))]
                word = SpokenWord(text=f" {text}", start_s=start / RATE_HZ, end_s=end / RATE_HZ, probability=0.9)
                found.append((word, spoken))
        if noise:
            return _spoken("en", 0.4, [SpokenWord(text=" Thanks", start_s=0, end_s=1, probability=0.2)], -1.4, 0.9)
        spoken = max((one for _, one in found), key=[one for _, one in found].count, default="en")
        is_right = language in ("", spoken)
        heard = language if language else spoken
        return _spoken(heard, 0.97, [word for word, _ in found], -0.2 if is_right else -0.95, 0.02)


def _spoken(
    language: str, probability: float, words: list[SpokenWord], log_probability: float, no_speech: float
) -> SpokenText:
    utterance = Utterance(
        text="".join(word.text for word in words),
        start_s=words[0].start_s if words else 0.0,
        end_s=words[-1].end_s if words else 0.0,
        words=tuple(words),
        no_speech=no_speech,
        mean_log_probability=log_probability,
        compression=1.0,
    )
    return SpokenText(language=language, language_probability=probability, utterances=(utterance,) if words else ())


class FakeStore(ModelStore):
    """Lends the fake in place of every speech model."""

    def __init__(self, speech: FakeSpeech | None = None) -> None:
        super().__init__()
        self.fake = speech or FakeSpeech(find("whisper-base").card)

    def card(self, name: str) -> ModelCard:
        """Read a card; the fake's needs no files, and nothing that runs it."""
        return find(name).card

    def speech(self, name: str) -> SpeechHandle:
        """Lend the fake."""
        return self.fake  # type: ignore[return-value]
