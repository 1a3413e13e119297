"""Measured: the costs that a plan starts from, and the runs that find them."""

import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import soundfile
import zmq

from bench.speed.front import events_us, packets_us
from rtemo.cli.bench.machine import this_machine
from rtemo.io.audio_wire import encode_packet, stream_names
from rtemo.io.relay_wire import BUNDLE_BYTES

ROOT = Path(__file__).parents[3]
CALL = ROOT / "examples" / "call.flac"
PICTURE = ROOT / "docs" / "capacity.svg"

_STREAMS = 64
_PACKETS = 60_000
_EVENTS = 60_000
_SPEECH = 0.5
_TIMES = (1, 3)  # what it takes to start is the same
HOP_S = 0.01


class ChainCosts(msgspec.Struct, kw_only=True):
    """Of one chain, for a stream."""

    tick_us: float
    """Processor time of the driver for each hop, of 64 streams in one process of which half speak at a time."""
    lane_us: float
    """Processor time of the large networks beside the ticks for each hop of the example call, with nothing left out."""
    process_mib: float
    """Peak of a process with one stream."""
    stream_mib: float
    """What each further one adds."""


class Measured(msgspec.Struct, kw_only=True):
    """Everything that a plan starts from."""

    date: str
    machine: str
    packet_us: float
    """Processor time of the front for a packet of 20 ms."""
    packet_bytes: int
    """Of G.711, with its header, as a client sends it."""
    event_us: float
    """Processor time of the front for an event: read, merged, numbered, kept, sent."""
    proxy_us: float
    """Processor time of a ZeroMQ proxy for an event passed on to one subscriber."""
    event_bytes: float
    """Mean length of an event, with its topic."""
    events_per_s: float
    """Of one stream of the example call."""
    chains: dict[str, ChainCosts]


def measure() -> Measured:
    """Run everything; takes some minutes."""
    events_per_s, event_bytes = _events()
    by_chain = {name: _analysed_us(name) for name in ("default", "small")}
    read_us, published_us = events_us(_EVENTS)
    names = stream_names("call-1000000", "0")
    return Measured(
        date=time.strftime("%Y-%m-%d"),
        machine=str(this_machine()),
        packet_us=round(packets_us(200, _PACKETS, 4, BUNDLE_BYTES)[0], 2),
        packet_bytes=len(encode_packet(names, "mulaw", 8_000, 1, 160, 1, bytes(160))),
        event_us=round(read_us + published_us, 2),
        proxy_us=round(_proxy_us(round(event_bytes)), 2),
        event_bytes=round(event_bytes, 1),
        events_per_s=round(events_per_s, 2),
        chains={name: _chain(name, us - by_chain["small"]) for name, us in by_chain.items()},
    )


def carried_live(picture: Path = PICTURE) -> tuple[int, int]:
    """Tell how many live streams how many processors were found to carry: what `rtemo bench capacity --svg` wrote."""
    text = picture.read_text()
    streams, processors = re.search(r">(\d+) streams<", text), re.search(r">(\d+) processors? ", text)
    assert streams is not None
    assert processors is not None
    return int(streams[1]), int(processors[1])


def _chain(name: str, lane_us: float) -> ChainCosts:
    one, many = (_bench(name, streams) for streams in (1, _STREAMS))
    ticks = {line["streams"]: line for line in one + many if "streams" in line}
    peak = {streams: ticks[streams]["peak_memory_mib"] for streams in ticks}
    return ChainCosts(
        tick_us=round(ticks[_STREAMS]["tick_cpu_us"] / _STREAMS, 2),
        lane_us=round(lane_us, 2),
        process_mib=round(peak[1], 1),
        stream_mib=round((peak[_STREAMS] - peak[1]) / (_STREAMS - 1), 3),
    )


def _bench(chain: str, streams: int) -> list[dict[str, float]]:
    words = ["bench", "--json", "--chain", chain, "--streams", str(streams), "--speech", str(_SPEECH)]
    done = subprocess.run([sys.executable, "-m", "rtemo.cli.main", *words], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _analysed_us(chain: str) -> float:
    """Analyse the example call at several lengths; gives processor time of all processes for a hop of one stream."""
    sound, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    used_s = []
    with tempfile.TemporaryDirectory() as folder:
        for times in _TIMES:
            file = f"{folder}/{times}.wav"
            soundfile.write(file, np.tile(sound, (times, 1)), rate_hz)
            words = ["analyze", file, "--chain", chain, "--out", f"{folder}/{times}.out", "--quiet"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "rtemo.cli.main", *words], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    hops = (_TIMES[1] - _TIMES[0]) * sound.size / rate_hz / HOP_S
    return 1e6 * (used_s[1] - used_s[0]) / hops


def _events() -> tuple[float, float]:
    """Analyse the example call; gives events a second of one stream, and their mean length with the topic."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        words = ["analyze", str(CALL), "--events", str(file), "--out", f"{folder}/out", "--quiet"]
        subprocess.run([sys.executable, "-m", "rtemo.cli.main", *words], check=True, capture_output=True)
        lines = [line for line in file.read_bytes().splitlines() if b'"call":""' not in line]
    told = [json.loads(line) for line in lines]
    topics = [f"v1/main/{one['call']}/{one['channel']}/{one['kind']}/" for one in told]
    ends = [one["t1_ms"] for one in told if one["kind"] == "stream_end"]
    return len(lines) / (sum(ends) / 1000.0), (sum(map(len, lines)) + sum(map(len, topics))) / len(lines)


def _proxy_us(event_bytes: int) -> float:
    """Pass events on through a proxy of ZeroMQ's own, in this process, from another thread to one subscriber."""
    context = zmq.Context()
    back, front = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    front.sndhwm = back.rcvhwm = 0
    ends = [f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}" for socket in (back, front)]
    threading.Thread(target=lambda: _run_proxy(back, front), daemon=True).start()
    code = (
        "import sys, zmq\ncontext = zmq.Context()\n"
        "subscriber, publisher = context.socket(zmq.SUB), context.socket(zmq.PUB)\n"
        "subscriber.rcvhwm = publisher.sndhwm = 0\n"
        "subscriber.connect(sys.argv[2]); subscriber.subscribe(b'')\npublisher.connect(sys.argv[1])\n"
        "count, event = int(sys.argv[3]), bytes(int(sys.argv[4]))\n"
        "while not subscriber.poll(50): publisher.send_multipart([b'v1/', event])\n"
        "for _ in range(count): publisher.send_multipart([b'v1/', event])\n"
        "for _ in range(count): subscriber.recv_multipart()\n"
    )
    before_s = time.process_time()
    words = [sys.executable, "-c", code, *ends, str(_EVENTS), str(event_bytes)]
    subprocess.run(words, check=True, timeout=300)
    used_s = time.process_time() - before_s
    context.destroy(linger=0)
    return used_s * 1e6 / _EVENTS


def _run_proxy(back: "zmq.Socket[bytes]", front: "zmq.Socket[bytes]") -> None:
    try:
        zmq.proxy(back, front)
    except zmq.ZMQError:
        return  # the context is gone
