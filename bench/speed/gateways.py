"""What a packet costs at each telephone gateway: processor time of its thread, decoding and placement included.

    python -m bench.speed.gateways
    python -m bench.speed.gateways --relay      # as under `rtemo serve --workers`: packets go to a front as they came

Another process sends 20 calls of 18 s as fast as the gateway takes them; nobody reads the streams. RTP is paced, since
UDP has no way to slow a sender down.
"""

import argparse
import base64
import json
import multiprocessing
import socket
import struct
import tempfile
import threading
import time
import uuid
from collections.abc import Callable

import zmq

from bench.fakes.desk import FakeDesk
from rtemo.api import StreamFormat
from rtemo.io.audio_wire import MAGIC, Opened, decode_packet, encode_control
from rtemo.io.gateways.asterisk import AsteriskSource
from rtemo.io.gateways.audiohook import AudioHookSource
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.gateways.freeswitch import FreeSwitchSource
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.options import (
    AsteriskOptions,
    AudioHookOptions,
    AudioSocketOptions,
    FreeSwitchOptions,
    RtpOptions,
    TwilioOptions,
)
from rtemo.io.gateways.relay_desk import RelayDesk
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.relay_wire import Bundle, OwnOpen, decode_relayed, split

CALLS = 20
PACKETS = 900
FRAME = 160


def send_twilio(ports: list[int]) -> None:
    from websockets.sync.client import connect

    payload = base64.b64encode(bytes(FRAME)).decode()
    for call in range(CALLS):
        with connect(f"ws://127.0.0.1:{ports[0]}/", compression=None) as peer:
            peer.send(json.dumps({"event": "start", "start": {"callSid": f"CA{call}", "tracks": ["inbound"]}}))
            for number in range(PACKETS):
                place = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(20 * number)}
                media = {**place, "payload": payload}
                peer.send(json.dumps({"event": "media", "sequenceNumber": str(number), "media": media}))
            peer.send(json.dumps({"event": "stop"}))


def send_audiohook(ports: list[int]) -> None:
    from websockets.sync.client import connect

    for call in range(CALLS):
        with connect(f"ws://127.0.0.1:{ports[0]}/", compression=None) as peer:
            media = [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}]
            who = {"id": "p1", "ani": "", "aniName": "", "dnis": ""}
            opening = {"organizationId": "o", "conversationId": str(uuid.uuid4()), "participant": who, "media": media}
            session = {"version": "2", "id": str(uuid.UUID(int=call)), "position": "PT0S"}
            peer.send(json.dumps({**session, "type": "open", "seq": 1, "serverseq": 0, "parameters": opening}))
            peer.recv()
            for _ in range(PACKETS):
                peer.send(bytes(FRAME))
            peer.send(
                json.dumps({**session, "type": "close", "seq": 2, "serverseq": 1, "parameters": {"reason": "end"}})
            )
            peer.recv()


def send_freeswitch(ports: list[int]) -> None:
    from websockets.sync.client import connect

    for call in range(CALLS):
        with connect(f"ws://127.0.0.1:{ports[0]}/call-{call}?rate=8000&channels=1", compression=None) as peer:
            for _ in range(PACKETS):
                peer.send(bytes(2 * FRAME))


def send_asterisk(ports: list[int]) -> None:
    from websockets.sync.client import connect

    for call in range(CALLS):
        with connect(f"ws://127.0.0.1:{ports[0]}/", compression=None, subprotocols=["media"]) as peer:
            facts = {"connection_id": f"c{call}", "channel": f"WebSocket/c{call}/0x7f", "channel_id": f"{call}.7"}
            start = {**facts, "format": "ulaw", "optimal_frame_size": FRAME, "ptime": 20, "channel_variables": {}}
            peer.send(json.dumps({"event": "MEDIA_START", **start}))
            for _ in range(PACKETS):
                peer.send(bytes(FRAME))


def send_audiosocket(ports: list[int]) -> None:
    for _ in range(CALLS):
        with socket.create_connection(("127.0.0.1", ports[0])) as peer:
            peer.sendall(b"\x01\x00\x10" + uuid.uuid4().bytes)
            for _ in range(PACKETS):
                peer.sendall(b"\x10\x01\x40" + bytes(2 * FRAME))


