"""Capture to event through a real ZeroMQ socket: `python -m bench.speed.latency --seconds 60`.

One live stream is pushed hop by hop at its own pace; a subscriber in a process of its own stamps every event on
arrival. The latency of an event is its arrival minus the capture of the last sample it is about. Also prints BUSY of
every plugin, the real-time factor and the peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from bench.sound import babble
from rtemo.config import load_config
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.zmq_options import PublishOptions
from rtemo.session import Session

_SUBSCRIBER = """
import json, sys, time
import zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1]); socket.subscribe(b"v1/")
print("ready", flush=True)
while True:
    frames = socket.recv_multipart()
    now_ns = time.time_ns()
    event = json.loads(frames[1])
    print(json.dumps([event.get("kind"), event.get("t_capture_ms"), now_ns / 1e6]), flush=True)
"""


def main() -> None:
    """Measure and print one JSON line per kind of event and one per plugin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--endpoint", default="tcp://127.0.0.1:5599")
    arguments = parser.parse_args()
    config = load_config(settings=["engine.owns_process=true"])
    publisher = ZmqPublisher(PublishOptions(events=arguments.endpoint))
    hop = 160
    sound = babble(arguments.seconds + 2.0, 1)
    timings: dict[str, list[float]] = {}
    loads: list[float] = []
    ticks: list[tuple[float, float]] = []
    with Session(config, publishers=[publisher]) as session:
        receiver = subprocess.Popen(
            [sys.executable, "-c", _SUBSCRIBER, arguments.endpoint], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout is not None
        receiver.stdout.readline()
        time.sleep(0.5)
        stream = session.stream("latency")
        start_s = time.perf_counter()
        for k in range(int(arguments.seconds * 100)):
            stream.push(sound[k * hop : (k + 1) * hop])
            time.sleep(max(0.0, start_s + (k + 1) * 0.01 - time.perf_counter()))
        time.sleep(0.5)
        for event in session.events(timeout_s=0.1):
            if event.kind == "health" and event.data.ticks > 100:  # type: ignore[union-attr]
                health = event.data
                loads.append(health.load)  # type: ignore[union-attr]
                ticks.append((health.tick_p50_us, health.tick_p99_us))  # type: ignore[union-attr]
                for plugin in health.plugins:  # type: ignore[union-attr]
                    timings.setdefault(plugin.name, []).append((plugin.busy_p50_us, plugin.busy_p99_us))  # type: ignore[arg-type]
        health = session.stop()
    receiver.terminate()
    arrivals: dict[str, list[float]] = {}
    for line in receiver.stdout:
        kind, captured_ms, arrived_ms = json.loads(line)
        if captured_ms:
            arrivals.setdefault(kind, []).append(arrived_ms - captured_ms)
    for kind, delays in sorted(arrivals.items()):
        p50, p99 = np.percentile(delays, [50, 99])
        print(json.dumps({"event": kind, "n": len(delays), "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}))
    for name, pairs in timings.items():
        p50, p99 = np.median(np.array(pairs), axis=0)
        print(json.dumps({"plugin": name, "busy_p50_us": round(p50, 1), "busy_p99_us": round(p99, 1)}))
    p50, p99 = np.median(np.array(ticks), axis=0)
    print(
        json.dumps(
            {
                "chain_p50_us": round(p50, 1),
                "chain_p99_us": round(p99, 1),
                "rtf": round(float(np.median(loads)), 5),
                "xruns": health.counters.xruns,
                "latency_samples": session.latency_samples,
                "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
