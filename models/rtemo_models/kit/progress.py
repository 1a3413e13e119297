"""A progress line that is quiet in a log file and alive on a terminal."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def progress(items: Sequence[T], title: str) -> Iterator[T]:
    """Yield the items and say how far it is: four times a second on a terminal, every 20 s in a log."""
    live = sys.stderr.isatty()
    period_s = 0.25 if live else 20.0
    started_s = said_s = time.monotonic()
    for done, item in enumerate(items):
        yield item
        now_s = time.monotonic()
        if now_s - said_s >= period_s or done + 1 == len(items):
            said_s = now_s
            left_s = (now_s - started_s) / (done + 1) * (len(items) - done - 1)
            line = f"{title}: {done + 1}/{len(items)}, {now_s - started_s:.0f} s, {left_s:.0f} s left"
            print(f"\r{line}\x1b[K" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)
