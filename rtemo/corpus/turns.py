"""Turns: pieces of one voice joined to stretches of a length that people can judge, cut at pauses alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rtemo.corpus.diarisation import Piece
from rtemo.corpus.settings import RATE_HZ, CorpusSettings

TOO_SHORT = "too short"
TOO_LONG = "too long without a pause"
_MARGIN_S = 0.1


class Turn(NamedTuple):
    """What one speaker says in one go, in samples of its recording.

    Attributes:
        start: First sample.
        end: One behind the last.
        speaker: Number of the voice within the recording.
        pieces: How many pieces were joined.
    """

    start: int
    end: int
    speaker: int
    pieces: int


class LostPiece(NamedTuple):
    """A piece that is in no turn, and why."""

    start: int
    end: int
    reason: str


def cut_turns(pieces: Sequence[Piece], settings: CorpusSettings) -> tuple[list[Turn], list[LostPiece]]:
    """Join pieces to turns of the wanted length so that as much speech as possible is in one.

    Pieces are joined when the same voice goes on after a pause of at most `most_gap_s` and nobody speaks between; a
    turn begins and ends at a pause of at least `pause_s` or where the speaker changes. Among ways to cut that hold the
    same amount, the one with the longer pauses at its cuts is taken.

    Args:
        pieces: In order of time; between two of one voice there is a pause of at least `pause_s`.
        settings: Lengths.
    """
    turns: list[Turn] = []
    lost: list[LostPiece] = []
    for run in _runs(pieces, settings):
        groups = _groups(run, settings)
        used = {index for group in groups for index in range(*group)}
        for begin, end in groups:
            turns.append(_turn(run, begin, end, pieces, settings))
        for index, piece in enumerate(run):
            if index not in used:
                long = _seconds(piece.start, piece.end) > settings.longest_s
                lost.append(LostPiece(piece.start, piece.end, TOO_LONG if long else TOO_SHORT))
    return turns, lost


def _runs(pieces: Sequence[Piece], settings: CorpusSettings) -> Iterator[list[Piece]]:
    """Give stretches in which one voice goes on without a long pause."""
    run: list[Piece] = []
    for piece in pieces:
        if run and (piece.speaker != run[-1].speaker or _seconds(run[-1].end, piece.start) > settings.most_gap_s):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _groups(run: Sequence[Piece], settings: CorpusSettings) -> list[tuple[int, int]]:
    """Choose pieces from `begin` up to `end` for each turn, by the sum of their lengths."""
    best = [(0.0, 0)] * (len(run) + 1)  # worth of the first k pieces, and where the last turn of them begins
    for end in range(1, len(run) + 1):
        best[end] = (best[end - 1][0], end)  # piece end - 1 is in no turn
        for begin in range(end - 1, -1, -1):
            length_s = _seconds(run[begin].start, run[end - 1].end)
            if length_s > settings.longest_s:
                break
            if length_s < settings.least_s:
                continue
            pause_s = _seconds(run[begin - 1].end, run[begin].start) if begin else settings.most_gap_s
            worth = best[begin][0] + sum(_seconds(one.start, one.end) for one in run[begin:end]) + 0.1 * pause_s
            if worth > best[end][0]:
                best[end] = (worth, begin)
    groups: list[tuple[int, int]] = []
    end = len(run)
    while end:
        begin = best[end][1]
        if begin == end:
            end -= 1
        else:
            groups.append((begin, end))
            end = begin
    return groups[::-1]


def _turn(run: Sequence[Piece], begin: int, end: int, pieces: Sequence[Piece], settings: CorpusSettings) -> Turn:
    """Give a turn a margin into the pauses around it, as far as nobody speaks there and it does not get too long."""
    first, last = run[begin], run[end - 1]
    room = round(settings.longest_s * RATE_HZ) - (last.end - first.start)
    margin = max(0, min(round(_MARGIN_S * RATE_HZ), room // 2))
    at, until = pieces.index(first), pieces.index(last)
    before = pieces[at - 1].end if at else 0
    after = pieces[until + 1].start if until + 1 < len(pieces) else last.end + margin
    start = max(first.start - margin, min((first.start + before) // 2, first.start), 0)
    stop = min(last.end + margin, max((last.end + after) // 2, last.end))
    return Turn(start, stop, first.speaker, end - begin)


def _seconds(start: int, end: int) -> float:
    return (end - start) / RATE_HZ
