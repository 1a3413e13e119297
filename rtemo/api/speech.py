"""SpeechHandle, SentenceHandle: models that write down what is said, or read text, as the work of a lane sees them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelCard


class SpokenWord(msgspec.Struct, frozen=True, kw_only=True):
    """One word, with the punctuation and the space that go with it.

    Attributes:
        text: As written, most often with a space before it.
        start_s: Where it begins, from the first sample of the window.
        end_s: Where it ends.
        probability: How sure the model is of its letters, 0 to 1.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of text that the model gives as one.

    Attributes:
        text: What was said.
        start_s: Where it begins, from the first sample of the window.
        end_s: Where it ends.
        words: Its words; empty unless they were asked for.
        no_speech: Probability that nobody spoke, 0 to 1.
        mean_log_probability: Mean of the logarithm of each token's probability; below -1 the text is doubtful.
        compression: Bytes of the text over its bytes when compressed; above 2.4 the model repeats itself.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[SpokenWord, ...]
    no_speech: float
    mean_log_probability: float
    compression: float


class SpokenText(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in one window.

    Attributes:
        language: Code of the language, as `en`.
        language_probability: How sure that is, 0 to 1; 1 where the language was given.
        utterances: In order; empty where nothing was heard.
    """

    language: str
    language_probability: float
    utterances: tuple[Utterance, ...]

    @property
    def text(self) -> str:
        """All of it in one line."""
        return "".join(part.text for part in self.utterances).strip()


class SentenceHandle(Protocol):
    """A model that turns lines of text into vectors, loaded for one lane."""

    @property
    def card(self) -> ModelCard:
        """The card the weights came with."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, each by itself: float32 [n, width] of length one; what is too long is cut."""


class SpeechHandle(Protocol):
    """A speech model loaded for one lane; it takes 50-2,000 ms for a window, so it has no place in a tick.

    A handle is used by one thread at a time.
    """

    @property
    def card(self) -> ModelCard:
        """The card the weights came with."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages it knows."""

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make log-mel features of a window: float32 [k] at the card's rate → float32 [mels, frames], 10 ms each."""

    def encode(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode windows of one length: float32 [k, mels, frames] → float32 [k, ceil(frames / 2), width].

        At most 30 s. The model was trained on 30 s filled up with silence, but encodes what it is given.
        """

    def transcribe(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str = "",
        words: bool = True,
        prompt: str = "",
        patient: bool = True,
    ) -> list[SpokenText]:
        """Write down what is said in each window, float32 [k] at the card's rate.

        Args:
            windows: Of any streams; each is heard by itself.
            language: Code of the language; found for each window when empty.
            words: Whether to find the times of words, too.
            prompt: Text that might have gone before, such as names, to be spelled alike.
            patient: Whether a window of which little is sure is listened to once more, at several times the cost.

        Raises:
            ValueError: The model does not know the language.
        """
