"""Conversation: who of a call speaks when, and what that adds up to."""

from typing import NamedTuple

from rtemo_plugins.dialogue.spans import Cover, Span, union_length, within


class Party:
    """One party of a call; times are of the call.

    Attributes:
        start: Where the speech began that goes on; None while it is silent.
        turns: Turns that are over or go on.
        speech: Length of those that are over, and `overlap` the part in which others spoke, too.
        longest: The longest of them.
        interruptions: How often it began while another spoke, who then stopped.
        told: When its figures were told last.
    """

    __slots__ = ("interruptions", "longest", "overlap", "recent", "speech", "start", "told", "turns")

    def __init__(self, now: int) -> None:
        self.start: int | None = None
        self.turns = self.speech = self.overlap = self.longest = self.interruptions = 0
        self.told = now
        self.recent: list[Span] = []
        """What it said that still may be overlapped by what others are saying."""


class Interrupted(NamedTuple):
    """Somebody talked over another, who stopped."""

    by: int
    span: Span


class Figures(NamedTuple):
    """What is told of a party, lengths in samples."""

    speech: int
    all_speech: int
    overlap: int
    silence: int


class Conversation:
    """Follows the parties of one call from the moment at which there are two.

    Where speech begins and ends is heard late and in order: an end after the hangover of the detector, at which all
    that began or ended before is known. So whatever is counted rests on ends, and is exact then.

    Args:
        now: The present, in samples of the call's time.
        latest: How late a beginning is heard at most, in samples.

    Attributes:
        parties: By number of the stream.
        silent_since: Since when nobody speaks; None while somebody does.
    """

    def __init__(self, now: int, latest: int) -> None:
        self.parties: dict[int, Party] = {}
        self.silent_since: int | None = now
        self._begun = now
        self._latest = latest
        self._last_end = now
        self._gone_speech = 0
        self._gone: list[Span] = []
        """What those who have left said that others may still be talking over."""
        self._cover = Cover()

    def join(self, number: int, now: int) -> None:
        """Let somebody in."""
        self.parties[number] = Party(now)

    def leave(self, number: int, now: int) -> None:
        """Let somebody go; what was said stays said."""
        party = self.parties.pop(number)
        self._gone_speech += party.speech
        self._gone += party.recent
        if self.silent_since is None and all(one.start is None for one in self.parties.values()):
            self.silent_since = now

    def begin(self, number: int, at: int) -> None:
        """Note that a party has begun to speak."""
        party = self.parties[number]
        party.start = at
        party.turns += 1
        self.silent_since = None

    def end(self, number: int, span: Span, least_over: int, is_split: bool = False) -> list[Interrupted]:
        """Note that a party has stopped, and tell who made it: whoever began meanwhile and goes on.

        Args:
            number: Whose turn it was.
            span: All of it.
            least_over: Least time for which the other must have talked over it.
            is_split: Whether it goes on: the detector has only cut a long turn.
        """
        party = self.parties[number]
        if party.start is None:  # its beginning was not heard
            party.turns += 1
        party.start = None
        span = Span(max(span.start, self._begun), max(span.end, self._begun))
        length = span.end - span.start
        others = [other for key, other in self.parties.items() if key != number]
        said = [*self._gone, *(part for other in others for part in (*other.recent, *_going_on(other, span.end)))]
        party.speech += length
        party.longest = max(party.longest, length)
        party.overlap += union_length(within(span, said))
        party.recent.append(span)
        self._cover.add(span)
        self._last_end = max(self._last_end, span.end)
        if is_split:
            party.turns -= 1  # the rest of it counts
            return []
        found = [
            Interrupted(key, Span(other.start, span.end))
            for key, other in self.parties.items()
            if key != number and other.start is not None and span.start < other.start <= span.end - max(1, least_over)
        ]
        for one in found:
            self.parties[one.by].interruptions += 1
        if all(one.start is None for one in self.parties.values()):
            self.silent_since = self._last_end
        self._forget(span.end)
        return found

    def figures(self, number: int, now: int) -> Figures:
        """Give what is known of a party by now; what is being said counts up to now."""
        going_on = {
            key: Span(max(one.start, self._begun), max(now, one.start, self._begun))
            for key, one in self.parties.items()
            if one.start is not None
        }
        lengths = {key: span.end - span.start for key, span in going_on.items()}
        party = self.parties[number]
        overlap = party.overlap
        if number in going_on:
            said = [span for key, span in going_on.items() if key != number]
            said += [span for key, other in self.parties.items() if key != number for span in other.recent] + self._gone
            overlap += union_length(within(going_on[number], said))
        return Figures(
            speech=party.speech + lengths.get(number, 0),
            all_speech=self._gone_speech + sum(one.speech for one in self.parties.values()) + sum(lengths.values()),
            overlap=overlap,
            silence=max(0, now - self._begun - self._cover.length(going_on.values())),
        )

    def _forget(self, now: int) -> None:
        """Drop what nothing that is being said, or has just begun unheard, can overlap any more."""
        oldest = min([now, *(one.start for one in self.parties.values() if one.start is not None)]) - self._latest
        for party in self.parties.values():
            party.recent = [span for span in party.recent if span.end > oldest]
        self._gone = [span for span in self._gone if span.end > oldest]
        self._cover.settle(oldest)


def _going_on(party: Party, now: int) -> list[Span]:
    return [] if party.start is None or party.start >= now else [Span(party.start, now)]
