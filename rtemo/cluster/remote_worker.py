"""RemoteWorker: a worker on another machine, seen from the front."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import zmq

from rtemo.api import RtemoError
from rtemo.cluster.bridge import Bridge, limit_queues
from rtemo.cluster.keeper import Kept
from rtemo.cluster.link import Link, link_pair
from rtemo.cluster.messages import Begin, Remark
from rtemo.cluster.starter import Place, StartedWorker
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.sockets import connect, make_socket, open_context
from rtemo.io.worker_wire import Refused

_LOOK_S = 0.2
_PATIENCE_S = 10.0  # then the operator is told what is waited for
_END_S = 0.5


class Hold(Protocol):
    """What holds a keeper on another machine; its methods are called on one thread, but for `kill`."""

    def started(self, wait_s: float) -> Kept | None:
        """Tell where the worker is reached, once it has been started; None if that takes longer than so long.

        Raises:
            RtemoError: It cannot be started there.
        """

    def ending(self, wait_s: float) -> str:
        """Tell how the worker ended, or that nobody is left who could; takes no longer than so long."""

    def kill(self) -> None:
        """End the keeper, and with it the worker. Any thread; never blocks."""


class RemoteWorker(StartedWorker):
    """Waits for its keeper, then carries the link between the fleet and the worker, on a thread of its own.

    Args:
        hold: Of its keeper.
        begin: Makes the first message to it.
        key_file: Secret key file of the front.
        awaited: What is waited for while nobody can start it, for people.
    """

    def __init__(self, hold: Hold, begin: Callable[[Place], Begin], key_file: Path, awaited: str) -> None:
        ours, self._near = link_pair()
        super().__init__(ours)
        self._hold = hold
        self._begin = begin
        self._key_file = key_file
        self._awaited = awaited
        self._kept: Kept | None = None
        self._bridge: Bridge | None = None
        self._how = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtemo-remote-worker", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Number of its process on its machine; 0 until it is known."""
        return 0 if self._kept is None else self._kept.pid

    @property
    def node(self) -> str:
        """Its machine."""
        return "" if self._kept is None else self._kept.host

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._how = "it was ended"
        self._stop.set()
        if self._bridge is not None:
            self._bridge.stop()
        self._hold.kill()

    def end(self) -> str:
        """Tell how it ended; what is left of it is ended in the background."""
        self.link.close()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            self.kill()
        return self._how or "how is not known"

    def _run(self) -> None:
        with self._near:
            try:
                self._carry()
            except RtemoError as error:
                self._say(Refused(error.problem, error.mend))
        self._hold.kill()

    def _carry(self) -> None:
        kept = self._wait()
        if kept is None:
            return
        if kept.remark:
            self._say(Remark(kept.remark))
        self.keys = ClientKeys(kept.public_key, self._key_file)
        context = open_context()  # its own, so that nobody else's sockets hold up its end
        try:
            far = make_socket(context, zmq.DEALER)
            limit_queues(far)
            self._bridge = Bridge(far, self._near, is_sharp=True)
            self._kept = kept
            connect(far, parse_endpoint(kept.link), self.keys)
            anywhere = f"tcp://{kept.host}:*"
            self.send(self._begin(Place(anywhere, anywhere, kept.curve)))
            if not self._stop.is_set():
                self._bridge.run()
        finally:
            context.destroy(linger=0)
        self._how = self._how or self._hold.ending(_END_S)

    def _wait(self) -> Kept | None:
        """Wait until there is a worker; None when it is not wanted any more."""
        waited_s = 0.0
        while not self._stop.is_set():
            kept = self._hold.started(_LOOK_S)
            if kept is not None:
                return kept
            before_s, waited_s = waited_s, waited_s + _LOOK_S
            if before_s < _PATIENCE_S <= waited_s:
                self._say(Remark(f"waiting for {self._awaited}"))
        return None

    def _say(self, message: Remark | Refused) -> None:
        """Tell the fleet something as if the worker did."""
        with contextlib.suppress(OSError):
            Link(self._near).send(message)
