"""Ear: what the lane keeps of one stream between two windows."""

from rtemo_plugins.transcript.agreement import Agreement

_KEPT_TURNS = 4


class TurnText:
    """The text of one turn so far.

    Attributes:
        base: Where the audio begins that is still listened to.
        heard_to: One past the last sample of the last hypothesis.
        words: Words that stand, and the rest.
        language: As last found or kept; empty before the first word.
        language_probability: How sure that was, where it was looked for.
        told: The text as it was last told, and how much of it was stable; None before the first.
    """

    __slots__ = ("base", "heard_to", "language", "language_probability", "told", "words")

    def __init__(self, start_sample: int, language: str, language_probability: float | None) -> None:
        self.base = start_sample
        self.heard_to = start_sample
        self.words = Agreement()
        self.language = language
        self.language_probability = language_probability
        self.told: tuple[str, int] | None = None


class Ear:
    """One stream.

    Attributes:
        language: The language that is kept for the stream; empty before one is sure.
        language_probability: How sure that was.
    """

    def __init__(self) -> None:
        self.language = ""
        self.language_probability: float | None = None
        self._turns: dict[int, TurnText] = {}

    def turn(self, start_sample: int) -> TurnText:
        """Give the text of the turn that began there; of older ones only a few are kept."""
        if start_sample not in self._turns:
            self._turns[start_sample] = TurnText(start_sample, self.language, self.language_probability)
            while len(self._turns) > _KEPT_TURNS:
                del self._turns[min(self._turns)]
        return self._turns[start_sample]

    def keep(self, language: str, probability: float) -> None:
        """Take a language to be that of the stream."""
        self.language, self.language_probability = language, probability

    def close(self, start_sample: int) -> None:
        """Forget what was said in a turn, as soon as it has been told."""
        self._turns.pop(start_sample, None)
