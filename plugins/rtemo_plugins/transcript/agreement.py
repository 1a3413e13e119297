"""Agreement: which words of a turn will not change any more, by what consecutive hypotheses have in common."""

import unicodedata
from collections.abc import Sequence

from rtemo.api import Word


def plain(text: str) -> str:
    """Give the letters and digits of a word, in lower case: what two spellings of it have in common.

    >>> plain(" Don't,"), plain("--")
    ('dont', '')
    """
    return "".join(char for char in text.casefold() if unicodedata.category(char)[0] in "LNM")


def rest_after(known: Sequence[str], words: Sequence[str]) -> int:
    """Find how many words of a new hypothesis stand for those that are known already.

    That beginning of the hypothesis is taken whose edit distance to what is known is the least; of several the one that
    ends with the last known word, or is about as long.

    Args:
        known: Words that stand.
        words: The hypothesis over the same audio, and more of it.

    Returns:
        Number of words to leave out.

    >>> rest_after(["kids", "are"], ["kids", "are", "talking"])
    2
    >>> rest_after(["kids", "are"], ["the", "kids", "are", "talking"]), rest_after(["a", "b", "c"], ["a", "c", "d"])
    (3, 2)
    """
    costs = list(range(len(words) + 1))
    for row, word in enumerate(known, 1):
        before, costs[0] = costs[:], row
        for column, other in enumerate(words, 1):
            costs[column] = min(before[column] + 1, costs[column - 1] + 1, before[column - 1] + (word != other))
    ends_alike = [bool(known) and count > 0 and words[count - 1] == known[-1] for count in range(len(costs))]
    return min(range(len(costs)), key=lambda count: (costs[count], not ends_alike[count], abs(count - len(known))))


class Agreement:
    """The words of one turn: those that stand, and behind them the last hypothesis of the rest.

    A word stands when two consecutive hypotheses have it at the same place, spelled alike (LocalAgreement-2 of
    Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System", 2023).

    Attributes:
        stable: Words that stand.
        rest: Words that may change.
    """

    def __init__(self) -> None:
        self.stable: list[Word] = []
        self.rest: list[Word] = []
        self._settled = 0

    @property
    def unsettled(self) -> list[Word]:
        """Words that stand and lie in audio that is still listened to."""
        return self.stable[self._settled :]

    @property
    def settled(self) -> list[Word]:
        """Words in audio that is not listened to any more."""
        return self.stable[: self._settled]

    def settle(self, before_sample: int) -> int | None:
        """Listen no more to what stands and has ended by a position; give where the audio goes on.

        Returns:
            Where the first word that is still listened to may begin; None when nothing can be settled.
        """
        count = self._settled
        while count < len(self.stable) and self.stable[count].end_sample <= before_sample:
            count += 1
        if count == self._settled:
            return None
        self._settled = count
        end = self.stable[count - 1].end_sample
        following = (self.stable[count:] or self.rest)[:1]
        return max(end, (end + following[0].start_sample) // 2) if following else end

    def give_up(self, before_sample: int) -> None:
        """Let stand whatever was written of audio before a position, which is no longer there to listen to."""
        while self.rest and self.rest[0].start_sample < before_sample:
            self.stable.append(self.rest.pop(0))
        self._settled = max(self._settled, sum(word.start_sample < before_sample for word in self.stable))

    def take(self, words: Sequence[Word]) -> None:
        """Take in a hypothesis over the audio that is listened to."""
        known = [plain(word.text) for word in self.unsettled]
        fresh = list(words[rest_after(known, [plain(word.text) for word in words]) :])
        common = 0
        while common < min(len(fresh), len(self.rest)) and fresh[common].text == self.rest[common].text:
            common += 1
        self.stable += fresh[:common]
        self.rest = fresh[common:]

    def stand(self) -> None:
        """Let all words stand: the turn is over."""
        self.stable += self.rest
        self.rest = []
