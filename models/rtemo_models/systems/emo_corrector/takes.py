"""Takes: the same edit said in several ways, of which the one that is heard best is kept."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, SpeechHandle
from rtemo.api.emotions import as_told, committed
from rtemo.voice.edits import matched_words, words_of
from rtemo.voice.manner import MANNERS
from rtemo.voice.speaker import SpeakerEmbedder, cosine
from rtemo_models.systems.emo_corrector.delivery import Delivery, scaled
from rtemo_models.systems.emo_corrector.mood import MoodEmbedder

SHARES = (1.0, 0.5, 1.5)
"""How much of a delivery the takes have, the first of them first."""
MOST_TAKES = 2 * len(SHARES)

_RATE_HZ = 16_000
_LEAST_MOOD_S = 0.4  # of less no mood is told
_LEAST_VOICE_S = 0.4
_SLACK_WORDS = 0.15  # one word of a span of seven may be a slip of the recogniser
_SLACK_LIKENESS = 0.05


class Verdict(NamedTuple):
    """How a take is heard.

    Attributes:
        words: Share of the new words that a recogniser hears in their place, 0 to 1.
        likeness: Cosine of the new words to the speaker, -1 to 1; NaN where they are too short to tell.
        mood: Probability of the mood that is wanted; NaN where they are too short to tell.
    """

    words: float
    likeness: float
    mood: float


class TakeJudge:
    """Hears takes as listeners would: is it understood, is it the same speaker, is it the mood.

    Args:
        speech: A recogniser of words; None where there is none, then all takes are understood alike.
        language: Of the text, a code of the recogniser; empty if it has to find out.
        voices: Tells speakers.
        speaker: Embedding of the speaker, float32 [256].
        moods: Tells the mood.
    """

    def __init__(
        self,
        speech: SpeechHandle | None,
        language: str,
        voices: SpeakerEmbedder,
        speaker: NDArray[np.float32],
        moods: MoodEmbedder,
    ) -> None:
        self._speech = speech
        self._language = language if speech is not None and language in speech.languages else ""
        self._voices = voices
        self._speaker = speaker
        self._moods = moods

    def hear(
        self,
        samples: NDArray[np.float32],
        text: str,
        places: Sequence[int],
        stretches: Sequence[tuple[int, int]],
        emotion: NDArray[np.float64],
    ) -> Verdict:
        """Hear a take.

        Args:
            samples: The whole recording, float32 [k] at 16 kHz.
            text: What it is to say.
            places: Which words of the text are new.
            stretches: Samples [start, end) of each replaced span.
            emotion: float64 [8], the mood that is wanted.
        """
        new = np.concatenate([samples[start:end] for start, end in stretches]) if stretches else samples[:0]
        return Verdict(
            self._understood(samples, text, places),
            self._alike(new) if len(new) >= _LEAST_VOICE_S * _RATE_HZ else float("nan"),
            self._felt(new, emotion) if len(new) >= _LEAST_MOOD_S * _RATE_HZ else float("nan"),
        )

    def _understood(self, samples: NDArray[np.float32], text: str, places: Sequence[int]) -> float:
        if self._speech is None or not places:
            return 1.0
        heard = words_of(self._speech.transcribe([samples], language=self._language, words=False)[0].text)
        wanted = words_of(text)
        found = matched_words(wanted, heard)
        return float(np.mean([_is_heard(wanted[place], found[place], heard) for place in places]))

    def _alike(self, new: NDArray[np.float32]) -> float:
        return cosine(self._speaker, self._voices.embed_stretches([new])[0])

    def _felt(self, new: NDArray[np.float32], emotion: NDArray[np.float64]) -> float:
        wanted, _ = committed(dict(zip(EMOTIONS, emotion, strict=True)))
        return float(as_told(dict(zip(EMOTIONS, self._moods.hear(new).probabilities, strict=True)))[wanted])


def takes_of(delivery: Delivery, emotion: NDArray[np.float64], count: int) -> list[Delivery]:
    """List ways to say an edit: the delivery that was found in several strengths, then that of most people."""
    usual = MANNERS[EMOTIONS[int(np.argmax(emotion))]]
    ways = [scaled(delivery, share) for share in SHARES]
    if delivery.manner != usual:
        ways += [scaled(Delivery(usual, np.zeros(0, np.float32)), share) for share in SHARES]
    return ways[: max(count, 1)]


def best_of(verdicts: Sequence[Verdict]) -> int:
    """Choose a take: among the (nearly) best understood, then the (nearly) most alike in voice, that with most mood."""
    left = list(range(len(verdicts)))
    for name, slack in (("words", _SLACK_WORDS), ("likeness", _SLACK_LIKENESS)):
        values = [_known(getattr(verdicts[one], name)) for one in left]
        left = [one for one, value in zip(left, values, strict=True) if value >= max(values) - slack]
    return max(left, key=lambda one: _known(verdicts[one].mood))


def _is_heard(word: str, place: int | None, heard: Sequence[str]) -> bool:
    return place is not None and heard[place].lower() == word.lower()


def _known(value: float) -> float:
    return 0.0 if np.isnan(value) else value
