"""Telephone systems that bring calls to a running server: Twilio's tracks and Asterisk's AudioSocket, in real time."""

import base64
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from rtemo.io.pcm import encode_pcm
from tests.fakes.voice import RATE_HZ, voice

CHUNK = 160
TRACKS = ("inbound", "outbound")


def spoken() -> list[bytes]:
    """Speech-like sound as chunks of 20 ms of mu-law at 8 kHz."""
    sound = np.tile(voice(4.0, 3), 2)[:: RATE_HZ // 8_000]
    coded = encode_pcm(np.ascontiguousarray(sound), "mulaw")
    return [coded[at : at + CHUNK] for at in range(0, len(coded) - CHUNK + 1, CHUNK)]


class Twilio:
    """Calls with both tracks, all the time, each over a WebSocket of its own."""

    def __init__(self, port: int, calls: Sequence[str]) -> None:
        self.sent_chunks = 0
        self._port = port
        self._calls = calls
        self._stop, self._opened = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._opened.wait(30.0)
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End all calls as Twilio does."""
        self._stop.set()
        self._thread.join(20.0)
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Let calls go whose server is no more."""
        self._stop.set()
        self._thread.join(20.0)
        self._error = None

    def _run(self) -> None:
        try:
            self._talk()
        except BaseException as error:
            self._error = error
        finally:
            self._opened.set()

    def _talk(self) -> None:
        from websockets.sync.client import connect

        payloads = [base64.b64encode(chunk).decode() for chunk in spoken()]
        with contextlib.ExitStack() as stack:
            peers: list[Any] = []
            for call in self._calls:
                peer = stack.enter_context(
                    connect(f"ws://127.0.0.1:{self._port}/", compression=None, open_timeout=20.0)
                )
                peer.send(json.dumps({"event": "start", "start": {"callSid": call, "tracks": TRACKS}}))
                peers.append(peer)
            self._opened.set()
            self._send(payloads, peers)

    def _send(self, payloads: list[str], peers: list[Any]) -> None:
        begin_s = time.monotonic()
        while not self._stop.is_set():
            payload = payloads[self.sent_chunks % len(payloads)]
            self.sent_chunks += 1
            for track in TRACKS:
                media = {"track": track, "chunk": self.sent_chunks, "timestamp": 20 * self.sent_chunks - 20}
                message = json.dumps({"event": "media", "media": {**media, "payload": payload}})
                for peer in peers:
                    peer.send(message)
            time.sleep(max(0.0, begin_s + self.sent_chunks * 0.02 - time.monotonic()))
        for peer in peers:
            peer.send('{"event": "stop"}')


def come_back(stack: contextlib.ExitStack, port: int, call: str) -> None:
    """Let a telephone system try until it is let in."""
    until_s = time.monotonic() + 60.0
    while True:
        try:
            stack.enter_context(Twilio(port, [call]))
            return
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.02)


class AudioSocket:
    """One call of Asterisk, from the UUID on."""

    def __init__(self, port: int, call: uuid.UUID) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._say(0x01, call.bytes)

    def speak(self, duration_s: float) -> None:
        """Speak in real time."""
        sound = np.ascontiguousarray(np.tile(voice(4.0, 3), 2)[:: RATE_HZ // 8_000])
        begin_s = time.monotonic()
        for number in range(round(duration_s * 50)):
            self._say(0x10, encode_pcm(sound[number * CHUNK : (number + 1) * CHUNK], "s16le"))
            time.sleep(max(0.0, begin_s + (number + 1) * 0.02 - time.monotonic()))

    def hang_up(self) -> None:
        """End the call."""
        self._say(0x00)
        self.socket.close()

    def _say(self, kind: int, payload: bytes = b"") -> None:
        self.socket.sendall(bytes([kind]) + len(payload).to_bytes(2) + payload)
