"""Questions: what was asked of the stream of each row, and what was heard since."""

from rtemo_plugins.liveness.words import heard_of


class Question:
    """One question, until it is over.

    Args:
        words: What was asked for.
        ask: How.
        reason: Why.
        asked_sample: Where in the stream.

    Attributes:
        heard: Those of the words that were heard by now.
        has_answer: Whether anything was said since.
        is_over: Whether its outcome was told.
    """

    __slots__ = ("ask", "asked_sample", "has_answer", "heard", "is_over", "reason", "words")

    def __init__(self, words: tuple[str, ...], ask: str, reason: str, asked_sample: int) -> None:
        self.words = words
        self.ask = ask
        self.reason = reason
        self.asked_sample = asked_sample
        self.heard: tuple[str, ...] = ()
        self.has_answer = False
        self.is_over = False

    @property
    def is_met(self) -> bool:
        """Whether all but one of the words were heard: a recogniser of words may err in one."""
        return len(self.heard) >= len(self.words) - 1

    def hear(self, text: str) -> None:
        """Take what was said in a turn that ended after the question."""
        self.has_answer = self.has_answer or bool(text.strip())
        found = {*self.heard, *heard_of(self.words, text)}
        self.heard = tuple(word for word in self.words if word in found)


class Questions:
    """The last question to the stream of each row; a part of the processor (`rtemo.api.RowPart`).

    Args:
        capacity: Most rows.
    """

    def __init__(self, capacity: int) -> None:
        self._of: list[Question | None] = [None] * capacity

    def __getitem__(self, row: int) -> Question | None:
        return self._of[row]

    def __setitem__(self, row: int, question: Question) -> None:
        self._of[row] = question

    def open(self, n: int) -> list[tuple[int, Question]]:
        """Give those of the first n rows whose outcome is open, with their rows."""
        return [(row, one) for row, one in enumerate(self._of[:n]) if one is not None and not one.is_over]

    def admit(self, row: int) -> None:
        """Forget what was asked at `row`."""
        self._of[row] = None

    def reset(self, row: int) -> None:
        """Forget what was asked at `row`: where it was asked is no place of the stream any more."""
        self._of[row] = None

    def retire(self, row: int, last: int) -> None:
        """Let the last row take the place of `row`."""
        self._of[row] = self._of[last]
        self._of[last] = None
