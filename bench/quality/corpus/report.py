"""Prints what became of recordings, beside what is known of them: `python -m bench.quality.corpus.report --work W`.

W is the work folder of `bench.quality.corpus.record`, W/work that of `rtemo corpus build`, and W/out, where it is
there, that of `rtemo corpus export`.
"""

import argparse
from pathlib import Path
from typing import Any

from bench.quality.corpus.finished import finished
from bench.quality.corpus.record import read_truth
from bench.quality.corpus.retrieved import retrieval
from bench.quality.corpus.tables import Part, cuts, gates, speakers
from bench.quality.corpus.turns import truth_by_unit
from rtemo.cli.corpus.table import lines_of
from rtemo.corpus.counts import count_stages
from rtemo.corpus.selection import read_selection
from rtemo.corpus.stages import Books, encode
from rtemo.io.whole_file import write_whole


def report(work: Path, seed: int) -> Part:
    """Hold all that was found against what is known."""
    books = Books(work / "work")
    known = truth_by_unit(books, read_truth(work))
    first = {unit: one for unit, one in known.items() if not one.is_again}
    parts = [speakers(books, first), cuts(books, first), gates(books, known), retrieval(books, known, seed)]
    if (work / "out" / "corpus.json").exists():
        parts.append(finished(books, known, work / "out"))
    rows = [f"    {line}" for line in lines_of(count_stages(books, read_selection(books.folder)))]
    parts.append(Part(["Counts:", "", *rows], {}))
    scores: dict[str, Any] = {}
    for part in parts:
        scores |= part.scores
    return Part([line for part in parts for line in (*part.lines, "")], scores)


def main() -> None:
    """Print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=11)
    told = parser.parse_args()
    found = report(told.work, told.seed)
    text = "\n".join(found.lines)
    print(text)
    write_whole(told.work / "TABLES.md", text.encode())
    write_whole(told.work / "scores.json", encode(found.scores))


if __name__ == "__main__":
    main()
