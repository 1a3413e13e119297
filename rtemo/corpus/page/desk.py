"""RatingDesk: which turn a rater gets next, and what is kept of the answers."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from rtemo.corpus.ledger import Ledger
from rtemo.corpus.raters import GOLD_EVERY, gold_of, screened_out
from rtemo.corpus.ratings import Rated, Rating, rated_unit

_FIRST_GOLD = 2


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a rater is asked next.

    Attributes:
        state: `rate`; `done` when there is nothing left; `stopped` when too many gold turns were wrong.
        clip: The turn.
        done: How many turns this rater has rated.
        left: How many more there are for this rater.
        before: What the rater said of it earlier, when it is shown again.
    """

    state: str
    clip: str = ""
    done: int = 0
    left: int = 0
    before: Rating | None = None


class RatingDesk:
    """Hands out turns so that each gets its number of raters soon, and gold turns among them.

    Args:
        clips: The turns that were chosen.
        ratings: All ratings, to which new ones are added.
        wanted: Raters that a turn gets.
        trusted: Raters whose turns are gold for the others.
    """

    def __init__(self, clips: Sequence[str], ratings: Ledger[Rated], wanted: int, trusted: Sequence[str] = ()) -> None:
        self._clips = frozenset(clips)
        self._ratings = ratings
        self._wanted = wanted
        self._trusted = frozenset(trusted)

    def next(self, rater: str) -> Task:
        """Give the next turn for a rater; the same one until it is rated, whatever happens to the browser."""
        mine = self._rated_by(rater)
        if rater in screened_out(self._ratings, self._trusted):
            return Task(state="stopped", done=len(mine))
        gold = [clip for clip in self._gold() if clip not in mine and rater not in self._trusted]
        left = self._left(rater, mine)
        if gold and (len(mine) % GOLD_EVERY == _FIRST_GOLD or not left):
            clip = min(gold, key=lambda one: _drawn(rater, one))
        elif left:
            clip = left[0]
        else:
            return Task(state="done", done=len(mine))
        return Task(state="rate", clip=clip, done=len(mine), left=len({*left, *gold}))

    def earlier(self, rater: str, clip: str) -> Task | None:
        """Give the turn that a rater has rated before another (the last one, if that is new); None if there is none."""
        mine = list(self._rated_by(rater).values())
        places = [place for place, rating in enumerate(mine) if rating.clip == clip]
        place = (places[0] if places else len(mine)) - 1
        if place < 0:
            return None
        left = len(self._left(rater, {one.clip for one in mine}))
        return Task(state="rate", clip=mine[place].clip, done=len(mine), left=left, before=mine[place])

    def take(self, rater: str, rating: Rating) -> str:
        """Keep a rating.

        Returns:
            What is wrong with it; empty when it was kept.
        """
        if rating.clip not in self._clips:
            return "there is no such turn"
        fault = rating.fault()
        if fault:
            return fault
        if rater in screened_out(self._ratings, self._trusted):
            return "this rater has been stopped"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._ratings.add(Rated(unit=rated_unit(rater, rating.clip), rater=rater, rating=rating, at=now))
        return ""

    def has(self, clip: str) -> bool:
        """Whether there is such a turn."""
        return clip in self._clips

    @property
    def finished(self) -> int:
        """How many turns have all their raters."""
        return sum(count >= self._wanted for count in self._counts().values())

    def _left(self, rater: str, mine: "dict[str, Rating] | set[str]") -> list[str]:
        """Turns that want this rater, begun ones first, else in an order of the rater's own."""
        counts = self._counts()
        wanting = [clip for clip in self._clips if clip not in mine and counts.get(clip, 0) < self._wanted]
        return sorted(wanting, key=lambda clip: (-counts.get(clip, 0), _drawn(rater, clip)))

    def _counts(self) -> dict[str, int]:
        out = screened_out(self._ratings, self._trusted)
        counts: dict[str, int] = {}
        for one in self._ratings:
            if one.rater not in out:
                counts[one.rating.clip] = counts.get(one.rating.clip, 0) + 1
        return counts

    def _gold(self) -> list[str]:
        return [clip for clip in gold_of(self._ratings, self._trusted) if clip in self._clips]

    def _rated_by(self, rater: str) -> dict[str, Rating]:
        return {one.rating.clip: one.rating for one in self._ratings if one.rater == rater}


def _drawn(rater: str, clip: str) -> bytes:
    """A number that orders turns for a rater, the same every time."""
    return hashlib.sha256(f"{rater}/{clip}".encode()).digest()
