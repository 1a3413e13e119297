"""The demo for as long as you like: `python -m bench.capacity.demo --minutes 10 --runs 3`.

The example call is played over and over by `rtemo listen --publish` on a terminal of its own (a pseudo-terminal of
120 x 36 whose output is read and thrown away), with `rtemo subscribe --json` as a process beside it, as in `make demo`.
What is printed is what the subscriber received: the counters of the session and how late and how long the ticks were,
one line of JSON per run. `stolen_ms` is for how long the host of a virtual machine kept its processors away, warm-up
included. The exit status is 1 when anything was lost, late, concealed or skipped.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

_CALL = Path(__file__).parents[2] / "examples" / "call.flac"
_LINES, _COLUMNS = 36, 120
_PATIENCE_S = 300.0  # the first start compiles
_PORTS = 3  # events, state, query


def main() -> None:
    """Run and print one JSON line per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--view", choices=["drawn", "plain"], default="drawn")
    parser.add_argument("--no-subscriber", action="store_true", help="events go into a file of rtemo listen instead")
    parser.add_argument("words", nargs="*", help="further words for rtemo listen, after --")
    arguments = parser.parse_args()
    is_clean = True
    with tempfile.TemporaryDirectory() as folder:
        call = repeated(Path(folder) / "call.flac", arguments.minutes * 60)
        for run in range(arguments.runs):
            found = measure(call, Path(folder), arguments.view, not arguments.no_subscriber, arguments.words)
            is_clean &= not any(found["counters"].values())  # type: ignore[attr-defined]
            print(json.dumps({"run": run + 1, **found}), flush=True)
    sys.exit(not is_clean)


def repeated(path: Path, duration_s: float) -> Path:
    """Write `duration_s` of the example call, played over and over."""
    sound, rate_hz = soundfile.read(_CALL, dtype="int16", always_2d=True)
    left_samples = max(1, round(duration_s * rate_hz))
    with soundfile.SoundFile(path, "w", rate_hz, sound.shape[1], "PCM_16") as file:
        while left_samples > 0:
            file.write(sound[:left_samples])
            left_samples -= len(sound)
    return path


def measure(call: Path, folder: Path, view: str, with_subscriber: bool, words: list[str]) -> dict[str, object]:
    """Play the call once and tell how it went, by what was said about it."""
    program = [sys.executable, "-m", "rtemo.cli.main"]
    endpoint, events = f"tcp://127.0.0.1:{_free_ports()}", folder / "events.jsonl"
    subscriber = None
    extra = ["--plain"] if view == "plain" else []
    if with_subscriber:
        extra += ["--publish", endpoint]
        with events.open("wb") as file:
            ask = [*program, "subscribe", endpoint, "--json", "--wait", str(_PATIENCE_S)]
            subscriber = subprocess.Popen(ask, stdout=file)
    else:
        extra += ["--jsonl", str(events)]
    stolen_ms = _stolen_ms()
    try:
        status = _on_a_terminal([*program, "listen", str(call), *extra, *words])
    finally:
        if subscriber is not None:
            time.sleep(0.5)
            subscriber.terminate()
            subscriber.wait()
    stolen_ms = _stolen_ms() - stolen_ms
    return {"status": status, "stolen_ms": stolen_ms, **summed_up(events.read_text().splitlines())}


def summed_up(lines: list[str]) -> dict[str, object]:
    """Sum up the events of a session: final counters, and the spread of what `health` told every second."""
    counters: dict[str, int] = {}
    healths, ages_ms = [], []
    for line in lines:
        event = json.loads(line)
        data = event["data"]
        if event["kind"] == "health":
            healths.append(data)
        elif event["kind"] == "session_end":
            counters = data["counters"]
        elif event["kind"] == "level" and event.get("age_ms") is not None:
            ages_ms.append(event["age_ms"])
    if not healths:
        raise SystemExit("no health event came: see what rtemo listen says by itself")

    def percentile(name: str, percent: float) -> float:
        return round(float(np.percentile([health[name] for health in healths], percent)), 1)

    return {
        "counters": counters,
        "charged": {plugin["name"]: plugin["xruns"] for plugin in healths[-1]["plugins"] if plugin["xruns"]},
        "seconds": len(healths),
        "late_p99_us": {"median": percentile("late_p99_us", 50), "worst": percentile("late_p99_us", 100)},
        "tick_p50_us": {"median": percentile("tick_p50_us", 50), "worst": percentile("tick_p50_us", 100)},
        "tick_p99_us": {"median": percentile("tick_p99_us", 50), "worst": percentile("tick_p99_us", 100)},
        "age_ms": {f"p{percent:g}": round(float(np.percentile(ages_ms, percent)), 1) for percent in (50, 99, 100)},
        "events": len(lines),
    }


def _stolen_ms() -> float:
    """Time since the machine started for which its host ran something else, all processors together (proc(5))."""
    ticks = int(Path("/proc/stat").read_text().split()[8])
    return 1e3 * ticks / os.sysconf("SC_CLK_TCK")


def _on_a_terminal(words: list[str]) -> int:
    """Run a command with a terminal that somebody reads; gives its status."""
    ours, theirs = os.openpty()
    set_size = ["stty", "rows", str(_LINES), "columns", str(_COLUMNS)]
    subprocess.run(set_size, stdin=theirs, check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm-256color"}
    )
    os.close(theirs)
    tail = bytearray()

    def drain() -> None:
        with contextlib.suppress(OSError), open(ours, "rb", buffering=0) as screen:  # ends with the last writer
            while data := _read(screen):
                tail.extend(data)
                del tail[:-4096]

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    status = process.wait()
    reader.join(1.0)
    print(tail.decode(errors="replace").rpartition("\x1b[?1049l")[2].strip(), file=sys.stderr)
    return status


def _read(screen: IO[bytes]) -> bytes:
    return screen.read(1 << 16) or b""


def _free_ports() -> int:
    """Find a port that is free together with those that the publisher takes beside it."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for offset in range(1, _PORTS):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
        return port


if __name__ == "__main__":
    main()
