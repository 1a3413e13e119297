"""FrontGateways: the telephone gateways of a front, each in a process of its own, whose audio goes past this one."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rtemo.api import Fault, Payload, RtemoError, SourceCounts, SourceState, StreamDesk
from rtemo.back_off import BackOff
from rtemo.engine.source_thread import SourceThread

if TYPE_CHECKING:
    from rtemo.io.gateways.gateway import Gateway
    from rtemo.io.gateways.gateway_process import GatewayProcess


class _Post:
    """The place of a gateway, whichever process holds it."""

    def __init__(self, edge: "GatewayProcess", desk: StreamDesk) -> None:
        self.edge = edge
        self.thread = SourceThread(edge, desk)
        self.since_s = 0.0
        self.again_s: float | None = None
        self.back_off = BackOff()
        self.problem = ""
        self._desk = desk
        self._opening: threading.Thread | None = None

    @property
    def is_opening(self) -> bool:
        return self._opening is not None and self._opening.is_alive()

    @property
    def was_opened(self) -> bool:
        """Whether it has been opened again; asked for the first time since."""
        was_opened, self._opening = self._opening is not None and not self.is_opening, None
        return was_opened

    def open_again(self, now_s: float) -> None:
        """Open it on a thread of its own: that takes seconds, and workers are to be heard meanwhile."""
        self.again_s, self.since_s = None, now_s
        self.thread = SourceThread(self.edge, self._desk)
        self._opening = threading.Thread(target=self._open, name=f"rtemo-open-{self.edge.name}", daemon=True)
        self._opening.start()

    def _open(self) -> None:
        try:
            self.thread.start()
        except RtemoError as error:
            self.problem = error.problem


class FrontGateways:
    """Starts gateways, follows what they tell of themselves, and starts those again that have ended.

    Args:
        gateways: None of them opened.
        endpoint: Where the front takes what they bring; see `SourceLine`.
        desk: Takes what they report.
        tell: Takes what is told of them.

    Attributes:
        edges: What telephone systems connect to.
    """

    def __init__(
        self, gateways: "Sequence[Gateway]", endpoint: str, desk: StreamDesk, tell: Callable[[Payload], None]
    ) -> None:
        self.edges = _apart(gateways, endpoint) if gateways else []
        self._posts = [_Post(edge, desk) for edge in self.edges]
        self._tell = tell
        self._is_stopping = False

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`."""
        return max((edge.drain_s for edge in self.edges), default=0.0)

    def start(self) -> None:
        """Start all, and wait until they are open.

        Raises:
            RtemoError: One cannot be opened.
        """
        for post in self._posts:
            post.thread.start()
            post.since_s = time.monotonic()

    def drain(self) -> None:
        """Take no new calls from now on; those that are open go on. Any thread."""
        for edge in self.edges:
            edge.drain()

    def source_counts(self) -> tuple[SourceCounts, ...]:
        """Tell what has come to their doors."""
        return tuple(edge.source_counts() for edge in self.edges)

    def serve(self, now_s: float) -> Iterator[str]:
        """Start those again that have ended; names those that have ended since this was last asked."""
        for post in self._posts:
            if post.is_opening:
                continue
            was_opened = post.was_opened
            if not post.thread.is_ended:
                if was_opened:
                    self._tell(SourceState(state="recovered", detail=f"{post.edge.name} takes calls again"))
            elif post.again_s is None:
                if was_opened:
                    self._tell(Fault(where=post.edge.name, problem=post.problem, action="retrying"))
                post.again_s = now_s + post.back_off.wait_s(now_s - post.since_s)
                yield post.edge.name
            elif now_s >= post.again_s and not self._is_stopping:
                post.open_again(now_s)

    def stop(self) -> None:
        """Tell all to end their calls and to hang up; `are_running` tells when they have."""
        self._is_stopping = True
        for post in self._posts:
            post.thread.stop(0.0)

    @property
    def are_running(self) -> bool:
        """Whether one has not ended yet."""
        return any(not post.thread.is_ended for post in self._posts)


def _apart(gateways: "Sequence[Gateway]", endpoint: str) -> "list[GatewayProcess]":
    from rtemo.io.gateways.gateway_process import GatewayProcess  # brings along what compiles kernels

    return [GatewayProcess(gateway, gateway.options, endpoint) for gateway in gateways]
