"""A publisher may send anything: a subscriber loses one line by it, and never its feed."""

import json
import math
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
import zmq

from rtemo.api.text import plain_json
from rtemo.cli.received import ReceivedFiles
from rtemo.client import ReceivedAudio, Subscriber
from rtemo.io.wire import EVENT_SCHEMA, HEARTBEAT_SCHEMA
from tests.fakes.program import call

pytestmark = pytest.mark.e2e

EVIL = "\x1b[2J\nrtemo: all is well\r\x9b1m\u202e"


def event(kind: str, pub_seq: int, data: dict, **other) -> dict:
    return {
        "schema": EVENT_SCHEMA,
        "epoch": "e",
        "seq": pub_seq,
        "pub_seq": pub_seq,
        "stream_seq": pub_seq,
        "call": "a",
        "channel": "0",
        "kind": kind,
        "plugin": "p",
        "start_sample": 0,
        "end_sample": 16_000,
        "t0_ms": 0.0,
        "t1_ms": 0.0,
        "t_pub_ms": time.time() * 1e3 + 600_000,  # never late
        "data": {"kind": kind, **data},
        **other,
    }


def beat(**other) -> dict:
    fields = {"schema": HEARTBEAT_SCHEMA, "epoch": "e", "pub_seq": 0, "t_pub_ms": time.time() * 1e3}
    return fields | {"interval_ms": 1000.0, "call": "a"} | other


def as_json(topic: str, message: dict) -> tuple[str, bytes]:
    return topic, json.dumps(message).encode()


def packed(topic: str, message: dict) -> tuple[str, bytes]:
    return topic, msgspec.msgpack.encode(message)


CALL = "v1/main/a/0/"
GOOD = event("speech_end", 1_000, {"speech_s": 1.0, "reason": "silence"})
NO_RATE = {"chain": [], "latency_samples": 0, "sample_rate_hz": 0, "hop_samples": 0}
NO_TIMES = {"t_capture_ms": math.nan, "t_pub_ms": math.inf}
EVIL_END = {"reason": EVIL, "duration_s": 1.0, "counters": {}}
EVIL_EMOTION = {"label": EVIL, "probabilities": {EVIL: 1.0}, "arousal": 0, "valence": 0, "confidence": 1, "speech_s": 1}
HOSTILE = [
    as_json("v1/main/a/_hb/", beat(seqs={"x": 3, "": 1, "a/b": 2})),
    packed("v1/main/_hb/", beat(interval_ms=math.nan, pub_seq=-5)),
    as_json("v1/main/_hb/", beat(interval_ms=-1e300)),
    as_json("v1/main/_hb/", beat(interval_ms=0)),
    ("v1/main/\udcff", b"{}"),
    (f"{CALL}speech_end/", b'{"schema": 1}'),
    (f"{CALL}speech_end/", b"[" * 100_000),
    as_json("v1/main/_engine/_/session_start/", event("session_start", 2, NO_RATE)),
    packed(
        f"{CALL}speech_end/", event("speech_end", 3, {"speech_s": math.inf}, t_capture_ms=math.nan, t_pub_ms=math.inf)
    ),
    packed(f"{CALL}speech_end/", event("speech_end", 4, {"speech_s": math.nan})),
    as_json(f"{CALL}stream_end/", event("stream_end", 5, EVIL_END, call=EVIL, channel=EVIL)),
    as_json(f"{CALL}fault/", event("fault", 6, {"where": EVIL, "problem": EVIL, "action": EVIL}, plugin=EVIL)),
    as_json(f"{CALL}odd/", event("odd" + EVIL, 7, {"text": EVIL})),
    as_json(f"{CALL}emotion/", event("emotion", 8, EVIL_EMOTION | {"trigger": EVIL, "is_final": True})),
]
DISTINCT = 6
"""Events of different topics among them and the good one."""


