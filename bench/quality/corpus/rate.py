"""Has made-up raters rate the turns that were chosen, one by one as people do: `python -m bench.quality.corpus.rate`.

W is the work folder of `bench.quality.corpus.record`, W/work that of `rtemo corpus build`. Five raters know the mood
and say so most of the time, two guess; one is trusted and rates a part rightly, so that there are gold turns. Stopped,
it goes on where it was.
"""

import argparse
from pathlib import Path
from zlib import crc32

import numpy as np

from bench.quality.corpus.raters import TRUSTED, rating_of
from bench.quality.corpus.record import read_truth
from bench.quality.corpus.turns import moods_of, truth_by_unit
from rtemo.corpus.page.desk import RatingDesk
from rtemo.corpus.ratings import ratings_of
from rtemo.corpus.selection import read_selection
from rtemo.corpus.stages import Books

_LISTENING, _GUESSING = 5, 2
_WANTED = 5
_GOLD = 20
_SPREAD, _SURE = 1.0, 0.7


def main() -> None:
    """Rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work = parser.parse_args().work
    books = Books(work / "work")
    moods = moods_of(books, truth_by_unit(books, read_truth(work)))
    picks = [pick.unit for pick in read_selection(books.folder).picks]
    desk = RatingDesk(picks, ratings_of(books.folder), _WANTED, (TRUSTED,))
    raters = [TRUSTED, *(f"rater{number}" for number in range(_GUESSING + _LISTENING))]
    for place, rater in enumerate(raters):
        is_guess = 0 < place <= _GUESSING
        spread, sure = (0.0, 1.0) if rater == TRUSTED else (_SPREAD, _SURE)
        while (task := desk.next(rater)).state == "rate" and (rater != TRUSTED or task.done < _GOLD):
            random = np.random.default_rng(crc32(f"{rater}/{task.clip}".encode()))
            rating = rating_of(task.clip, moods.get(task.clip, "neutral"), spread, sure, random, is_guess)
            if fault := desk.take(rater, rating):
                raise SystemExit(f"{rater}: {fault}")
    print(f"{desk.finished} of {len(picks)} turns have {_WANTED} raters")


if __name__ == "__main__":
    main()
