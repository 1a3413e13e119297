"""What a server tells whoever started it, and how it is told to read its keys again."""

import signal
import sys
from collections.abc import Iterable, Sequence

from rtemo.api import Event
from rtemo.cli.view.plain import logged
from rtemo.config import Config
from rtemo.io.connections import raise_file_limit
from rtemo.io.curve import read_keys_again

_EVENTFUL = ("session_start", "stream_start", "stream_end", "source", "quality", "fault", "session_end")
_OF_CALLS = ("stream_start", "stream_end")


def read_keys_on_hangup(edges: Sequence[object]) -> None:
    """Let SIGHUP read the lists of clients again, where there are any; otherwise it ends the program as always."""
    if hasattr(signal, "SIGHUP") and any(getattr(edge, "is_encrypted", False) for edge in edges):
        signal.signal(signal.SIGHUP, lambda number, frame: read_keys_again())


def raise_files(config: Config) -> None:
    """Raise the limit of open files, and say so when it is too low for the capacity."""
    files, wanted = raise_file_limit(), 2 * config.engine.capacity + 256
    if files < wanted:
        problem = f"this process may open {files} files, {config.engine.capacity} streams may need {wanted}"
        print(f"rtemo: {problem}; raise `ulimit -n`, or LimitNOFILE= of the service", file=sys.stderr, flush=True)


def announce(config: Config, edges: Sequence[object], workers: int = 0) -> None:
    """Say where everything is reached, and, in one line that a supervisor can wait for, that it is ready."""
    policy = config.policy
    endpoints = {name: str(end) for edge in edges for name, end in getattr(edge, "endpoints", {}).items()}
    rows = {**endpoints, "purpose": policy.purpose, "streams": str(config.engine.capacity)}
    if workers:
        rows["workers"] = str(workers)
    rows["analysed"] = f"{', '.join(policy.analysed_roles) or 'nobody'}; others: {policy.others}"
    for name, value in rows.items():
        print(f"{name:<9} {value}", flush=True)
    ends = ", ".join([*(f"{name} {end}" for name, end in endpoints.items()), f"{config.engine.capacity} slots"])
    print(f"rtemo: ready: {ends}", file=sys.stderr, flush=True)


def say(events: Iterable[Event], sample_rate_hz: int, quiet: bool) -> None:
    """Print what the operator should know: streams that come and go, sources lost, sound that is wrong, faults."""
    for event in events:
        kind = event.kind
        is_of_call = kind in _OF_CALLS or (kind == "fault" and getattr(event.data, "action", "") == "moved")
        if kind in _EVENTFUL and not (quiet and is_of_call):
            file = sys.stderr if kind == "fault" else sys.stdout
            print(logged(event, sample_rate_hz), file=file, flush=True)
