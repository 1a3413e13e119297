"""What processed audio costs on its way out: `python -m bench.speed.audio_out [--streams 64] [--ticks 1000]`.

driver     µs of the driver per tick without anybody, and what each of 1, 2 and 4 sinks that do nothing adds; the tap
           `on_audio` on the driver thread beside them
sinks      µs of processor time per stream and hop on the sink's own thread: files, the ZeroMQ feed (nobody, one and
           three subscribers; 10 and 20 ms packets; 16 bits and floats), the mix for a loudspeaker

Median of the runs; one line of JSON per figure.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from rtemo.api import AudioSink, ProcessedBlock, StreamFormat
from rtemo.cli.enhanced import EnhancedFiles, plan_targets
from rtemo.engine.clock import VirtualClock
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.io.sinks.options import PlayOptions
from rtemo.io.sinks.play_ring import PlayRing
from rtemo.io.sinks.speaker import SpeakerSink
from rtemo.io.sinks.zmq import ZmqAudioSink
from rtemo.io.sources.capture import OutputDevice
from rtemo.io.sources.files import FileTrack, FoundFile
from rtemo.io.zmq_options import AudioOutOptions

HOP = 160
RUNS = 5


class Nowhere:
    """A sink that does nothing."""

    name = "nowhere"
    overrun_samples = underrun_samples = 0

    def open(self, format: StreamFormat) -> None: ...
    def write(self, block: ProcessedBlock) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


class Stream:
    """A stream as the engine knows it."""

    def __init__(self, number: int) -> None:
        self.call, self.channel, self.role = f"call-{number}", "0", "customer"


class Box:
    """A loudspeaker that plays as fast as it is fed."""

    is_active = True
    latency_s = 0.0
    ring: PlayRing

    def output_devices(self) -> list[OutputDevice]:
        return [OutputDevice(index=0, name="box", host_api="none", channels=2, default_rate_hz=48_000)]

    def open_output(self, device: OutputDevice, *, ring: PlayRing, **options: Any) -> "Box":
        self.ring = ring
        return self

    def start(self) -> None: ...
    def close(self) -> None: ...


def say(what: str, **figures: Any) -> None:
    print(json.dumps({"what": what, **figures}), flush=True)


def tick_us(streams: int, ticks: int, sinks: list[AudioSink], on_audio: Any = None) -> float:
    """Median time of a tick of an empty chain, the hand-over included."""
    options = EngineOptions(capacity=streams, ring_s=0.5, health_interval_s=1e6)
    engine = Engine([], options, is_live=False, clock=VirtualClock(), sinks=sinks, on_audio=on_audio)
    engine.open()
    engine.open_sinks()
    writers = [engine.open_stream(f"call-{number}", "0") for number in range(streams)]
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, HOP).astype(np.float32)
    spent_us = []
    for _ in range(ticks):
        for writer in writers:
            writer.write(sound)
        while not all(sink.is_idle for sink in engine.sinks):
            time.sleep(0)
        engine.driver._floor.admit_arrivals(engine.chain)
        start_ns = time.thread_time_ns()
        engine.driver.step()
        spent_us.append((time.thread_time_ns() - start_ns) / 1e3)
    engine.stop("done")
    engine.close_sinks(2.0)
    return statistics.median(spent_us)


def driver(streams: int, ticks: int) -> None:
    cases: dict[str, Callable[[], float]] = {
        "nobody": lambda: tick_us(streams, ticks, []),
        "1 sink": lambda: tick_us(streams, ticks, [Nowhere()]),
        "2 sinks": lambda: tick_us(streams, ticks, [Nowhere(), Nowhere()]),
        "4 sinks": lambda: tick_us(streams, ticks, [Nowhere() for _ in range(4)]),
        "on_audio": lambda: tick_us(streams, ticks, [], lambda call, channel, start, hop: None),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(RUNS):  # in turns, so that a busy machine is unfair to all alike
        for name, measure in cases.items():
            found[name].append(measure())
    alone = statistics.median(found["nobody"])
    for name, values in found.items():
        us = statistics.median(values)
        say("driver", case=name, tick_us=round(us, 1), added_us_per_stream_hop=round((us - alone) / streams, 3))


def blocks(streams: list[Stream], count: int) -> Iterator[ProcessedBlock]:
    n = len(streams)
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (n, HOP)).astype(np.float32)
    for tick in range(count):
        start = np.full(n, tick * HOP, np.int64)
        is_last = np.full(n, tick == count - 1, np.bool_)
        yield ProcessedBlock(tuple(streams), samples, start, start + HOP, start + 1, is_last)


@contextmanager
def readers(sink: ZmqAudioSink, count: int) -> Iterator[None]:
    with zmq.Context() as context:
        sockets = []
        for _ in range(count):
            socket = context.socket(zmq.SUB)
            socket.connect(str(sink.endpoint))
            socket.subscribe("v1/main/")
            sockets.append(socket)
        deadline_s = time.monotonic() + 2.0
        while count and not all(socket.poll(0) for socket in sockets) and time.monotonic() < deadline_s:
            sink.tick()
            time.sleep(0.01)
        yield
        context.destroy(linger=0)


def sink_us(sink: AudioSink, streams: int, ticks: int, each: Callable[[], object] | None = None) -> float:
    """Processor time of the sink's thread per stream and hop; ZeroMQ's own threads are not in it."""
    made = list(blocks([Stream(number) for number in range(streams)], ticks))
    spent_ns = 0
    for number, block in enumerate(made):
        start_ns = time.thread_time_ns()
        sink.write(block)
        if number % 2:
            sink.tick()
        spent_ns += time.thread_time_ns() - start_ns
        if each is not None:
            each()
    return spent_ns / 1e3 / streams / ticks


def feed_us(streams: int, ticks: int, subscribers: int, **options: Any) -> float:
    sink = ZmqAudioSink(AudioOutOptions(endpoint="tcp://127.0.0.1:*", **options))
    sink.open(StreamFormat())
    with readers(sink, subscribers):
        us = sink_us(sink, streams, ticks)
    sink.close()
    return us


def files_us(streams: int, ticks: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        found = [FoundFile(Path(f"call-{number}.wav"), Path(f"call-{number}.wav")) for number in range(streams)]
        tracks = {
            (file.path.stem, "0"): FileTrack(
                path=file.path, channel_index=0, channels=1, sample_rate_hz=16_000, duration_s=1.0
            )
            for file in found
        }
        sink = EnhancedFiles(plan_targets(Path(folder), found).targets, tracks)
        sink.open(StreamFormat())
        us = sink_us(sink, streams, ticks)
        sink.close()
    return us


def speaker_us(streams: int, ticks: int) -> float:
    box = Box()
    sink = SpeakerSink(PlayOptions(prefill_s=0.0), box)  # type: ignore[arg-type]
    sink.open(StreamFormat())
    us = sink_us(sink, streams, ticks, lambda: box.ring.pull(3 * HOP))
    sink.close()
    return us


def sinks(streams: int, ticks: int) -> None:
    cases: dict[str, Callable[[], float]] = {
        "files": lambda: files_us(streams, ticks),
        "zmq, nobody subscribed": lambda: feed_us(streams, ticks, 0),
        "zmq, 1 subscriber, 20 ms": lambda: feed_us(streams, ticks, 1),
        "zmq, 1 subscriber, 10 ms": lambda: feed_us(streams, ticks, 1, packet_s=0.01),
        "zmq, 1 subscriber, 20 ms, f32le": lambda: feed_us(streams, ticks, 1, codec="f32le"),
        "zmq, 3 subscribers, 20 ms": lambda: feed_us(streams, ticks, 3),
        "loudspeaker, 48 kHz": lambda: speaker_us(streams, ticks),
    }
    for name, measure in cases.items():
        measure()
        us = statistics.median(measure() for _ in range(RUNS))
        say("sink", case=name, us_per_stream_hop=round(us, 3), core_at_100_hz=f"{us * streams / 1e4:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what processed audio costs on its way out.")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--ticks", type=int, default=1000)
    arguments = parser.parse_args()
    driver(arguments.streams, arguments.ticks)
    sinks(arguments.streams, arguments.ticks)


if __name__ == "__main__":
    main()
