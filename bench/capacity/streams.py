"""How many live streams one core carries: `python -m bench.capacity.streams --streams 1,16,64,256 --seconds 60`.

With `--web-clients 20` the wall is served besides, to so many clients and one that reads nothing; the row then says how
long they waited for updates, too.

Every stream is fed 20 ms packets in real time by one feeder thread, as a network source would; the whole chain runs.
The row says how long a tick took and how many missed their deadline, who told the emotion of how many turns, how
worker lanes fared, and what was given up at the end because the load could not be carried (with `--set
engine.give_up_load=1000` nothing is). Of several chains, as `--chains default,small --rounds 3`, each is run in turn,
so that what else the machine does meets all of them.
"""

import argparse
import json
import time
from collections import Counter

import msgspec
import numpy as np

from bench.capacity.web_clients import Clients
from rtemo.cli.bench.feeder import Feeder
from rtemo.config import Config, load_config
from rtemo.io.web.options import WebOptions
from rtemo.io.web.publisher import WebPublisher
from rtemo.session import Session

_RATED_S = 0.6
"""Speech from which on a turn is rated whoever tells it."""


def measure(config: Config, streams: int, duration_s: float, web_clients: int = 0) -> dict[str, object]:
    """Run `streams` live streams for `duration_s` and tell the tick times and counters."""
    engine = msgspec.structs.replace(config.engine, capacity=streams, owns_process=True)
    config = msgspec.structs.replace(config, engine=engine)
    served = [WebPublisher(WebOptions(port=0, requests_per_s=1000.0))] if web_clients else []
    with Session(config, publishers=served) as session:
        clients = Clients(served[0].endpoints["web"], web_clients) if served else None
        feeder = Feeder(session.engine, streams)
        feeder.start()
        time.sleep(3.0)  # all streams admitted, first turns begun
        driver = session.engine.driver
        before = session.health()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        ticks: list[float] = []
        health = before
        told: Counter[str] = Counter()
        ended = 0
        loads: list[float] = []
        ages_ms: list[float] = []
        stop_s = time.perf_counter() + duration_s
        events = 0
        while time.perf_counter() < stop_s:
            for event in session.events(timeout_s=0.5):
                events += 1
                if event.kind == "health":
                    health = event.data  # type: ignore[assignment]
                    ticks.append(health.tick_p99_us)
                    loads.append(health.load)
                    ages_ms += [lane.age_p99_ms for lane in health.lanes]
                elif event.kind == "emotion" and event.data.is_final:
                    told[event.plugin] += 1
                elif event.kind == "speech_end":
                    ended += event.data.speech_s >= _RATED_S
                if time.perf_counter() >= stop_s:
                    break
        after = session.health()
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        feeder.stop()
        seen = clients.end() if clients is not None else {}
        count = after.ticks - before.ticks
        return {
            "streams": streams,
            "seconds": round(wall_s, 1),
            "ticks": count,
            "tick_p50_us": round(health.tick_p50_us, 1),
            "tick_p99_us": round(float(np.median(ticks)), 1),
            "tick_p99_worst_second_us": round(max(ticks), 1),
            "us_per_stream_and_hop": round(health.tick_p50_us / streams, 2),
            "xruns": after.counters.xruns - before.counters.xruns,
            "concealed_hops": after.counters.concealed_hops - before.counters.concealed_hops,
            "skipped_hops": after.counters.skipped_hops - before.counters.skipped_hops,
            "overrun_samples": after.counters.overrun_samples - before.counters.overrun_samples,
            "given_up": list(after.given_up),
            "events": events,
            "turns_ended": ended,
            "turns_told_by": dict(told),
            "lane_age_p99_ms": round(float(np.median(ages_ms)), 1) if ages_ms else None,
            "lane_skipped": sum(lane.lane_skipped for lane in health.lanes),
            "lane_restarts": sum(lane.restarts for lane in health.lanes),
            "cpu_cores": round(cpu_s / wall_s, 3),
            "driver_load": round(float(np.median(loads)), 3),
            "streams_per_core": int(streams / max(float(np.median(loads)), 1e-9)),
            "late_p99_us": round(health.late_p99_us, 1),
            "chain_latency_samples": driver.chain.latency_samples,
            **seen,
        }


def main() -> None:
    """Measure each count of streams in turn and print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,16,64,256")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--web-clients", type=int, default=0, metavar="N")
    parser.add_argument("--chains", default="default", help="names of chains, each measured in turn")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    for streams in arguments.streams.split(","):
        for _ in range(arguments.rounds):
            for chain in arguments.chains.split(","):
                config = load_config(None, arguments.settings, [chain])
                row = measure(config, int(streams), arguments.seconds, arguments.web_clients)
                print(json.dumps({"chain": chain, **row}), flush=True)


if __name__ == "__main__":
    main()
