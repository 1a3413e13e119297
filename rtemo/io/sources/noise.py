"""Noise: what sound libraries write to standard error while they look for devices, and how to keep it out."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_silent: Any = None


def silence_alsa() -> None:
    """Keep ALSA from writing to standard error: every device that does not open costs several lines.

    What went wrong is known all the same, from PortAudio's error codes.
    """
    global _silent
    if _silent is not None:
        return
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:
        return
    from numba import cfunc, types

    # Compiled, since ALSA calls it from threads of PortAudio's own, at exit too.
    @cfunc(types.void(types.voidptr, types.int32, types.voidptr, types.int32, types.voidptr))
    def say_nothing(_file: Any, _line: Any, _function: Any, _error: Any, _format: Any) -> None:
        pass

    _silent = say_nothing
    alsa.snd_lib_error_set_handler(ctypes.c_void_p(say_nothing.address))


@contextmanager
def hushed() -> Iterator[None]:
    """Send standard error of the whole process nowhere for a moment: JACK's client library has no other switch."""
    try:
        kept = os.dup(2)
    except OSError:  # closed already
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
