"""Counts: how much goes into each stage, how much comes out, and why the rest does not."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from rtemo.corpus import stages
from rtemo.corpus.ledger import E, Ledger
from rtemo.corpus.selection import Selection
from rtemo.corpus.settings import RATE_HZ
from rtemo.corpus.stages import Books


class StageCount(msgspec.Struct, kw_only=True):
    """One stage; `taken` is always what is kept, dropped and waiting together.

    Attributes:
        stage: Its name.
        what: What it counts.
        taken: How many went in.
        kept: How many came out.
        waiting: How many are not done.
        taken_s: Length of those that went in.
        kept_s: Length of those that came out.
        dropped: Reason → how many.
    """

    stage: str
    what: str
    taken: int
    kept: int
    waiting: int
    taken_s: float
    kept_s: float
    dropped: dict[str, int]


def count_stages(books: Books, selection: Selection) -> list[StageCount]:
    """Count all stages."""
    recordings = {entry.unit: entry.duration_s for entry in books.recordings}
    taken_in = [(entry.unit, entry.dropped) for entry in books.recordings]
    diarised = [(entry.unit, _fate(books.diarised, entry.unit)) for entry in books.recordings.kept]
    turns = {
        f"{entry.unit}_{number:04d}": (turn[1] - turn[0]) / RATE_HZ
        for entry in books.cut
        for number, turn in enumerate(entry.turns)
    }
    gated = [(unit, _fate(books.gated, unit)) for unit in turns]
    passed = [unit for unit, dropped in gated if dropped == ""]
    rows = [
        _row("recordings", "recordings", taken_in, recordings),
        _row("diarise", "recordings", diarised, recordings),
        _pieces(books),
        _row("gate", "turns", gated, turns),
    ]
    if len(books.written):
        written = [(unit, _fate(books.written, unit)) for unit in passed]
        rows.append(_row("words", "turns", written, turns))
        passed = [unit for unit, dropped in written if not dropped]
    rows.append(_row("recognise", "turns", [(unit, _heard(books, unit)) for unit in passed], turns))
    if selection.wanted:
        picked = {pick.unit for pick in selection.picks}
        chosen = [(unit, "" if unit in picked else stages.NOT_RETRIEVED) for unit in passed]
        rows.append(_row("retrieve", "turns", chosen, turns))
    return rows


def _fate(ledger: Ledger[E], unit: str) -> str | None:
    """Why a unit was dropped; empty when it was kept, None while it is not done."""
    entry = ledger.get(unit)
    return None if entry is None else entry.dropped


def _row(stage: str, what: str, units: Iterable[tuple[str, str | None]], seconds: dict[str, float]) -> StageCount:
    units = list(units)
    kept = [unit for unit, dropped in units if dropped == ""]
    return StageCount(
        stage=stage,
        what=what,
        taken=len(units),
        kept=len(kept),
        waiting=sum(dropped is None for _, dropped in units),
        taken_s=sum(seconds[unit] for unit, _ in units),
        kept_s=sum(seconds[unit] for unit in kept),
        dropped=dict(Counter(dropped for _, dropped in units if dropped)),
    )


def _pieces(books: Books) -> StageCount:
    """Count the pieces that were joined to turns."""
    taken = [(piece, entry.unit) for entry in books.diarised.kept for piece in entry.pieces]
    waiting = sum(unit not in books.cut for _, unit in taken)
    dropped = Counter(reason for entry in books.cut for _, _, reason in entry.lost)
    lost_s = sum(end - start for entry in books.cut for start, end, _ in entry.lost) / RATE_HZ
    done_s = sum(end - start for (start, end, _), unit in taken if unit in books.cut) / RATE_HZ
    return StageCount(
        stage="cut",
        what="pieces",
        taken=len(taken),
        kept=len(taken) - waiting - dropped.total(),
        waiting=waiting,
        taken_s=sum(end - start for (start, end, _), _ in taken) / RATE_HZ,
        kept_s=done_s - lost_s,
        dropped=dict(dropped),
    )


def _heard(books: Books, unit: str) -> str | None:
    """What became of a turn with the recognisers: empty when one at least spoke of it, None while none was asked."""
    found = [entry for ledger in books.opinions.values() if (entry := ledger.get(unit)) is not None]
    if not found:
        return None
    return "" if any(not entry.dropped for entry in found) else stages.NOT_RATED
