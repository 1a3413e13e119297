"""A board by a query, made of the scores that a publisher tells."""

import time

import pytest

from rtemo.api import Counters, Event, QueryScore, StreamEnd
from rtemo.cli import boards
from rtemo.cli.boards import QueryBoard
from rtemo.cli.view.board import table

pytestmark = pytest.mark.unit

QUERY = "a caller losing patience"


def told(call: str, data, late_s: float = 0.0) -> Event:
    now_ns = time.time_ns() - round(late_s * 1e9)
    return Event(
        call=call, channel="0", plugin="meaning", seq=1, start_sample=0, end_sample=16_000, capture_ns=now_ns,
        emit_ns=now_ns, data=data,
    )  # fmt: skip


def score(z: float | None, query: str = QUERY) -> QueryScore:
    return QueryScore(query=query, score=0.1, z=z)


@pytest.fixture
def look(monkeypatch):
    """Take events in, let a second pass, and give the board."""
    now_s = 1.0
    monkeypatch.setattr(boards.time, "monotonic", lambda: now_s)
    floor = QueryBoard(QUERY)

    def act(*events: Event):
        nonlocal now_s
        for event in events:
            assert not floor.take(event)
        assert not floor.is_due()
        now_s += 1.0
        assert floor.is_due()
        return floor.board

    return act


def test_calls_stand_in_the_order_of_their_last_five_scores(look):
    events = [told("a", score(z)) for z in (9, 0.0, 0.2, 0.0, 0.2, 0.1)] + [
        told("b", score(2.0)),
        told("c", score(-1.0)),
    ]
    board = look(*events)
    assert [(entry.call, entry.place, entry.urgency) for entry in board.entries] == [
        ("b", 1, 2.0),
        ("a", 2, 0.1),
        ("c", 3, -1.0),
    ]
    assert (board.ranked, board.unsure) == (3, 0)


def test_an_order_changes_only_by_a_clear_difference_and_the_alike_share_a_place(look):
    assert [entry.call for entry in look(told("a", score(1.0)), told("b", score(0.9))).entries] == ["a", "b"]
    board = look(*[told("b", score(1.1))] * 5)
    assert [(entry.call, entry.place) for entry in board.entries] == [("a", 1), ("b", 1)]
    board = look(*[told("b", score(1.4))] * 5)
    assert [(entry.call, entry.place) for entry in board.entries] == [("b", 1), ("a", 2)]


def test_who_has_no_usual_score_yet_or_was_scored_long_ago_is_unsure_and_who_leaves_is_gone(look):
    old = told("old", score(3.0), late_s=100)
    board = look(told("new", score(None)), old, told("a", score(1.0)), told("a", score(9.0, "another query")))
    assert [(entry.call, entry.urgency) for entry in board.entries] == [("a", 1.0)]
    assert (board.ranked, board.unsure) == (1, 2)
    end = told("a", StreamEnd(reason="end", duration_s=9.0, counters=Counters()))
    assert look(end).entries == ()


def test_the_table_names_the_query_and_leaves_out_what_is_not_known(look):
    board = look(told("a", score(1.0)))
    text = "\n".join(line.text for line in table(board, (), "tcp://127.0.0.1:5570", 100, QUERY))
    assert f"most like  {QUERY}" in text
    assert "likeness" in text
    assert "trend" not in text
    for width in (40, 60, 100):
        assert all(line.width <= width for line in table(board, (), "x" * 90, width, QUERY * 9))
