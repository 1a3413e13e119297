"""What a packet costs at each telephone gateway: processor time of its thread, decoding and placement included.

    python -m bench.speed.gateways

Another process sends 20 calls of 18 s as fast as the gateway takes them; nobody reads the streams. RTP is paced, since
UDP has no way to slow a sender down.
"""

import base64
import json
import multiprocessing
import socket
import struct
import time
import uuid
from collections.abc import Callable

from bench.fakes.desk import FakeDesk
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.options import AudioSocketOptions, RtpOptions, TwilioOptions
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.gateways.twilio import TwilioSource

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


def measure(source: Gateway, send: Callable[[list[int]], None]) -> None:
    desk = FakeDesk(is_live=True)
    source.open(desk)
    assert source.endpoint is not None
    ports = [pair[0] for pair in source.ports] if isinstance(source, RtpSource) else [source.endpoint.port]
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(ports,))
    sender.start()
    while not source.counts.messages:
        source.pump()
    before, start_s = source.counts.messages, time.thread_time()
    quiet_s = time.monotonic() + 1.0
    seen = before
    while time.monotonic() < quiet_s:
        source.pump()
        desk.drain()
        if source.counts.messages > seen:
            seen, quiet_s, busy_s = source.counts.messages, time.monotonic() + 1.0, time.thread_time() - start_s
    sender.join()
    source.close()
    whole = sum(writer.position_samples for writer in desk.writers.values()) / (2 * FRAME * CALLS * PACKETS)
    packets = seen - before
    print(f"{source.name:<12} {packets:>7} packets  {busy_s / packets * 1e6:>6.1f} us each  {whole:.1%} arrived")


def main() -> None:
    endpoint = "tcp://127.0.0.1:0"
    rows = (
        (TwilioSource(TwilioOptions(endpoint=endpoint, unsigned=True)), send_twilio),
        (AudioSocketSource(AudioSocketOptions(endpoint=endpoint)), send_audiosocket),
        (RtpSource(RtpOptions(first_port=0, lines=CALLS)), send_rtp),
    )
    for source, send in rows:
        measure(source, send)


if __name__ == "__main__":
    main()
