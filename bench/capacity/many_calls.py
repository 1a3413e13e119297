"""Many live calls from one process, as cheap as they can be: what is measured is the other end.

    python -m bench.capacity.many_calls INGEST CALLS SECONDS PER_S

Opens so many calls of one stream each, so many a second, sends every 20 ms a packet of 8 kHz G.711 on each of them for
so many seconds after the last was opened, keeping to the credit, then ends them and prints their accounts as JSON.
"""

import json
import struct
import sys
import time

import numpy as np
import zmq

from bench.sound import babble
from rtemo.dsp.resample import resample
from rtemo.io.audio_wire import (
    Credit,
    End,
    Ended,
    Open,
    Opened,
    Refused,
    decode_response,
    encode_control,
    encode_packet,
)
from rtemo.io.audio_wire import stream_names as names_of
from rtemo.io.pcm import encode_pcm

RATE_HZ = 8_000
PACKET = RATE_HZ // 50
_NUMBERS = struct.Struct("<IQQ")
_NUMBERS_AT = 12
_CLIENTS = 16
_PATIENCE_S = 10.0


class _Stream:
    """One call."""

    def __init__(self, number: int) -> None:
        self.call = f"call-{number}"
        self.number = number
        self.socket = number % _CLIENTS
        names = names_of(self.call, "0")
        self.packet = bytearray(encode_packet(names, "mulaw", RATE_HZ, 0, 0, 0, bytes(PACKET)))
        self.head = len(self.packet) - PACKET
        self.limit = -1
        self.sent = 0
        self.sequence = 0
        self.dropped_packets = 0
        self.openings = 0
        self.asked_s = 0.0
        self.account: Ended | None = None
        self.refusal = ""


class ManyCalls:
    """The calls, and their connections."""

    def __init__(self, ingest: str, calls: int) -> None:
        self._context = zmq.Context()
        self._sockets = []
        for _ in range(_CLIENTS):
            socket = self._context.socket(zmq.DEALER)
            socket.linger = 1_000
            socket.connect(ingest)
            self._sockets.append(socket)
        self.streams = [_Stream(number) for number in range(calls)]
        self._by_call = {stream.call: stream for stream in self.streams}
        coded = encode_pcm(resample(babble(18.0, 1), 16_000, RATE_HZ), "mulaw")
        self._sound = [coded[at : at + PACKET] for at in range(0, len(coded) - PACKET + 1, PACKET)]
        self.late_s = 0.0

    def run(self, duration_s: float, per_s: float) -> None:
        """Open, send, end."""
        start_s = time.monotonic()
        step = 0
        streams = self.streams
        opened_s = len(streams) / per_s
        while (at_s := time.monotonic() - start_s) < opened_s + duration_s:
            due = min(len(streams), 1 + int(at_s * per_s))
            # A step is 1 ms, in which every twentieth call has its turn.
            while step * 0.001 <= at_s:
                for stream in streams[step % 20 : due : 20]:
                    self._send(stream, at_s)
                step += 1
            self.late_s = max(self.late_s, time.monotonic() - start_s - step * 0.001)
            self._listen()
            time.sleep(max(0.0, start_s + step * 0.001 - time.monotonic()))
        self._end()

    def _send(self, stream: _Stream, now_s: float) -> None:
        if stream.limit < 0:
            if not stream.refusal and now_s - stream.asked_s > 0.5:
                stream.asked_s = now_s
                request = Open(call=stream.call, codec="mulaw", sample_rate_hz=RATE_HZ, role="customer")
                if stream.sequence:
                    request.from_sample = stream.sequence * PACKET
                self._post(stream, request)
            if stream.openings == 0:
                return
        if stream.sent + PACKET > stream.limit:
            stream.dropped_packets += stream.openings > 0
        else:
            _NUMBERS.pack_into(stream.packet, _NUMBERS_AT, stream.sequence, stream.sequence * PACKET, time.time_ns())
            stream.packet[stream.head :] = self._sound[(stream.sequence + 37 * stream.number) % len(self._sound)]
            self._sockets[stream.socket].send(stream.packet, zmq.NOBLOCK)
            stream.sent += PACKET
        stream.sequence += 1

    def _post(self, stream: _Stream, request: Open | End) -> None:
        self._sockets[stream.socket].send(encode_control(request), zmq.NOBLOCK)

    def _listen(self) -> None:
        for socket in self._sockets:
            while True:
                try:
                    response = decode_response(socket.recv(zmq.NOBLOCK))
                except zmq.Again:
                    break
                stream = self._by_call.get(getattr(response, "call", ""))
                if stream is not None:
                    self._hear(stream, response)

    def _hear(self, stream: _Stream, response: object) -> None:
        if isinstance(response, Credit):
            stream.limit = response.limit_bytes
        elif isinstance(response, Opened):
            if stream.limit < 0:
                stream.sent = 0
                stream.openings += 1
            stream.limit = response.limit_bytes
        elif isinstance(response, Refused):
            if response.code not in ("draining", "rate", "in_use"):
                stream.refusal = f"{response.code}: {response.problem}"
        elif isinstance(response, Ended):
            if response.reason == "source closed":
                stream.limit = -1
                stream.asked_s = 0.0
            else:
                stream.account = response

    def _end(self) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s:
            open_now = [stream for stream in self.streams if stream.openings and stream.account is None]
            if not open_now:
                break
            for stream in open_now:
                self._post(stream, End(call=stream.call))
            pause_until_s = time.monotonic() + 0.5
            while time.monotonic() < pause_until_s:
                self._listen()
                time.sleep(0.01)
        self._context.destroy(linger=1_000)

    def told(self) -> dict[str, object]:
        """Tell what became of them."""
        accounts = [stream.account for stream in self.streams if stream.account is not None]
        refusals = [stream.refusal for stream in self.streams if stream.refusal]
        return {
            "opened": sum(stream.openings > 0 for stream in self.streams),
            "refused": len(refusals),
            "refusal": refusals[0] if refusals else "",
            "opened_again": sum(max(0, stream.openings - 1) for stream in self.streams),
            "without_account": sum(stream.openings > 0 and stream.account is None for stream in self.streams),
            "sent_packets": sum(stream.sequence for stream in self.streams),
            "left_out_packets": sum(stream.dropped_packets for stream in self.streams),
            "lost_samples": sum(account.lost_samples for account in accounts),
            "sender_late_ms": round(self.late_s * 1000.0, 1),
        }


def main() -> None:
    """Be the calls."""
    ingest, calls, duration_s, per_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    np.seterr(all="ignore")
    many = ManyCalls(ingest, calls)
    print("begin", flush=True)
    many.run(duration_s, per_s)
    print(json.dumps(many.told()), flush=True)


if __name__ == "__main__":
    main()
