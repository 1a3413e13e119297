"""What giving things up saves, and what being ready to costs: `python -m bench.speed.overload --streams 64`.

The chain runs back to back on one thread, and all audio is wanted, or none with `--events`. After each rung one thing
more is given up, as an engine that cannot carry its load would do; the columns are processor time of a tick, per
stream, and the share of the whole. Worker lanes are left out: they work beside the ticks. The last line is what
following the load costs a tick.
"""

import argparse
import time
from functools import partial

import msgspec
import numpy as np

from bench.sound import babble
from rtemo.api import OVERLOAD_ORDER
from rtemo.config import Config, load_config
from rtemo.engine.demand import take_all
from rtemo.engine.engine import Engine
from rtemo.engine.ladder import Ladder
from rtemo.engine.registry import make
from rtemo.runtime import ModelStore

_SETTLE_TICKS = 300
_CHUNK_HOPS = 16
_APART_SAMPLES = 7919


def measure(config: Config, streams: int, seconds: float, with_audio: bool) -> list[tuple[str, float]]:
    """Tell the processor time of a tick in us with all of the chain, and after each thing that is given up."""
    options = msgspec.structs.replace(config.engine, capacity=streams, health_interval_s=1e9, owns_process=True)
    plugins = [make(name, config.plugin_options(name)) for name in config.chain]
    store = partial(ModelStore, config.runtime)
    engine = Engine(plugins, options, is_live=False, open_store=store, on_audio=take_all if with_audio else None)
    engine.open()
    engine.driver.leave_lanes_out()
    writers = [engine.open_stream(f"call-{number}", "0") for number in range(streams)]
    sound = babble(30.0)
    at = 0

    def run(ticks: int) -> float:
        nonlocal at
        spent_ns = count = 0
        while count < ticks:
            for number, writer in enumerate(writers):
                start = (at + number * _APART_SAMPLES) % (len(sound) - _CHUNK_HOPS * 160)
                writer.write(sound[start : start + _CHUNK_HOPS * 160])
            at += _CHUNK_HOPS * 160
            begin_ns, done = time.thread_time_ns(), 0
            while done < _CHUNK_HOPS:
                done += engine.driver.step()
            spent_ns += time.thread_time_ns() - begin_ns
            count += done
            engine.outbox.take(0.0)
        return spent_ns / count / 1e3

    ticks = round(seconds * 100)
    try:
        run(_SETTLE_TICKS)
        found = [("nothing", run(ticks))]
        for what in OVERLOAD_ORDER:
            if engine.chain.having(what):
                engine.chain.leave_out(what)
                run(_SETTLE_TICKS)
                found.append((what, run(ticks)))
        return found
    finally:
        engine.stop("measured")


def following_ns(ticks: int = 200_000) -> float:
    """Tell what following the load of one tick costs in ns: a wait, a tick, and its share of the windows."""
    ladder = Ladder(10_000_000, above=0.9)
    ladder.start(0)
    begin_ns = time.thread_time_ns()
    for now_ns in range(0, ticks * 10_000_000, 10_000_000):
        if now_ns >= ladder.due_ns:
            ladder.look(now_ns, True)
        ladder.work(now_ns)
        ladder.rest(now_ns + 9_000_000)
        ladder.work(now_ns + 10_000_000, ticks=1)
    return (time.thread_time_ns() - begin_ns) / ticks


def main() -> None:
    """Print the rungs of a chain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--chain", default="small")
    parser.add_argument("--events", action="store_true", help="nobody wants the audio")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    config = load_config(None, arguments.settings, arguments.chain.split(","))
    found = measure(config, arguments.streams, arguments.seconds, not arguments.events)
    print(f"{'given up':<14}{'tick':>10}{'stream':>10}{'share':>8}")
    for what, tick_us in found:
        share = tick_us / found[0][1]
        print(f"{what:<14}{tick_us:>7.0f} us{tick_us / arguments.streams:>7.1f} us{share:>8.0%}")
    print(f"following the load: {np.median([following_ns() for _ in range(5)]):.0f} ns a tick")


if __name__ == "__main__":
    main()
