"""RemoteWork: the work of a lane in a process of its own, and the words that both sides speak."""

import contextlib
import importlib
import socket
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import PluginError, StreamFormat
from rtemo.api.lane import Window
from rtemo.child_process import ending, start_child

_ARRAY = 1
_START_S = 60.0


class Opening(msgspec.Struct, frozen=True):
    """First message to the process: what to import and with what to open it; names are `module:object`."""

    work: str
    options_type: str
    options: Any
    sample_rate_hz: int
    hop_samples: int
    store: str = ""
    store_options_type: str = ""
    store_options: Any = None


class Told(msgspec.Struct, frozen=True):
    """Who a stream is, as told to the process."""

    id: int
    call: str
    channel: str
    role: str
    analysis: str


class Batch(msgspec.Struct, frozen=True):
    """Windows without their samples, which follow as one message of float32."""

    streams: list[Told]
    starts: list[int]
    lengths: list[int]
    triggers: list[str]


class Answer(msgspec.Struct, frozen=True):
    """What was found, or what went wrong."""

    results: list[Any] = []
    problem: str = ""


def encode(value: Any) -> bytes:
    """Encode what both sides say; NumPy arrays go as they are, without pickle."""
    return msgspec.msgpack.encode(value, enc_hook=_array_out)


def decode(data: bytes, type: Any) -> Any:
    """Decode what the other side said."""
    return msgspec.msgpack.decode(data, type=type, ext_hook=_array_in)


class RemoteWork:
    """Stands for the work: a call sends the windows over and waits for the answer.

    The process is our own Python with the same path, started afresh: nothing of the parent's memory, locks or threads
    goes along, and no `__main__` is run again. It ends when this side's socket closes.

    Args:
        open_work: Makes the work; found again by name, so it must stand in a module.
        options: Its options, a msgspec struct of a module, or None.
        format: Of all audio.
        open_store: Class that lends models, found again by name; or a `partial` of it with one struct of options.

    Raises:
        PluginError: One of them cannot be found by name.
    """

    def __init__(
        self, open_work: Callable[..., Any], options: Any, format: StreamFormat, open_store: Callable[[], Any] | None
    ) -> None:
        opening = Opening(
            work=_name_of(open_work),
            options_type="" if options is None else _name_of(type(options)),
            options=msgspec.to_builtins(options),
            sample_rate_hz=format.sample_rate_hz,
            hop_samples=format.hop_samples,
            **_store_words(open_store),
        )
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = start_child("rtemo.engine.lane_child", theirs)
        self._pipe = Connection(ours.detach())
        self._opening = opening

    def open(self) -> None:
        """Have the work opened there.

        Raises:
            PluginError: It cannot be opened, or takes longer than a minute.
        """
        try:
            self._pipe.send_bytes(encode(self._opening))
            if not self._pipe.poll(_START_S):
                raise PluginError(f"the process of the lane did not start within {_START_S:g} s")
        except OSError as error:
            raise PluginError(f"the process of the lane has died ({self._ending()})") from error
        self._receive()

    @property
    def process_id(self) -> int:
        """Number of the process."""
        return self._child.pid

    def __call__(self, windows: Sequence[Window]) -> list[Any]:
        """Have a batch worked on.

        Raises:
            PluginError: The work raised there, or the process has died.
        """
        batch = Batch(
            [_told(window) for window in windows],
            [window.start_sample for window in windows],
            [len(window.samples) for window in windows],
            [window.trigger for window in windows],
        )
        try:
            self._pipe.send_bytes(encode(batch))
            self._pipe.send_bytes(np.concatenate([window.samples for window in windows]).tobytes())
        except OSError as error:
            raise PluginError(f"the process of the lane has died ({self._ending()})") from error
        return self._receive().results

    def close(self) -> None:
        """End the process; may be called twice, and by another thread than the one that waits for an answer."""
        self._child.kill()
        self._child.wait()
        with contextlib.suppress(OSError):
            self._pipe.close()

    def _receive(self) -> Answer:
        try:
            answer: Answer = decode(self._pipe.recv_bytes(), Answer)
        except (EOFError, OSError) as error:
            raise PluginError(f"the process of the lane has died ({self._ending()})") from error
        if answer.problem:
            raise PluginError(answer.problem)
        return answer

    def _ending(self) -> str:
        try:
            code = self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            return "its pipe broke"
        return ending(code)


def find(name: str) -> Any:
    """Import what a name `module:object` stands for."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _name_of(thing: Any) -> str:
    module, path = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")
    if not module or not path or "<" in path or module == "__main__":
        raise PluginError(
            f"{path or thing!r} cannot be found by another process",
            "make it a function or class of a module that can be imported",
        )
    return f"{module}:{path}"


def _store_words(open_store: Any) -> dict[str, Any]:
    if open_store is None:
        return {}
    if not isinstance(open_store, partial):
        return {"store": _name_of(open_store)}
    (options,) = open_store.args
    return {
        "store": _name_of(open_store.func),
        "store_options_type": _name_of(type(options)),
        "store_options": msgspec.to_builtins(options),
    }


def _told(window: Window) -> Told:
    stream = window.stream
    return Told(stream.id, stream.call, stream.channel, stream.role, stream.analysis)


def _array_out(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(2, "little") + head + value.tobytes())
    raise NotImplementedError(f"results of type {type(value).__name__} cannot leave the process of a lane")


def _array_in(code: int, data: memoryview) -> NDArray[Any]:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code}")
    size = int.from_bytes(data[:2], "little")
    dtype, shape = msgspec.msgpack.decode(data[2 : 2 + size], type=tuple[str, tuple[int, ...]])
    return np.frombuffer(data[2 + size :], dtype).reshape(shape).copy()