def send_rtp(ports: list[int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for number in range(PACKETS):
            for call, port in enumerate(ports):
                packet = struct.pack(">BBHII", 0x80, 0, number, FRAME * number, call) + bytes(FRAME)
                peer.sendto(packet, ("127.0.0.1", port))
            time.sleep(0.002)


class Front:
    """Opens every stream, grants everything, and counts samples."""

    def __init__(self, endpoint: str) -> None:
        self.samples = 0
        self.endpoint = endpoint
        self._is_bound = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._is_bound.wait()

    def _run(self) -> None:
        socket = zmq.Context().socket(zmq.ROUTER)
        socket.bind(self.endpoint)
        self._is_bound.set()
        while True:
            source, frame = socket.recv_multipart()
            answers = Bundle()
            for address, message in split(frame):
                if message[:4] == MAGIC:
                    self.samples += decode_packet(message).count_samples
                elif isinstance(request := decode_relayed(message), OwnOpen):
                    opened = Opened(request.call, request.channel, 1 << 40, "one")
                    answers.add(address, encode_control(opened))
            if len(answers):
                socket.send_multipart([source, answers.take()])


class Near:
    """The engine in this process."""

    def __init__(self) -> None:
        self.desk = FakeDesk(is_live=True)

    def turn(self, source: Gateway) -> None:
        self.desk.drain()

    @property
    def samples(self) -> float:
        return sum(writer.position_samples for writer in self.desk.writers.values()) / 2


class Far:
    """A front in another thread, behind a socket file."""

    def __init__(self, folder: str, name: str) -> None:
        self._front = Front(f"ipc://{folder}/{name}")
        self._session, pipe = multiprocessing.Pipe()
        self.desk = RelayDesk(pipe, StreamFormat(), self._front.endpoint, name)

    def turn(self, source: Gateway) -> None:
        self.desk.hand_over(source)
        while self._session.poll(0):
            self._session.recv_bytes()

    @property
    def samples(self) -> float:
        return self._front.samples


def turn(source: Gateway, engine: Near | Far) -> None:
    """One turn, at the pace at which a gateway's process takes them."""
    began_s = time.monotonic()
    delay_s = source.pump() or 0.0
    engine.turn(source)
    time.sleep(max(0.0, began_s + delay_s - time.monotonic()))


def measure(source: Gateway, send: Callable[[list[int]], None], engine: Near | Far) -> None:
    """Take what is sent, and print what a packet costs."""
    source.open(engine.desk)
    assert source.endpoint is not None
    ports = [pair[0] for pair in source.ports] if isinstance(source, RtpSource) else [source.endpoint.port]
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(ports,))
    sender.start()
    while not source.counts.messages:
        turn(source, engine)
    before, start_s = source.counts.messages, time.thread_time()
    quiet_s = time.monotonic() + 1.0
    seen = before
    while time.monotonic() < quiet_s:
        turn(source, engine)
        if source.counts.messages > seen:
            seen, quiet_s, busy_s = source.counts.messages, time.monotonic() + 1.0, time.thread_time() - start_s
    sender.join()
    source.close()
    engine.turn(source)
    time.sleep(0.2)
    whole = engine.samples / (FRAME * CALLS * PACKETS)
    packets = seen - before
    print(f"{source.name:<12} {packets:>7} packets  {busy_s / packets * 1e6:>6.1f} us each  {whole:.1%} arrived")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relay", action="store_true", help="to a front instead of an engine")
    is_far = parser.parse_args().relay
    endpoint = "tcp://127.0.0.1:0"
    rows = (
        (TwilioSource(TwilioOptions(endpoint=endpoint, unsigned=True)), send_twilio),
        (AudioHookSource(AudioHookOptions(endpoint=endpoint, unsigned=True)), send_audiohook),
        (FreeSwitchSource(FreeSwitchOptions(endpoint=endpoint)), send_freeswitch),
        (AsteriskSource(AsteriskOptions(endpoint=endpoint)), send_asterisk),
        (AudioSocketSource(AudioSocketOptions(endpoint=endpoint)), send_audiosocket),
        (RtpSource(RtpOptions(first_port=0, lines=CALLS)), send_rtp),
    )
    with tempfile.TemporaryDirectory() as folder:
        for source, send in rows:
            measure(source, send, Far(folder, source.name) if is_far else Near())


if __name__ == "__main__":
    main()
