"""Pacer: decides when the next tick is due."""

import enum

import numpy as np
from numpy.typing import NDArray

_COMPANY = 4  # the part of a hop that the first to have audio again waits for the others
_CARRY_NS = 5_000_000_000  # how far the clock may be outrun by streams that have nothing, to work off what others have
_FORGIVEN = 0.01  # the part of the time that passes by which that is made good again


class Verdict(enum.Enum):
    """What the driver should do now."""

    TICK = "tick"
    WAIT = "wait"


class Pacer:
    """Paces the driver by the audio itself where it can, and by the clock where streams differ.

    Live: when every stream has a hop beyond what it keeps against jitter, the tick is due at once, so a
    single microphone is paced by its own sample clock and a burst is worked off without loss. A stream that has
    had no audio for the stall limit (a muted line) is carried along then, some seconds ahead of the clock at most:
    what it has not got is no reason for others to be late. Otherwise the tick is due one hop after the last; then
    streams that have no audio get a concealed hop. When no stream at all has audio there is nobody to be late for:
    the tick waits until the stall limit, and from then on time goes on hop by hop. Whoever then is the first to have
    audio waits a moment for the others: one source that was held up writes its channels one after the other, and none
    of them is late for the rest.

    Freewheel: a tick is due as soon as every stream has a hop or has ended; nothing is ever concealed.

    Attributes:
        due_ns: When the next tick is due.
        ready_ns: When the audio of the tick just allowed was ready; lateness counts from here.
    """

    def __init__(self, hop_ns: int, hop_samples: int, is_live: bool, stall_ns: int) -> None:
        self._hop_ns = hop_ns
        self._hop_samples = hop_samples
        self._is_live = is_live
        self._stall_ns = stall_ns
        self.due_ns = 0
        self.ready_ns = 0
        self._is_stalled = False
        self._is_dry = False
        self._company_ns = 0
        self._ahead_ns = 0.0
        self._ticked_ns = 0

    def start(self, now_ns: int) -> None:
        """Begin pacing: the first tick is due now."""
        self.due_ns = self._ticked_ns = now_ns

    def decide(
        self,
        now_ns: int,
        fill: NDArray[np.int64],
        prefill: NDArray[np.int64],
        ended: NDArray[np.uint8],
        rang_ns: int = 0,
        is_mute: NDArray[np.bool_] | None = None,
    ) -> tuple[Verdict, int]:
        """Decide for rows with `fill` unread samples each.

        Args:
            now_ns: Monotonic time.
            fill: int64 [n], n > 0.
            prefill: int64 [n], samples each stream keeps in hand.
            ended: uint8 [n], 1 where no more audio follows.
            rang_ns: When the audio came that ended the driver's waiting; 0 when none did.
            is_mute: bool [n], streams that have had no audio for so long that nobody waits for them; none when None.

        Returns:
            The verdict, and until when to wait at most.
        """
        has_hop = (fill >= self._hop_samples) | (ended != 0)
        if not self._is_live:
            if has_hop.all():
                self.ready_ns = now_ns
                return Verdict.TICK, now_ns
            return Verdict.WAIT, now_ns + self._stall_ns
        has_spare = (fill >= self._hop_samples + prefill) | (ended != 0)
        if has_spare.all() or (is_mute is not None and self._may_carry(has_spare, is_mute & ~has_hop, ended)):
            self._end_drought()
            self.ready_ns = rang_ns or min(self.due_ns, now_ns)
            self.due_ns = now_ns + self._hop_ns
            return self._tick(now_ns)
        if now_ns < self.due_ns:
            return Verdict.WAIT, self.due_ns
        if has_hop.any():
            if self._is_dry and not has_hop.all():
                self._company_ns = self._company_ns or (rang_ns or now_ns) + self._hop_ns // _COMPANY
                if now_ns < self._company_ns:
                    return Verdict.WAIT, self._company_ns
            self.ready_ns = max(self.due_ns, rang_ns, self._company_ns)  # while nobody had audio time stood still
            self._end_drought()
            self.due_ns = self._after(self.ready_ns, now_ns)
            return self._tick(now_ns)
        self._is_dry = True
        limit_ns = self.due_ns if self._is_stalled else self.due_ns + self._stall_ns - self._hop_ns
        if now_ns < limit_ns:
            return Verdict.WAIT, limit_ns
        self._is_stalled = True
        self.ready_ns = now_ns
        self.due_ns = self._after(limit_ns, now_ns)
        return self._tick(now_ns)

    def _may_carry(self, has_spare: NDArray[np.bool_], is_mute: NDArray[np.bool_], ended: NDArray[np.uint8]) -> bool:
        """Tell whether only mute streams are without audio to spare, and somebody who speaks has some."""
        if self._ahead_ns >= _CARRY_NS or not (has_spare | is_mute).all():
            return False
        return bool((has_spare & (ended == 0)).any())

    def _tick(self, now_ns: int) -> tuple[Verdict, int]:
        """Take note of how far ticks have outrun the clock."""
        elapsed_ns = now_ns - self._ticked_ns
        self._ticked_ns = now_ns
        self._ahead_ns = max(0.0, self._ahead_ns + self._hop_ns - elapsed_ns * (1.0 + _FORGIVEN))
        return Verdict.TICK, now_ns

    def _end_drought(self) -> None:
        self._is_stalled = self._is_dry = False
        self._company_ns = 0

    def _after(self, due_ns: int, now_ns: int) -> int:
        """One hop later; but after a long stop (a suspended machine) the past is not played back tick by tick."""
        return max(due_ns + self._hop_ns, now_ns - self._stall_ns)
