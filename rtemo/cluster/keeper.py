"""Keeper: the other end of a worker that is not on the front's machine: starts it there, and carries its link."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import zmq

from rtemo.child_process import end_child, start_child
from rtemo.cluster.bridge import MAX_MESSAGE_BYTES, Bridge, limit_queues
from rtemo.cluster.link import link_pair
from rtemo.cluster.worker_process import WORKER_MODULE
from rtemo.io.curve import Door, generate_keys, load_public_key
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.sockets import bind, make_socket, open_context
from rtemo.io.zmq_options import CurveOptions

_END_S = 0.5
_HANG_S = 5.0
_LINGER_MS = 1_000


class Kept(msgspec.Struct):
    """Where a kept worker is reached."""

    link: str
    """Endpoint of its link."""
    public_key: str
    """Of all its sockets, 40 characters."""
    curve: dict[str, Any]
    """Keys that its other sockets are to use, as `CurveOptions`."""
    host: str
    """Its machine, as its sockets are to be bound."""
    pid: int
    remark: str = ""
    """What whoever runs the front should know of the machine."""


class Keeper:
    """Starts a worker, and carries its link over ZeroMQ to the front, whose key alone opens it.

    The worker is the same process that a front starts on its own machine; it ends with this program, and when the front
    has gone. Who runs the keeper, such as an actor of a cluster, carries neither audio nor events.

    Args:
        front_key: Public key of the front, 40 characters.
    """

    def __init__(self, front_key: str) -> None:
        self._front_key = front_key
        self._child: subprocess.Popen[bytes] | None = None
        self._bridge: Bridge
        self._thread: threading.Thread

    def start(self, host: str) -> Kept:
        """Start the worker.

        Args:
            host: Address of this machine at which the front reaches it.

        Raises:
            EndpointError: The machine has no such address.
        """
        folder = Path(tempfile.mkdtemp(prefix="rtemo-"))
        context = open_context()
        try:
            public_file, key_file = generate_keys(folder, "worker")
            curve = CurveOptions(key_file=str(key_file), allowed_clients=(self._front_key,))
            door, far = Door(context, curve), make_socket(context, zmq.DEALER)
            limit_queues(far)
            endpoint = bind(far, parse_endpoint(f"tcp://{host}:*"), MAX_MESSAGE_BYTES, door, "the address of the node")
            remark = _go_first(host)
            ours, theirs = link_pair()
            with theirs:
                self._child = start_child(WORKER_MODULE, theirs, is_mute=True)
        except BaseException:
            context.destroy(linger=0)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._bridge = Bridge(far, ours, door)
        self._thread = threading.Thread(target=self._carry, args=(context, ours, folder), daemon=True)
        self._thread.start()
        public_key = load_public_key(public_file).decode()
        return Kept(str(endpoint), public_key, msgspec.to_builtins(curve), host, self._child.pid, remark)

    def end(self) -> str:
        """Wait for the end of the worker for a moment, or bring it about; tell how it ended."""
        if self._child is None:
            return "it was never started"
        how = end_child(self._child, _END_S)
        self._bridge.stop()
        self._thread.join(_END_S + _LINGER_MS / 1000)
        return how

    def _carry(self, context: "zmq.Context[zmq.Socket[bytes]]", near: socket.socket, folder: Path) -> None:
        assert self._child is not None, "it has been started"
        try:
            self._bridge.run()
        finally:
            near.close()  # upon which the worker ends
            context.destroy(linger=_LINGER_MS)
            shutil.rmtree(folder, ignore_errors=True)
            end_child(self._child, _HANG_S)


def _go_first(host: str) -> str:
    """Have what this thread starts wait for no more programs than usual; tells why not, if so."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice <= 0:
        return ""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return (
            f"on {host} all other programs go before workers (nice {nice}): start Ray there with RAY_worker_niceness=0"
        )
    return ""
