"""Watchdog: gives up a plugin that does not return, and lets a new driver thread go on without it."""

import threading
from collections.abc import Callable

from rtemo.engine.chain import Chain
from rtemo.engine.clock import Clock


class Watchdog:
    """Looks at the chain a few times per `hang_s`.

    Python cannot stop a thread, so the hung one is left behind: it holds no turn any more and ends by
    itself when its plugin returns.

    Args:
        chain: The chain to watch.
        hang_s: How long a plugin may take.
        clock: Time of the stage stamps.
        go_on: Called with the number of the new holder, to start a driver thread.
    """

    def __init__(self, chain: Chain, hang_s: float, clock: Clock, go_on: Callable[[int], None]) -> None:
        self._chain = chain
        self._hang_s = hang_s
        self._clock = clock
        self._go_on = go_on
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtemo-watchdog", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look once; tell whether a plugin was given up."""
        turn = self._chain.turn
        with turn.lock:
            if turn.stage is None or self._clock.now_ns() - turn.stage_start_ns < self._hang_s * 1e9:
                return False
            turn.holder += 1
            holder, stage = turn.holder, turn.stage
            turn.stage = None
        self._chain.give_up(stage, f"did not return within {self._hang_s:g} s")
        self._go_on(holder)
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._hang_s / 4):
            self.look()
