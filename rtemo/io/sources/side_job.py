"""SideJob: a call that may hang, run on a thread that nobody has to wait for."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SideJob(Generic[T]):
    """Runs a function once on a daemon thread.

    Args:
        work: What to run.
        name: Name of the thread.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._result: T | None = None
        self._error: Exception | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether the function has returned or raised."""
        return self._done.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is done; tell whether it came to that in time."""
        return self._done.wait(timeout_s)

    def result(self) -> T:
        """Give what the function returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._result = self._work()
        except Exception as error:
            self._error = error
        finally:
            self._done.set()
