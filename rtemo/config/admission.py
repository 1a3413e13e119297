"""Admission: the policy applied to streams as they come, so that nobody changes roles on the way."""

import sys
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

from rtemo.api.errors import PolicyError
from rtemo.api.roles import canonical_role
from rtemo.config.policy import Analysis, Policy

_MEMORY_S = 7_200.0
_MOST_NAMES = 65_536
_SCOPE: dict[Analysis, int] = {"refused": 0, "timing": 1, "person": 2}


class _Announced(NamedTuple):
    role: str
    analysis: Analysis
    at_s: float


class Admission:
    """Decides what may be found out about each stream, and remembers under which role it was announced.

    A stream that was turned away, or is only timed, because of its role does not become another person's by being
    opened again: for two hours its call and channel cannot be announced under a role of which more would be found out.
    Any thread.

    Args:
        policy: The rule.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._announced: OrderedDict[tuple[str, str], _Announced] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, call: str, channel: str, role: str, *, is_local: bool) -> Analysis:
        """Tell what may be found out about a stream that is about to be opened: `person` or `timing`.

        Raises:
            PolicyError: It is not to be let in, or was announced under another role before.
        """
        ruling = self._policy.rule(role, is_local=is_local)
        name, now_s = canonical_role(role), time.monotonic()
        with self._lock:
            before = self._announced.get((call, channel))
            if (
                before is not None
                and before.role not in ("", name)
                and now_s - before.at_s < _MEMORY_S
                and _SCOPE[ruling.analysis] > _SCOPE[before.analysis]
            ):
                raise PolicyError(
                    f"call {call!r} channel {channel!r} was announced as {before.role!r} and cannot become {role!r}",
                    "use another name for another person",
                )
        if ruling.analysis == "refused":
            self.remember(call, channel, role, "refused")
            raise PolicyError(ruling.reason, "see `[policy]` in the configuration")
        return ruling.analysis

    def remember(self, call: str, channel: str, role: str, analysis: Analysis) -> None:
        """Note under which role a stream was opened, once it was: what the engine had no room for binds nobody."""
        now_s = time.monotonic()
        with self._lock:
            announced = self._announced
            announced.pop((call, channel), None)
            if _SCOPE[analysis] < max(_SCOPE.values()):  # of whom all may be found out no more ever will be
                announced[call, channel] = _Announced(sys.intern(canonical_role(role)), analysis, now_s)
            while announced:
                oldest = next(iter(announced.values()))
                if len(announced) <= _MOST_NAMES and now_s - oldest.at_s < _MEMORY_S:
                    break
                announced.popitem(last=False)
