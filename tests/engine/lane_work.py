"""Slow work for lanes, by name, so that a process finds it too."""

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from rtemo.api import LaneContext, LaneWork, Window


class WorkOptions(msgspec.Struct, frozen=True):
    """How the work behaves."""

    busy_s: float = 0.0
    fails_at_call: int = 0
    """Number of the batch that raises; 0 for none."""
    hangs_at_call: int = 0
    dies_at_call: int = 0
    cannot_open: bool = False
    poison: str = ""
    """A call whose windows cannot be worked on."""
    flag: str = ""
    """A file whose presence says that the misfortune has happened once already."""


release_hang = threading.Event()
"""Lets work that hangs in this process return."""


def describe(context: LaneContext, options: WorkOptions) -> LaneWork:
    """Open work that tells mean level, span and process of each window."""
    if options.cannot_open:
        raise RuntimeError("no such thing")
    calls = 0

    def work(windows: Sequence[Window]) -> list[Any]:
        nonlocal calls
        calls += 1
        first_time = not options.flag or not os.path.exists(options.flag)
        if calls in (options.fails_at_call, options.hangs_at_call, options.dies_at_call) and first_time:
            if options.flag:
                open(options.flag, "w").close()
            if calls == options.fails_at_call:
                raise RuntimeError("bad window")
            if calls == options.hangs_at_call:
                release_hang.wait(30.0)
            if calls == options.dies_at_call:
                os.kill(os.getpid(), 9)
        if any(window.stream.call == options.poison for window in windows):
            raise RuntimeError("bad window")
        time.sleep(options.busy_s)
        return [
            {
                "mean": float(np.abs(window.samples).mean()),
                "samples": window.samples[:3].copy(),
                "call": window.stream.call,
                "process": os.getpid(),
                "batch": len(windows),
            }
            for window in windows
        ]

    return work


def write_down(context: LaneContext, options: WorkOptions) -> LaneWork:
    """Open work that writes down what is said in each window."""
    speech = context.speech("whisper-base")

    def work(windows: Sequence[Window]) -> list[Any]:
        texts = speech.transcribe([window.samples for window in windows], language="en", words=False)
        return [{"text": text.text, "process": os.getpid()} for text in texts]

    return work
