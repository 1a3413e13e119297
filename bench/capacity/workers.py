"""Many calls shared by several workers: what is lost, how late events are, what front and workers cost.

    python -m bench.capacity.workers --calls 200 --workers 2 --seconds 60
    python -m bench.capacity.workers --calls 200 --workers 0 --seconds 60       # one engine, for comparison

`rtemo serve` in processes of its own, the calls (8 kHz G.711, packets of 20 ms, two thirds speech) in another, a
subscriber of everything here. CPU is that of the processes, user and system, over the seconds in which all calls are
open; it is told per call, as microseconds for each second of it, since a busy machine takes longer and does not take
more. The age of an event is from the end of the audio it is about, in the sender's time, to its arrival here.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import zmq

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class _Seen(msgspec.Struct):
    """What is looked at in an event."""

    kind: str
    pub_seq: int
    t_capture_ms: float | None = None
    data: msgspec.Raw = msgspec.Raw()


class Subscriber:
    """Counts all events, and how old they are."""

    def __init__(self, endpoint: str) -> None:
        self.ages_ms: list[float] = []
        self.events = 0
        self.lost_events = 0
        self.health: dict[str, object] = {}
        self.is_measuring = False
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.rcvhwm = 0
        socket.connect(self._endpoint)
        socket.subscribe(b"v1/")
        decode, last = msgspec.json.Decoder(_Seen).decode, 0
        while not self._stop.is_set():
            if not socket.poll(100):
                continue
            topic, message = socket.recv_multipart()
            if b"/_hb/" in topic:
                continue
            seen = decode(message)
            if last and seen.pub_seq != last + 1:
                self.lost_events += seen.pub_seq - last - 1
            last = seen.pub_seq
            if seen.kind == "health":
                self.health = msgspec.json.decode(seen.data)
            if not self.is_measuring:
                continue
            self.events += 1
            if seen.t_capture_ms is not None:
                self.ages_ms.append(time.time() * 1000.0 - seen.t_capture_ms)
        context.destroy(linger=0)


def cpu_s(process: int) -> float:
    """Tell how long a process has computed so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def children(process: int) -> list[int]:
    """List the processes that a process has started."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def serve(words: list[str], folder: str) -> tuple["subprocess.Popen[str]", str, str]:
    """Start `rtemo serve` on sockets in a private folder, and wait until it is ready."""
    ingest, events = f"ipc://{folder}/in", f"ipc://{folder}/out"
    words = ["serve", "--quiet", "--ingest", ingest, "--publish", events, *words]
    process = subprocess.Popen([sys.executable, "-m", "rtemo.cli.main", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    if not any("rtemo: ready" in line for line in process.stderr):
        raise SystemExit("the server did not start")
    threading.Thread(target=sys.stderr.writelines, args=(process.stderr,), daemon=True).start()
    return process, ingest, events


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Run once, and give the figures."""
    words = ["--capacity", str(arguments.calls + 8), "--chain", arguments.chain]
    words += ["--workers", str(arguments.workers)] if arguments.workers else []
    words += ["--pin"] if arguments.pin else []
    for setting in arguments.set:
        words += ["--set", setting]
    with tempfile.TemporaryDirectory() as folder:
        server, ingest, events = serve(words, folder)
        try:
            subscriber = Subscriber(events)
            sender_words = [ingest, str(arguments.calls), str(arguments.seconds), str(arguments.per_s)]
            sender = subprocess.Popen(
                [sys.executable, "-m", "bench.capacity.many_calls", *sender_words], stdout=subprocess.PIPE, text=True
            )
            assert sender.stdout is not None
            sender.stdout.readline()
            time.sleep(arguments.calls / arguments.per_s + 1.0)
            workers = children(server.pid)
            before = {process: cpu_s(process) for process in (server.pid, sender.pid, *workers)}
            subscriber.is_measuring = True
            start_s = time.monotonic()
            time.sleep(max(1.0, arguments.seconds - 2.0))
            subscriber.is_measuring = False
            took_s = time.monotonic() - start_s
            used = {
                process: cpu_s(process) - before[process] for process in before if Path(f"/proc/{process}").exists()
            }
            health = subscriber.health
            account = json.loads(sender.stdout.read())
            subscriber.stop()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20.0)
    ages = np.array(subscriber.ages_ms or [np.nan])
    calls = max(1, account["opened"])
    per_call = 1e6 / took_s / calls
    return {
        "calls": arguments.calls,
        "workers": arguments.workers,
        "seconds": round(took_s, 1),
        "chain": arguments.chain,
        **account,
        "lost_audio_ms": round(account["lost_samples"] / 8.0, 1),
        "events_per_s": round(subscriber.events / took_s),
        "lost_events": subscriber.lost_events,
        "event_age_p50_ms": round(float(np.percentile(ages, 50)), 1),
        "event_age_p99_ms": round(float(np.percentile(ages, 99)), 1),
        "front_or_engine_us_per_call_s": round(used[server.pid] * per_call),
        "workers_us_per_call_s": round(sum(used.get(process, 0.0) for process in workers) * per_call),
        "sender_us_per_call_s": round(used[sender.pid] * per_call),
        "front_or_engine_cpu": round(used[server.pid] / took_s, 3),
        "worker_cpu": [round(used.get(process, 0.0) / took_s, 3) for process in workers],
        "load": health.get("load"),
        "late_p99_us": health.get("late_p99_us"),
        "counters": health.get("counters"),
        "worker_streams": [one["streams"] for one in health.get("workers", [])],  # type: ignore[attr-defined]
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2, help="0 for one engine without a front")
    parser.add_argument("--seconds", type=float, default=30.0, help="with all calls open")
    parser.add_argument("--per-s", type=float, default=40.0, help="calls opened each second")
    parser.add_argument("--chain", default="level,vad")
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    print(json.dumps(measure(parser.parse_args()), indent=1), flush=True)


if __name__ == "__main__":
    main()
