"""The examples that send and receive over ZeroMQ, against a running server."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions, PublishOptions
from tests.fakes.zmq_ends import ANY_PORT, Publishing, emotion, event, free_ports, wait_until

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_sending_example_delivers_both_channels_in_real_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "two.wav", rng.uniform(-0.1, 0.1, (12_000, 2)), 8_000)
    ingest = IngestSource(IngestOptions(endpoint=ANY_PORT))
    with rtemo.Session(rtemo.Config(chain=("level",)), sources=[ingest]) as session:
        command = [sys.executable, str(EXAMPLES / "send_audio.py"), str(tmp_path / "two.wav"), str(ingest.endpoint)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        ends = []
        assert wait_until(
            lambda: ends.extend(e for e in session.events(0.1) if e.kind == "stream_end") or len(ends) == 2
        )
    assert sorted(out.splitlines()) == [f"two/{channel}: 12000 samples arrived, 0 lost" for channel in (0, 1)]
    assert [end.data.counters.source_lost_samples for end in ends] == [0, 0]


@pytest.mark.parametrize(
    "words", [("send_audio.py", str(EXAMPLES / "call.flac")), ("receive_audio.py",), ("subscribe.py",)]
)
def test_example_without_a_server_says_so_in_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    name, *given = words
    command = [sys.executable, str(EXAMPLES / name), *given, f"tcp://127.0.0.1:{free_ports()}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "check that rtemo runs there" in done.stderr


def test_subscribing_example_prints_what_is_final() -> None:
    with Publishing(ZmqPublisher(PublishOptions(events=f"tcp://127.0.0.1:{free_ports()}"))) as publishing:
        process = subprocess.Popen(
            [sys.executable, "-u", str(EXAMPLES / "subscribe.py"), publishing.events],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            publishing.send(event("call-1", 250, msgspec.structs.replace(emotion("sad"), is_final=True)))
            assert process.stdout is not None
            assert process.stdout.readline() == "call-1/0     2.5 s  sad\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20) == ("", "")  # Ctrl-C is how it ends: no traceback
            assert process.returncode == 0
        finally:
            process.kill()
            process.communicate()
