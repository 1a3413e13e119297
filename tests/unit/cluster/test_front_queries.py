"""FrontQueries: one list of what is looked for in words, at workers that come and go."""

from typing import Any

import pytest

from rtemo.api import ConfigError
from rtemo.cluster.messages import Ask, Asked
from rtemo.cluster.queries import FrontQueries
from rtemo_plugins.meaning.book import Book
from rtemo_plugins.meaning.options import MeaningOptions

pytestmark = pytest.mark.unit


class Workers:
    """Workers with the plugin's own books, which answer when they are let."""

    def __init__(self, *numbers: int, **options: Any) -> None:
        self.queries = FrontQueries()
        self.books: dict[int, Book] = {}
        self.asked: dict[int, list[Ask]] = {}
        self.now_s = 0.0
        self._options = {"queries": ("in tears",), "takes_queries": True, **options}
        for number in numbers:
            self.join(number)

    def join(self, number: int) -> None:
        book = self.books[number] = Book(MeaningOptions(**self._options))
        self.asked[number] = []
        self.queries.join(number, self.asked[number].append, book.texts())  # type: ignore[arg-type]

    def lose(self, number: int) -> None:
        del self.books[number], self.asked[number]
        self.queries.leave(number)

    def serve(self, *able: int, later_s: float = 0.0) -> None:
        import time

        self.queries.serve(able or tuple(self.books), time.monotonic() + later_s)

    def answer(self, number: int) -> None:
        """Let a worker do what it was asked."""
        book = self.books[number]
        todo, self.asked[number][:] = list(self.asked[number]), []
        for ask in todo:
            problem = mend = ""
            text = ask.text
            try:
                if ask.op == "ask":
                    text = book.ask(ask.text)
                else:
                    book.forget(ask.text)
            except ConfigError as error:
                problem, mend = error.problem, error.mend
            asked = Asked(number=ask.number, op=ask.op, text=text, queries=book.texts(), problem=problem, mend=mend)
            assert self.queries.hear(number, asked) == ""

    def settle(self) -> None:
        for _ in range(4):
            self.serve()
            for number in list(self.books):
                self.answer(number)


def test_one_worker_judges_and_all_follow() -> None:
    workers = Workers(1, 2, 3)
    assert workers.queries.is_there
    assert workers.queries.texts() == ("in tears",)
    asked = workers.queries.change("ask", "  a loud   voice ")
    workers.serve()
    assert [len(asks) for asks in workers.asked.values()] == [1, 0, 0]
    assert not asked.done()
    workers.settle()
    assert asked.result(0) == "a loud voice"
    forgotten = workers.queries.change("forget", "in tears")
    workers.settle()
    assert forgotten.result(0) == "in tears"
    assert {book.texts() for book in workers.books.values()} == {("a loud voice",)} == {workers.queries.texts()}


@pytest.mark.parametrize(
    ("op", "text", "options", "problem"),
    [
        ("ask", " ", {}, "describes no voice"),
        ("ask", "x" * 2000, {}, "2000 characters"),
        ("ask", "one more", {"queries": tuple(f"voice {number}" for number in range(32))}, "33 queries"),
        ("ask", "tense", {"takes_queries": False}, "are fixed"),
        ("forget", "tense", {}, "is not asked"),
    ],
)
def test_what_one_refuses_no_other_hears_of_and_the_reason_is_its_own(
    op: Any, text: str, options: dict[str, Any], problem: str
) -> None:
    workers = Workers(1, 2, **options)
    before = workers.queries.texts()
    answer = workers.queries.change(op, text)
    workers.settle()
    with pytest.raises(ConfigError, match=problem) as caught:
        answer.result(0)
    assert caught.value.mend
    assert {book.texts() for book in workers.books.values()} == {before}


def test_worker_that_comes_later_or_in_place_of_another_looks_for_the_same() -> None:
    workers = Workers(1, 2)
    workers.queries.change("ask", "tense | calm")
    workers.queries.change("forget", "in tears")
    workers.settle()
    workers.lose(2)
    workers.join(2)
    workers.join(3)
    for number in (2, 3):
        workers.answer(number)
    assert {book.texts() for book in workers.books.values()} == {("tense | calm",)}


def test_change_whose_judge_has_gone_is_judged_by_another_and_a_silent_one_is_not_waited_for_long() -> None:
    workers = Workers(1, 2)
    first = workers.queries.change("ask", "tense")
    second = workers.queries.change("ask", "bored")
    workers.serve()
    workers.lose(1)
    workers.serve()
    assert [ask.text for ask in workers.asked[2]] == ["tense"]
    workers.answer(2)
    workers.serve()
    assert first.result(0) == "tense"
    workers.serve(later_s=3.0)
    with pytest.raises(ConfigError, match="no worker has answered"):
        second.result(0)
    workers.answer(2)  # too late for who asked, but it is so there, and a new one follows
    workers.join(1)
    workers.answer(1)
    assert workers.books[1].texts() == workers.books[2].texts() == ("in tears", "tense", "bored")


def test_who_asks_too_much_at_once_or_while_the_server_stops_is_told() -> None:
    workers = Workers(1)
    answers = [workers.queries.change("ask", f"voice {number}") for number in range(65)]
    with pytest.raises(ConfigError, match="too many queries"):
        answers[-1].result(0)
    workers.queries.close()
    with pytest.raises(ConfigError, match="the server stops"):
        answers[0].result(0)
