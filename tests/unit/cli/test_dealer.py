from pathlib import Path

import pytest

from rtemo.cli.analysis.dealer import Dealer
from rtemo.cli.analysis.processes import choose_processes
from rtemo.io.sources.files import STANDARD_INPUT, WaitingFile
from rtemo.processors import count_processors

pytestmark = pytest.mark.unit


def file(name: str, duration_s: float, channels: int = 1) -> WaitingFile:
    return WaitingFile(path=Path(name), call=name, channels=channels, duration_s=duration_s)


def dealer(*files: WaitingFile, jobs: int = 2, workers: int = 2) -> Dealer:
    made = Dealer(files, jobs)
    for number in range(workers):
        made.join(number)
    return made


def names(dealt: list[tuple[int, WaitingFile]]) -> list[tuple[int, str]]:
    return [(worker, given.call) for worker, given in dealt]


def test_the_longest_files_go_first_and_each_to_who_has_least_to_do() -> None:
    deal = dealer(file("a", 1), file("b", 9), file("c", 4), file("d", 3), jobs=8)
    assert names(deal.deal()) == [(0, "b"), (1, "c"), (1, "d"), (1, "a")]


def test_nobody_gets_more_channels_than_there_is_room_for() -> None:
    deal = dealer(file("a", 5, 2), file("b", 4), file("c", 3), file("d", 2))
    assert names(deal.deal()) == [(0, "a"), (1, "b"), (1, "c")]
    assert deal.deal() == []
    deal.done(1, "c")
    assert names(deal.deal()) == [(1, "d")]


def test_a_file_with_more_channels_than_room_is_played_alone() -> None:
    deal = dealer(file("wide", 5, 6), file("a", 1), workers=1)
    assert names(deal.deal()) == [(0, "wide")]
    assert deal.deal() == []
    deal.done(0, "wide")
    assert names(deal.deal()) == [(0, "a")]


def test_files_of_who_died_are_dealt_once_more_at_the_end_and_alone() -> None:
    deal = dealer(file("a", 5), file("b", 4), file("c", 3), workers=1)
    deal.deal()
    again, given_up = deal.leave(0)
    assert [again[0].call, again[1].call, given_up] == ["a", "b", []]
    deal.join(1)
    assert names(deal.deal()) == [(1, "c")]
    deal.done(1, "c")
    assert names(deal.deal()) == [(1, "a")]
    assert deal.deal() == []  # alone
    deal.done(1, "a")
    assert names(deal.deal()) == [(1, "b")]
    again, given_up = deal.leave(1)
    assert (again, [held.call for held in given_up]) == ([], ["b"])
    assert deal.is_over


def test_it_is_over_when_every_file_is_done() -> None:
    deal = dealer(file("a", 5), workers=1)
    assert not deal.is_over
    deal.deal()
    assert not deal.is_over
    assert not deal.has_more
    deal.done(0, "a")
    assert deal.is_over


def test_what_nobody_can_work_on_is_given_back() -> None:
    deal = Dealer([file("a", 5), file("b", 6)], 2)
    assert [left.call for left in deal.give_up()] == ["b", "a"]
    assert deal.is_over


def test_there_are_as_many_processes_as_pay() -> None:
    short, long = [file("a", 100), file("b", 100)], [file("a", 4_000), file("b", 4_000)]
    assert choose_processes(None, short) == 1
    assert choose_processes(None, long) == min(2, count_processors())
    assert choose_processes(2, short) == 2
    assert choose_processes(7, long) == 2
    assert choose_processes(2, [file(str(STANDARD_INPUT), 4_000), *long]) == 1
    assert choose_processes(None, []) == 1
