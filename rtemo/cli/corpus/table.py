"""The table of counts: what went into each stage, what came out, and why the rest did not."""

from collections.abc import Iterator, Sequence

from rtemo.cli.view.numbers import clock
from rtemo.corpus.counts import StageCount


def lines_of(rows: Sequence[StageCount]) -> Iterator[str]:
    """Make a line for each stage, and one for each reason."""
    yield f"{'stage':<12} {'what':<11} {'in':>7} {'out':>7} {'length in':>11} {'out':>11}"
    for row in rows:
        times = f"{clock(row.taken_s):>11} {clock(row.kept_s):>11}"
        yield f"{row.stage:<12} {row.what:<11} {row.taken:>7} {row.kept:>7} {times}"
        for reason, count in sorted(row.dropped.items(), key=lambda item: -item[1]):
            yield f"{'':<12} {'':<11} {'':>7} {count:>7} dropped: {reason}"
        if row.waiting:
            yield f"{'':<12} {'':<11} {'':>7} {row.waiting:>7} not done yet"
