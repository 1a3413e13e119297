"""What a packet and an event cost the front of `rtemo serve --workers`.

    python -m bench.speed.front

Clients and workers are in processes of their own; what is told is the CPU time of the process that holds the front,
all threads, user and system, for each packet or event. Packets are 20 ms of 8 kHz G.711 (160 bytes of samples).
`one by one` passes every packet on in a frame of its own, as a proxy would; `bundles` is what the front does.
"""

import argparse
import multiprocessing
import tempfile
import time
from typing import Any

import zmq

from rtemo.api import Event, Level, StreamStart
from rtemo.api.errors import RtemoError
from rtemo.cluster import desk as front_desk
from rtemo.cluster.event_queue import EventQueue
from rtemo.cluster.ingest import FrontIngest
from rtemo.cluster.merging import LiveEvents
from rtemo.cluster.messages import Happened, from_worker
from rtemo.cluster.room import Room
from rtemo.cluster.starter import Address
from rtemo.config.admission import Admission
from rtemo.config.policy import Policy
from rtemo.config.workers import WorkersOptions
from rtemo.io.audio_wire import MAGIC, Open, Opened, decode_request, encode_control, encode_packet, stream_names
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.relay_wire import BUNDLE_BYTES, Bundle, split
from rtemo.io.wire import encode
from rtemo.io.zmq_options import IngestOptions, PublishOptions

_CLIENTS = 8
_LIMIT_BYTES = 1 << 40


def work(endpoint: str) -> None:
    """Be a worker that opens every stream, grants everything, and throws audio away."""
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        front, frame = socket.recv_multipart()
        answers = Bundle()
        if frame.find(b'"op"', 0, 200) >= 0:
            for client, message in split(frame):
                if message[:4] != MAGIC:
                    request: Any = decode_request(message)
                    answers.add(client, encode_control(Opened(request.call, request.channel, _LIMIT_BYTES, "one")))
            socket.send_multipart([front, answers.take()])


def send(endpoint: str, streams: int, packets: int, go: Any) -> None:
    """Be clients that send as fast as they can."""
    context = zmq.Context()
    sockets = []
    for number in range(_CLIENTS):
        socket = context.socket(zmq.DEALER)
        socket.sndhwm = 1_000
        socket.connect(endpoint)
        for stream in range(number, streams, _CLIENTS):
            socket.send(encode_control(Open(call=f"call-{stream}", codec="mulaw")))
        for _ in range(number, streams, _CLIENTS):
            assert b'"opened"' in socket.recv()
        sockets.append(socket)
    go.set()
    for packet in range(packets // streams):
        for stream in range(streams):
            names = stream_names(f"call-{stream}", "0")
            sockets[stream % _CLIENTS].send(encode_packet(names, "mulaw", 8_000, packet, packet * 160, 0, bytes(160)))
    time.sleep(60.0)


def packets_us(streams: int, packets: int, workers: int, bundle_bytes: int) -> tuple[float, int]:
    """Pass packets on; gives CPU time for each, and how many found no room."""
    spawn = multiprocessing.get_context("spawn")
    front_desk.BUNDLE_BYTES = bundle_bytes
    with tempfile.TemporaryDirectory() as folder:
        rooms: dict[int, Room] = {}
        options = IngestOptions(endpoint=f"ipc://{folder}/in")
        ingest = FrontIngest(options, Admission(Policy()), streams + 1, rooms)
        ingest.open(None)  # type: ignore[arg-type]
        children = []
        for number in range(1, workers + 1):
            endpoint = f"ipc://{folder}/{number}"
            children.append(spawn.Process(target=work, args=(endpoint,), daemon=True))
            rooms[number] = Room(WorkersOptions(first_streams=4096))
            rooms[number].is_open = True
            ingest.join(number, Address(endpoint))
        go = spawn.Event()
        children.append(spawn.Process(target=send, args=(f"ipc://{folder}/in", streams, packets, go), daemon=True))
        for child in children:
            child.start()
        while not go.is_set():
            ingest.pump()
        begin, taken, before = 2_000, ingest.taken_messages, time.process_time()
        while ingest.taken_messages - taken < begin:
            ingest.pump()
        taken, before = ingest.taken_messages, time.process_time()
        while ingest.taken_messages < packets + streams - streams % _CLIENTS - _CLIENTS:
            time.sleep(ingest.pump() or 0.0)
        used_s, count = time.process_time() - before, ingest.taken_messages - taken
        for child in children:
            child.kill()
            child.join()
        dropped = ingest.desk.dropped_packets
        ingest.close()
    return used_s * 1e6 / count, dropped


def events_us(count: int) -> tuple[float, float]:
    """Read events of a worker and publish them; gives CPU time for each: reading and merging, publishing."""
    queue = EventQueue(1 << 24)
    live = LiveEvents(queue.pass_on, 1_000, 1.0)
    level = Level(rms_dbfs=-30.0, peak_dbfs=-12.0, clipped_ratio=0.0)

    def event(call: int, number: int) -> Event:
        data = level if number > 1 else StreamStart(role="customer")
        return Event(
            call=f"call-{call}",
            channel="0",
            plugin="level",
            seq=number,
            start_sample=1_600 * number,
            end_sample=1_600 * (number + 1),
            capture_ns=time.time_ns(),
            emit_ns=time.time_ns(),
            data=data,
        )

    calls = 200
    frames = [encode(Happened([event(call, number) for call in range(calls)]), "msgpack") for number in range(1, 6)]
    later = [encode(Happened([event(call, 6) for call in range(calls)]), "msgpack")] * (count // calls)
    for frame in frames:
        live.take(1, from_worker(frame).events, 0.0)  # type: ignore[union-attr]
    before_s = time.process_time()
    for frame in later:
        live.take(1, from_worker(frame).events, 0.0)  # type: ignore[union-attr]
    read_s = time.process_time() - before_s
    with tempfile.TemporaryDirectory() as folder:
        publisher = ZmqPublisher(PublishOptions(events=f"ipc://{folder}/out"))
        publisher.open()
        events = queue.take(0.0)
        before_s = time.process_time()
        for at in range(0, len(events), 200):
            publisher.publish(events[at : at + 200])
        published_s = time.process_time() - before_s
        publisher.close()
    return read_s * 1e6 / (len(later) * calls), published_s * 1e6 / len(events)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=60_000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    try:
        for name, bundle_bytes in (("one by one", 0), ("bundles", BUNDLE_BYTES)):
            us, dropped = packets_us(arguments.streams, arguments.packets, arguments.workers, bundle_bytes)
            print(f"{name:<12} {us:6.2f} us a packet, {us * 0.05:6.3f} ms a second of a call; {dropped} found no room")
    except RtemoError as error:
        raise SystemExit(str(error)) from None
    read_us, published_us = events_us(arguments.packets)
    print(f"events       {read_us:6.2f} us to read and merge, {published_us:6.2f} us to number, keep and send")


if __name__ == "__main__":
    main()
