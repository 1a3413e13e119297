"""Both ends of the way back: who hands out processed audio, and the peers that hear it."""

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from websockets.sync import client

from rtemo.api import ProcessedBlock, StreamFormat
from rtemo.dsp.resample import resample
from rtemo.io.pcm import decode_pcm
from tests.fakes.gateways import Gate

HOP = 160


class Facts(NamedTuple):
    """A stream as a sink sees it."""

    call: str
    channel: str
    role: str = "caller"
    analysis: str = "person"
    id: int = 1


def tones(duration_s: float, rate_hz: int = 16_000) -> NDArray[np.float32]:
    """Sound below 3 kHz, of which no tenth of a second is like another."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    sweep = np.sin(2 * np.pi * (300 * t + 400 * t**2))
    return (0.3 * sweep + 0.1 * np.sin(2 * np.pi * 1_700 * t)).astype(np.float32)


def hand_out(made: Gate, streams: dict[Facts, NDArray[np.float32]], *, is_last: bool = False) -> None:
    """Be the engine: hand processed audio to the gateway's sink, hop by hop, on a thread of its own."""
    sink: Any = made.source.sink  # type: ignore[attr-defined]
    facts = tuple(streams)
    count = min(len(samples) for samples in streams.values()) // HOP

    def run() -> None:
        sink.open(StreamFormat())
        for hop in range(count):
            start = np.full(len(facts), hop * HOP, np.int64)
            samples = np.stack([streams[one][hop * HOP : (hop + 1) * HOP] for one in facts])
            none = np.zeros(len(facts), np.int64)
            ends = np.full(len(facts), is_last and hop == count - 1)
            sink.write(ProcessedBlock(facts, samples, start, start + HOP, none, ends))
            sink.tick()
            time.sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def assert_alike(heard: NDArray[np.float32], said: NDArray[np.float32], rate_hz: int, least_db: float) -> None:
    """Hold what came back against what was handed out, but for the last frame and what the filter still holds."""
    expected = said if rate_hz == 16_000 else resample(said, 16_000, rate_hz)
    assert len(expected) - 0.04 * rate_hz <= len(heard) <= len(expected)
    error = heard - expected[: len(heard)]
    ratio = np.sum(expected[: len(heard)] ** 2) / np.sum(error**2)
    assert 10 * np.log10(ratio) > least_db


class Peer:
    """Keeps what comes back on a WebSocket, on a thread of its own."""

    def __init__(self, port: int, path: str = "", answer: Callable[["Peer", str], None] | None = None) -> None:
        self._connect = client.connect(f"ws://127.0.0.1:{port}/{path}", compression=None)
        self.socket = self._connect.__enter__()
        self.texts: list[str] = []
        self.audio = bytearray()
        self._answer = answer
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for message in self.socket:
                if isinstance(message, bytes):
                    self.audio += message
                    continue
                self.texts.append(message)
                if self._answer is not None:
                    self._answer(self, message)
        except Exception:  # it was closed
            return

    def close(self) -> None:
        self.socket.close()
        self._thread.join(5.0)


def start_twilio(peer: Peer, call: str = "CA1", tracks: tuple[str, ...] = ("inbound",)) -> None:
    begin = {"callSid": call, "streamSid": "MZ1", "tracks": tracks}
    peer.socket.send(json.dumps({"event": "start", "streamSid": "MZ1", "start": begin}))
    for track in tracks:
        media = {"track": track, "payload": base64.b64encode(bytes(160)).decode()}
        peer.socket.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": media}))


def played(peer: Peer) -> NDArray[np.float32]:
    """The audio that Twilio would have played."""
    said = [json.loads(text) for text in list(peer.texts)]
    media = [base64.b64decode(one["media"]["payload"]) for one in said if one["event"] == "media"]
    assert all(len(payload) == 160 for payload in media)
    assert {one["streamSid"] for one in said} <= {"MZ1"}
    return decode_pcm(b"".join(media), "mulaw")
