"""FrontGateways: the telephone gateways of a front, each in a process of its own, whose audio goes past this thread."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rtemo.api import SourceCounts, StreamDesk
from rtemo.engine.source_thread import SourceThread

if TYPE_CHECKING:
    from rtemo.io.gateways.gateway import Gateway
    from rtemo.io.gateways.gateway_process import GatewayProcess


class FrontGateways:
    """Starts gateways, follows what they tell of themselves, and notices which have gone.

    Args:
        gateways: None of them opened.
        endpoint: Where the front takes what they bring; see `SourceLine`.
        desk: Takes what they report.

    Attributes:
        edges: What telephone systems connect to.
    """

    def __init__(self, gateways: "Sequence[Gateway]", endpoint: str, desk: StreamDesk) -> None:
        self.edges = _apart(gateways, endpoint) if gateways else []
        self._threads = [SourceThread(edge, desk) for edge in self.edges]
        self._gone: set[str] = set()

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`."""
        return max((edge.drain_s for edge in self.edges), default=0.0)

    @property
    def have_gone(self) -> bool:
        """Whether there were some, and none is left."""
        return bool(self.edges) and len(self._gone) == len(self.edges)

    def start(self) -> None:
        """Start all, and wait until they are open.

        Raises:
            RtemoError: One cannot be opened.
        """
        for thread in self._threads:
            thread.start()

    def drain(self) -> None:
        """Take no new calls from now on; those that are open go on. Any thread."""
        for edge in self.edges:
            edge.drain()

    def source_counts(self) -> tuple[SourceCounts, ...]:
        """Tell what has come to their doors."""
        return tuple(edge.source_counts() for edge in self.edges)

    def newly_gone(self) -> Iterator[str]:
        """Name those that have ended since this was last asked."""
        for thread in self._threads:
            name = thread.source.name
            if thread.is_ended and name not in self._gone:
                self._gone.add(name)
                yield name

    def stop(self) -> None:
        """Tell all to end their calls and to hang up; `are_running` tells when they have."""
        for thread in self._threads:
            thread.stop(0.0)

    @property
    def are_running(self) -> bool:
        """Whether one has not ended yet."""
        return any(not thread.is_ended for thread in self._threads)


def _apart(gateways: "Sequence[Gateway]", endpoint: str) -> "list[GatewayProcess]":
    from rtemo.io.gateways.gateway_process import GatewayProcess  # brings along what compiles kernels

    return [GatewayProcess(gateway, gateway.options, endpoint) for gateway in gateways]
