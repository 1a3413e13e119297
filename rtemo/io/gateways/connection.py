"""Connection: one peer and the streams it brings, whatever the transport."""

import asyncio
import time
from typing import TYPE_CHECKING

from rtemo.io.allowance import Allowance
from rtemo.io.gateways.leg import Leg

if TYPE_CHECKING:
    from rtemo.io.gateways.return_path import ReturnPath

_MESSAGES_PER_S = 500.0  # two tracks in packets of 10 ms, at more than twice the speed
_MESSAGE_BURST = 2_000.0
_BREATH_S = 0.05
_LONGEST_RUN, _PAUSE_S = 8, 0.001


class Connection:
    """What a gateway knows about one peer.

    Args:
        host: Address of the peer.
        port: Its port.

    Attributes:
        peer: Address, for people.
        legs: Streams by channel; None for a party that is not let in.
        began_s: Monotonic time at which it came.
        heard_s: Monotonic time of the last message.
        has_call: Whether the peer has said which call it brings.
        end_reason: Why its streams end; empty while a broken connection may be taken up again.
        is_broken: Whether it is being closed because of what the peer did.
        closing: Closes it; None while nobody does.
        is_surplus_told: Whether it was told that it sends far too fast.
        paths: Call and way of each party whose processed audio goes back to it.
    """

    def __init__(self, host: str, port: int) -> None:
        self.peer = f"{host}:{port}"
        self.legs: dict[str, Leg | None] = {}
        self.began_s = self.heard_s = time.monotonic()
        self.has_call = False
        self.end_reason = ""
        self.is_broken = False
        self.closing: asyncio.Task[None] | None = None
        self.is_surplus_told = False
        self.paths: list[tuple[str, ReturnPath]] = []
        self._run = 0  # messages without a pause
        self._breathed_s = self.began_s
        self._messages = Allowance(_MESSAGES_PER_S, _MESSAGE_BURST, self.began_s)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the network has not taken yet."""
        return 0

    def post(self, message: str | bytes) -> None:
        """Send something without waiting for the network to take it."""
        raise NotImplementedError

    async def breathe(self) -> None:
        """Take one message into account; who sends far too many waits, and the network holds up the rest of them.

        What a peer has sent is read without a pause otherwise, and all others would wait for that: for each of a crowd
        whose packets come at once, too, so that after a few of them it is the next one's turn.
        """
        now_s = time.monotonic()
        self._run = self._run + 1 if now_s - self._breathed_s < _PAUSE_S else 0
        self._breathed_s = now_s
        if not self._messages.take(now_s):
            await asyncio.sleep(_BREATH_S)
        elif self._run >= _LONGEST_RUN:
            self._run = 0
            await asyncio.sleep(0)

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it.

        Args:
            reason: Why, for the peer.
            is_broken: Whether the peer did what it should not.
        """

    def cut_off(self) -> None:
        """Close it without a word, when it does not let itself be closed with one."""