@contextmanager
def publishing() -> Iterator[str]:
    """A publisher that sends all of it, again and again, with a good event at the end."""
    with zmq.Context() as context:
        socket = context.socket(zmq.PUB)
        socket.linger = 0
        port = socket.bind_to_random_port("tcp://127.0.0.1", min_port=30_000, max_port=50_000)
        is_over = threading.Event()

        def send() -> None:
            while not is_over.is_set():
                socket.send_multipart([b"v1/main/_hb/", json.dumps(beat(call=None)).encode()])
                for topic, message in HOSTILE:
                    socket.send_multipart([topic.encode("utf-8", "surrogateescape"), message])
                socket.send_multipart([b"v1/main/a/0/speech_end/", json.dumps(GOOD).encode()])
                time.sleep(0.05)
            socket.close()

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize("kinds", [(), ("speech_end",)])
def test_subscriber_outlives_every_message(kinds) -> None:
    with publishing() as endpoint, Subscriber(endpoint, kinds=kinds, snapshot=False) as subscriber:
        seen = []
        deadline_s = time.monotonic() + 10.0
        while time.monotonic() < deadline_s and not any(one.pub_seq == GOOD["pub_seq"] for one in seen):
            seen += subscriber.receive(0.2)
        assert any(one.pub_seq == GOOD["pub_seq"] for one in seen)
        assert subscriber.malformed_messages > 0


@pytest.mark.parametrize(
    "options", [("--count", DISTINCT), ("--count", DISTINCT, "--json"), ("--count", 1, "--kind", "fault")]
)
def test_what_a_publisher_writes_never_reaches_the_terminal_as_a_command(capsys, monkeypatch, options) -> None:
    monkeypatch.setattr("rtemo.io.catch_up._GIVE_UP_S", 0.3)  # nobody answers queries here
    with publishing() as endpoint:
        done = call(capsys, "subscribe", endpoint, *options)
    assert done.code == 0, done.err
    for line in (done.out + done.err).split("\n"):
        assert line.isprintable(), repr(line)
    assert "heartbeat" not in done.err
    assert not [line for line in (done.out + done.err).split("\n") if line.startswith("rtemo: all is well")]
    if "--json" in options:
        assert all(json.loads(line)["schema"] == EVENT_SCHEMA for line in done.out.splitlines())


def test_json_stays_the_same_json() -> None:
    value = {"a": EVIL + "é坐席\U000e0001\udc80", "b": ["\x7f\x85", 1.5, None]}
    text = json.dumps(value, ensure_ascii=False)
    assert plain_json(text).isprintable()
    assert json.loads(plain_json(text)) == value


def audio(call: str, k: int = 0, *, is_last: bool = False) -> ReceivedAudio:
    samples = np.zeros(0 if is_last else 160, np.float32)
    return ReceivedAudio(call, "0", 16_000, 160 * k, samples, 0, is_last=is_last)


def test_calls_with_any_name_are_written_for_their_owner_alone(tmp_path, capsys) -> None:
    names = ["x" * 250, "x" * 249 + "y", "席" * 85, "../../etc", EVIL, ".", "a\0b", "con", "-rf"]
    old = os.umask(0)
    try:
        files = ReceivedFiles(tmp_path / "in")
        for k in range(3):
            for name in names:
                files.add(audio(name, k))
        for name in names:
            files.add(audio(name, 3, is_last=True))
    finally:
        os.umask(old)
    made = sorted((tmp_path / "in").iterdir())
    assert len(made) == len(names)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert all(len(os.fsencode(path.name)) <= 220 for path in made)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "in"]
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_stream_of_which_no_file_can_be_made_is_one_line_and_the_others_go_on(tmp_path, capsys, monkeypatch) -> None:
    import errno

    from rtemo.cli import received

    real = received.WaveFile

    def picky(path, *arguments):
        if "bad" in path.name:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, *arguments)

    monkeypatch.setattr(received, "WaveFile", picky)
    files = ReceivedFiles(tmp_path)
    for k in range(5):
        for name in ("good", "bad"):
            files.add(audio(name, k))
    files.close()
    assert [path.name for path in tmp_path.iterdir()] == ["good.0.wav"]
    assert capsys.readouterr().err.count("\n") == 1
