"""Bad clients, each in a process of its own: `python -m tests.attack.floods NAME SECONDS ENDPOINT ...`.

They give way to everybody else on this machine: a real one would have a machine of its own.
"""

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from rtemo.io.audio_wire import MAGIC, encode_packet, stream_names
from tests.fakes.program import ROOT


@contextmanager
def flood(name: str, duration_s: float, *endpoints: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a bad client beside the block; it ends by itself after `duration_s`."""
    command = [sys.executable, "-m", "tests.attack.floods", name, str(duration_s), *endpoints]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it has begun
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _dealer(endpoint: str) -> "zmq.Socket[bytes]":
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.sndhwm = 100
    dealer.connect(endpoint)
    return dealer


def _say(dealer: "zmq.Socket[bytes]", message: bytes) -> None:
    with contextlib.suppress(zmq.Again):
        dealer.send(message, zmq.NOBLOCK)
    with contextlib.suppress(zmq.Again):
        while True:
            dealer.recv(zmq.NOBLOCK)


def opens(until_s: float, ingest: str) -> None:
    """Open and end 400 empty streams a second."""
    dealer = _dealer(ingest)
    for number in itertools.count():
        if time.monotonic() > until_s:
            return
        _say(dealer, json.dumps({"op": "open", "call": f"empty{number}"}).encode())
        _say(dealer, json.dumps({"op": "end", "call": f"empty{number}"}).encode())
        time.sleep(1 / 400)


def channels(until_s: float, ingest: str) -> None:
    """One call that goes on, with channel after channel that has had a packet and ends."""
    dealer = _dealer(ingest)
    _say(dealer, json.dumps({"op": "open", "call": "many", "channel": "stays"}).encode())
    stays = stream_names("many", "stays")
    for number in itertools.count():
        if time.monotonic() > until_s:
            return
        _say(dealer, json.dumps({"op": "open", "call": "many", "channel": f"c{number}"}).encode())
        names = stream_names("many", f"c{number}")
        _say(dealer, encode_packet(names, "s16le", 8_000, 0, 0, 0, bytes(320)))
        _say(dealer, encode_packet(stays, "s16le", 8_000, number, 160 * number, 0, bytes(320)))
        _say(dealer, json.dumps({"op": "end", "call": "many", "channel": f"c{number}"}).encode())
        time.sleep(1 / 200)


def rubbish(until_s: float, ingest: str) -> None:
    """Messages that are none, audio that nobody opened, from one connection, as fast as they go."""
    dealer = _dealer(ingest)
    orphan = encode_packet(stream_names("orphan", "0"), "s16le", 8_000, 0, 0, 0, bytes(320))
    while time.monotonic() < until_s:
        for message in (b"rubbish", MAGIC + bytes(60), orphan, b'{"op":"open"}'):
            _say(dealer, message)
        time.sleep(0.0005)


def slots(until_s: float, ingest: str) -> None:
    """Hold every slot without audio, prolonged by `alive`, opened again when taken away."""
    dealer = _dealer(ingest)
    while time.monotonic() < until_s:
        for number in range(128):
            _say(dealer, json.dumps({"op": "open", "call": f"held{number}"}).encode())
            _say(dealer, json.dumps({"op": "alive", "call": f"held{number}"}).encode())
        time.sleep(0.3)


def prefixes(until_s: float, *endpoints: str) -> None:
    """Thousands of long prefixes to feeds, as fast as they go, and again after being cut off."""
    readers = []
    for endpoint in endpoints:
        reader = zmq.Context.instance().socket(zmq.SUB)
        reader.linger = 0
        reader.connect(endpoint)
        readers.append(reader)
    for number in range(35_500):
        if time.monotonic() > until_s:
            return
        for reader in readers:
            reader.subscribe(f"{number:08d}".encode() + b"x" * 1_000)
    time.sleep(max(0.0, until_s - time.monotonic()))


def short_prefixes(until_s: float, *endpoints: str) -> None:
    """10 kB of subscriptions and again, each of which is about every call."""
    for _ in itertools.count():
        for endpoint in endpoints:
            reader = zmq.Context.instance().socket(zmq.SUB)
            reader.linger = 0
            reader.connect(endpoint)
            for number in range(1_000):
                reader.subscribe(b"v1/main/"[: number % 8])
                reader.subscribe(f"v1/main/{number}".encode())
            time.sleep(0.05)
            reader.close()
        if time.monotonic() > until_s:
            return


def connections(until_s: float, *endpoints: str) -> None:
    """1,000 connections to each endpoint that say nothing, and again when they are closed."""
    held: list[socket.socket] = []
    while time.monotonic() < until_s:
        for endpoint in endpoints:
            host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
            for _ in range(1_000 // len(endpoints)):
                with contextlib.suppress(OSError):
                    held.append(socket.create_connection((host, int(port)), timeout=0.2))
                if time.monotonic() > until_s:
                    return
        time.sleep(0.5)
        for connection in held:
            connection.close()
        held.clear()


if __name__ == "__main__":
    os.nice(int(os.environ.get("NICE", "10")))
    print("begun", flush=True)
    globals()[sys.argv[1]](time.monotonic() + float(sys.argv[2]), *sys.argv[3:])
