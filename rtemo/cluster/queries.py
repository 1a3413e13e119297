"""FrontQueries: what the chains of all workers look for in words, as if there were one."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future

import msgspec

from rtemo.api import ConfigError
from rtemo.cluster.messages import Ask, Asked, QueryOp

_ANSWER_S = 2.0
_MOST_WAITING = 64

_Send = Callable[[msgspec.Struct], None]


class _Change:
    """A change that somebody wants.

    Attributes:
        answer: The query as it is told from now on, or why not.
    """

    __slots__ = ("answer", "number", "op", "since_s", "text")

    def __init__(self, number: int, op: QueryOp, text: str) -> None:
        self.number = number
        self.op = op
        self.text = text
        self.since_s = time.monotonic()
        self.answer: Future[str] = Future()


class FrontQueries:
    """Lets one worker judge each change, and has the others follow it; see `rtemo.api.Queries`.

    Changes are judged one after the other, so that all workers have the same list. One that comes later, in place of
    another too, is told what the others look for before it gets a call. `change`, `texts`, `ask` and `forget` may be
    called on any thread but that of the fleet, which calls the others.

    Attributes:
        is_there: Whether the chain looks for anything in words at all.
    """

    def __init__(self) -> None:
        self.is_there = False
        self._texts: tuple[str, ...] = ()
        self._workers: dict[int, _Send] = {}
        self._changes: deque[_Change] = deque()
        self._judge: int | None = None
        self._numbers = itertools.count(1)

    def texts(self) -> tuple[str, ...]:
        """List the queries as they are told."""
        return self._texts

    def ask(self, text: str) -> str:
        """Look for one more from now on; waits for the answer of a worker.

        Raises:
            ConfigError: It cannot be read, there are too many, nobody may ask, or no worker answers.
        """
        return self.change("ask", text).result()

    def forget(self, text: str) -> None:
        """Look for it no more; waits for the answer of a worker.

        Raises:
            ConfigError: It is not asked, a rule rests on it, nobody may take it back, or no worker answers.
        """
        self.change("forget", text).result()

    def change(self, op: QueryOp, text: str) -> "Future[str]":
        """Ask for a change; the query as it is told is known within two seconds, or a ConfigError says why not."""
        change = _Change(next(self._numbers), op, text)
        if len(self._changes) >= _MOST_WAITING:
            change.answer.set_exception(ConfigError("too many queries are asked at once", "try again in a moment"))
        else:
            self._changes.append(change)
        return change.answer

    def join(self, worker: int, send: _Send, texts: tuple[str, ...]) -> None:
        """Take note of a worker that is ready, and of what it looks for; it follows what the others look for."""
        if not self.is_there:
            self.is_there, self._texts = True, texts
        for text in texts:
            if text not in self._texts:
                send(Ask(op="forget", text=text))
        for text in self._texts:
            if text not in texts:
                send(Ask(op="ask", text=text))
        self._workers[worker] = send

    def leave(self, worker: int) -> None:
        """Take note that a worker has gone; what it was to judge another one will."""
        self._workers.pop(worker, None)
        if self._judge == worker:
            self._judge = None

    def hear(self, worker: int, asked: Asked) -> str:
        """Take what a worker says to a change; gives why it does not follow the others, if so."""
        if not asked.number:
            return asked.problem
        change = self._changes[0] if self._changes and self._changes[0].number == asked.number else None
        if change is not None:
            self._changes.popleft()
            self._judge = None
        if asked.problem:
            if change is not None:
                change.answer.set_exception(ConfigError(asked.problem, asked.mend))
            return ""
        self._texts = asked.queries  # also when it comes too late for who has asked: it is so there
        for number, send in self._workers.items():
            if number != worker:
                send(Ask(op=asked.op, text=asked.text))
        if change is not None:
            change.answer.set_result(asked.text)
        return ""

    def serve(self, running: Collection[int], now_s: float) -> None:
        """Have the next change judged by one of the workers that answer."""
        while self._changes and now_s - self._changes[0].since_s > _ANSWER_S:
            problem = ConfigError(f"no worker has answered within {_ANSWER_S:g} s", "try again in a moment")
            self._changes.popleft().answer.set_exception(problem)
            self._judge = None
        able = [worker for worker in running if worker in self._workers]
        if self._changes and self._judge is None and able:
            change = self._changes[0]
            self._judge = min(able)
            self._workers[self._judge](Ask(op=change.op, text=change.text, number=change.number))

    def close(self) -> None:
        """Tell who still waits that the server stops."""
        while self._changes:
            self._changes.popleft().answer.set_exception(ConfigError("the server stops", "try the next one"))
