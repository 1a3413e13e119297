"""Simulation: events that were recorded, made events of the engine again, at the pace at which they came."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rtemo.api import Event, is_payload_type
from rtemo.io.wire import WireEvent


class Due(NamedTuple):
    """An event, and how long after the first one it is due."""

    after_s: float
    event: WireEvent[Any]


def paced(events: Iterable[WireEvent[Any]], rate: float, longest_gap_s: float) -> Iterator[Due]:
    """Tell when recorded events are due.

    Args:
        events: In the order in which they came.
        rate: How many times faster than they came.
        longest_gap_s: Longest pause between two of them, in s of the recording.
    """
    at_s, before_ms = 0.0, None
    for event in events:
        if before_ms is not None:  # a clock that was set back is no reason to wait
            at_s += min(max(0.0, (event.t_pub_ms - before_ms) / 1000.0), longest_gap_s) / rate
        before_ms = event.t_pub_ms
        yield Due(at_s, event)


def as_now(event: WireEvent[Any]) -> Event | None:
    """Make a recorded event one of the engine that has just happened, as old as it was when it was published.

    Returns:
        None when no installed plugin knows its kind.
    """
    if not is_payload_type(type(event.data)):
        return None
    now_ns = time.time_ns()
    return Event(
        call=event.call,
        channel=event.channel,
        plugin=event.plugin,
        seq=event.stream_seq,
        start_sample=event.start_sample,
        end_sample=event.end_sample,
        capture_ns=0 if event.age_ms is None else now_ns - round(event.age_ms * 1e6),
        emit_ns=now_ns,
        data=event.data,
    )
