"""PortPool: a range of UDP ports, two for each party, and who holds how many."""

import math
import re
from collections import Counter, deque

from rtemo.api import ConfigError

_RANGE = re.compile(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*")
_LEAST_LEGS = 2  # a call of two is had whatever the share


def parse_range(text: str) -> list[int]:
    """Give the even ports of a range, each of which has one for RTCP above it within the range.

    >>> parse_range("20000-20005")
    [20000, 20002, 20004]

    Raises:
        ConfigError: It is none.
    """
    match = _RANGE.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    even = list(range(first + first % 2, last, 2))
    if first < 1 or last > 65_535 or not even:
        raise ConfigError(
            f"sources.rtp.ports.range is {text!r}", "write it as FIRST-LAST, as '20000-20199', with two ports a party"
        )
    return even


class PortPool:
    """Lends ports, the one that came back longest ago first, so that late packets meet no other call.

    A client holds no more than its share of the whole.

    Args:
        ports: Even ports.
        share: Of them that one client may hold.
    """

    def __init__(self, ports: list[int], share: float) -> None:
        self._free = deque(ports)
        self._count = len(ports)
        self._most = max(_LEAST_LEGS, math.floor(share * len(ports)))
        self._held: Counter[bytes] = Counter()

    @property
    def count_free(self) -> int:
        """Ports that are free."""
        return len(self._free)

    @property
    def most_per_client(self) -> int:
        """Ports that one client may hold."""
        return self._most

    def held(self, client: bytes) -> int:
        """Ports that a client holds."""
        return self._held[client]

    def equal_share(self, client: bytes) -> int:
        """Ports that each would have if all who hold some, and this client, had the same."""
        return self._count // len(self._held.keys() | {client})

    def take(self, client: bytes) -> int | None:
        """Lend the next port; None when there is none."""
        if not self._free:
            return None
        self._held[client] += 1
        return self._free.popleft()

    def give(self, client: bytes, port: int) -> None:
        """Take a port back."""
        self._free.append(port)
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
