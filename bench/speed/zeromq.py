"""What the ZeroMQ edges cost: `python -m bench.speed.zeromq [--seconds 10] [--streams 500]`.

publish    µs per event of the publishing thread, and events per second, with 0, 1 and 3 subscribers
receive    µs to decode one event, and events per second through a socket and `Subscriber`
ingest     µs of processor time per 20 ms packet of the ingest thread, and its share of a core, in real time
stale      how old what a slow reader works on is, through `events` and through `state` with CONFLATE
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import timeit
from collections.abc import Sequence
from typing import Any

import msgspec
import zmq

from rtemo.api import EMOTIONS, Emotion, Event, StreamStart
from rtemo.client import Subscriber
from rtemo.config import Config
from rtemo.io.audio_wire import Open, encode_control, encode_packet, stream_names
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.wire import decode_event, decode_state, encode
from rtemo.io.zmq_options import IngestOptions, PublishOptions
from rtemo.session import Session

_CONNECTIONS = 10


def make_event(number: int, call: str = "") -> Event:
    data = Emotion(
        label="angry",
        probabilities=dict.fromkeys(EMOTIONS, 0.125),
        arousal=0.1234,
        valence=-0.2345,
        confidence=0.5678,
        speech_s=1.5,
        trigger="refresh",
    )
    return Event(
        call=call or f"call-{number % 500}",
        channel="0",
        plugin="emotion",
        seq=number,
        start_sample=160 * number,
        end_sample=160 * number + 16_000,
        capture_ns=time.time_ns(),
        emit_ns=time.time_ns(),
        data=data,
    )


def options(**changes: Any) -> PublishOptions:
    return PublishOptions(**{"events": "tcp://127.0.0.1:*", **changes})


def publish(count: int = 20_000) -> None:
    events = [make_event(number) for number in range(count)]
    for encoding in ("json", "msgpack"):
        for subscribers in (0, 1, 3):
            publisher = ZmqPublisher(options(encoding=encoding))
            publisher.open()
            with zmq.Context() as context:
                for _ in range(subscribers):
                    socket = context.socket(zmq.SUB)
                    socket.connect(str(publisher.endpoints["events"]))
                    socket.subscribe("")
                time.sleep(0.3)
                cpu_s, wall_s = time.thread_time(), time.perf_counter()
                for begin in range(0, count, 100):
                    publisher.publish(events[begin : begin + 100])
                cpu_s, wall_s = time.thread_time() - cpu_s, time.perf_counter() - wall_s
                publisher.close()
                context.destroy(linger=0)
            show(
                "publish", encoding=encoding, subscribers=subscribers, cpu_us=1e6 * cpu_s / count, per_s=count / wall_s
            )


def receive(count: int = 20_000) -> None:
    _, wire = Numbering("main").number(make_event(1))
    for encoding in ("json", "msgpack"):
        message = encode(wire, encoding)  # type: ignore[arg-type]
        best_s = min(timeit.repeat(lambda message=message: decode_event(message), number=10_000, repeat=5)) / 10_000
        show("decode", encoding=encoding, bytes=len(message), decode_us=1e6 * best_s)
    publisher = ZmqPublisher(options(send_queue_messages=2 * count))
    publisher.open()
    endpoints = publisher.endpoints
    with Subscriber(str(endpoints["events"]), query=str(endpoints["query"]), connect_timeout_s=None) as subscriber:
        while not subscriber.is_live:
            publisher.tick()
            subscriber.receive(0.01)
        publisher.publish([make_event(number) for number in range(count)])
        received, start_s = 0, time.perf_counter()
        while received < count and time.perf_counter() - start_s < 10.0:
            received += len(subscriber.receive(0.05))
        wall_s = time.perf_counter() - start_s
        show("receive", events=received, lost=subscriber.lost_events, per_s=received / wall_s)
    publisher.close()


def ingest(streams: int, duration_s: float) -> None:
    for codec, rate_hz in (("mulaw", 8_000), ("s16le", 16_000)):
        engine = msgspec.structs.replace(Config().engine, capacity=streams)
        with Session(Config(chain=(), engine=engine)) as session:
            source = IngestSource(IngestOptions(endpoint="tcp://127.0.0.1:*"))
            source.open(session.engine)
            command = [sys.executable, "-m", "bench.speed.zeromq", "--feed", str(source.endpoint)]
            command += [codec, str(rate_hz), str(streams), str(duration_s + 3.0)]
            with subprocess.Popen(command) as feeder:
                stop_s = time.monotonic() + 60.0
                while source.count_streams < streams and time.monotonic() < stop_s:
                    pump(source)
                pump_for(source, 2.0)
                taken, cpu_s, wall_s = source.taken_messages, time.thread_time(), time.perf_counter()
                pumps = pump_for(source, duration_s)
                taken, cpu_s = source.taken_messages - taken, time.thread_time() - cpu_s
                wall_s = time.perf_counter() - wall_s
                show(
                    "ingest", codec=codec, rate_hz=rate_hz, streams=streams, packets_per_s=taken / wall_s,
                    cpu_us=1e6 * cpu_s / max(1, taken), core_percent=100 * cpu_s / wall_s, pumps_per_s=pumps / wall_s,
                    lost=session.health().counters.source_lost_samples,
                )  # fmt: skip
                feeder.kill()
            source.close()


def pump(source: IngestSource) -> None:
    delay_s = source.pump()
    if delay_s:
        time.sleep(delay_s)


def pump_for(source: IngestSource, duration_s: float) -> int:
    pumps, stop_s = 0, time.perf_counter() + duration_s
    while time.perf_counter() < stop_s:
        pump(source)
        pumps += 1
    return pumps


def feed(endpoint: str, codec: str, rate_hz: int, streams: int, duration_s: float) -> None:
    """Send packets of many streams in real time, phases spread over the packet."""
    with zmq.Context() as context:
        sockets = [context.socket(zmq.DEALER) for _ in range(_CONNECTIONS)]
        for socket in sockets:
            socket.sndhwm = 0
            socket.linger = 0
            socket.connect(endpoint)
        for index in range(streams):
            request = Open(call=f"call-{index}", codec=codec, sample_rate_hz=rate_hz)  # type: ignore[arg-type]
            sockets[index % _CONNECTIONS].send(encode_control(request))
        opened = 0
        while opened < streams:
            opened += sum(bool(socket.poll(0) and socket.recv()) for socket in sockets)
        names = [stream_names(f"call-{index}", "0") for index in range(streams)]
        count = rate_hz // 50
        payload = bytes(count * BYTES_PER_SAMPLE[codec])
        start_s, sent = time.monotonic(), 0
        while time.monotonic() - start_s < duration_s:
            due = int((time.monotonic() - start_s) * 50 * streams)
            while sent < due:
                packet, index = divmod(sent, streams)
                message = encode_packet(
                    names[index],
                    codec,
                    rate_hz,
                    packet,
                    packet * count,
                    time.time_ns(),
                    payload,  # type: ignore[arg-type]
                )
                sockets[index % _CONNECTIONS].send(message)
                sent += 1
            for socket in sockets:
                while socket.poll(0):
                    socket.recv()
            time.sleep(0.001)
        context.destroy(linger=0)


def stale(duration_s: float = 4.0) -> None:
    """A publisher of 2,000 events/s and a reader of 100/s."""
    publisher = ZmqPublisher(options(state_interval_s=0.01))
    publisher.open()
    done = threading.Event()
    publisher.publish([msgspec.structs.replace(make_event(0, "call"), data=StreamStart())])

    def run() -> None:
        start_s, sent = time.perf_counter(), 0
        while not done.is_set():
            due = int(2000 * (time.perf_counter() - start_s))
            publisher.publish([make_event(number, "call") for number in range(sent, due)])
            sent = due
            publisher.tick()
            time.sleep(0.002)

    publisher._owner = 0
    owner = threading.Thread(target=lambda: (setattr(publisher, "_owner", threading.get_ident()), run()))
    owner.start()
    for name, decode in (("events", decode_event), ("state", decode_state)):
        with zmq.Context() as context:
            socket = context.socket(zmq.SUB)
            if name == "state":
                socket.setsockopt(zmq.CONFLATE, 1)
            socket.connect(str(publisher.endpoints[name]))
            socket.subscribe("v1/main/call/")
            ages: list[float] = []
            stop_s = time.perf_counter() + duration_s
            while time.perf_counter() < stop_s:
                time.sleep(0.01)
                if not socket.poll(100):
                    continue
                frames: Sequence[bytes] = socket.recv_multipart()
                if frames[0].endswith(b"/_hb/"):
                    continue
                message: Any = decode(frames[-1])
                ages.append(time.time() * 1000 - message.t_pub_ms)
            context.destroy(linger=0)
        ages.sort()
        show("stale", socket=name, read=len(ages), median_ms=ages[len(ages) // 2], oldest_ms=ages[-1])
    done.set()
    owner.join()
    publisher.close()


def show(what: str, **figures: Any) -> None:
    rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"bench": what, **rounded}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of the ingest part, in s")
    parser.add_argument("--streams", type=int, default=500, help="streams of the ingest part")
    parser.add_argument("--only", choices=["publish", "receive", "ingest", "stale"], help="one part")
    parser.add_argument("--feed", nargs=5, metavar="X", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.feed:
        endpoint, codec, rate_hz, streams, duration_s = given.feed
        feed(endpoint, codec, int(rate_hz), int(streams), float(duration_s))
        return
    parts = {
        "publish": publish,
        "receive": receive,
        "ingest": lambda: ingest(given.streams, given.seconds),
        "stale": stale,
    }
    for name, part in parts.items():
        if given.only in (None, name):
            part()


if __name__ == "__main__":
    main()
