"""Processed audio from `rtemo serve --audio-out` to `rtemo subscribe --audio`, as processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtemo.client import AudioSender
from tests.e2e.test_cli_serve import Server, free_port, speak
from tests.fakes.program import ROOT, call, start
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CHAIN = ("--chain", "level")


def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def wait_for_reader(seconds: float = 2.5) -> None:
    time.sleep(seconds)  # a process has to start and to subscribe; what comes before is not for it


def test_calls_are_saved_as_they_were_sent_one_file_per_stream(tmp_path: Path) -> None:
    audio = endpoint()
    server = Server(*CHAIN, "--audio-out", audio)
    assert f"audio out {audio}" in "\n".join(server.said)
    reader = start("subscribe", audio, "--audio", tmp_path, "--wait", "20")
    example = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "examples" / "receive_audio.py"), audio, str(tmp_path / "example")],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for_reader()
    try:
        with AudioSender(server.ingest) as sender:
            stream = sender.open("call 1", "left", sample_rate_hz=RATE_HZ)
            speak(stream, 2.0, seed=7)
            stream.end()
            assert reader.stdout is not None
            assert reader.stdout.readline() == f"{tmp_path}/call_1.left.wav  2.00 s\n"
            assert example.stdout is not None
            assert example.stdout.readline() == "call 1/left  2.00 s\n"
            stream = sender.open("call 2", sample_rate_hz=RATE_HZ)
            speak(stream, 0.5)
            reader.send_signal(signal.SIGINT)  # in the middle: what has come is kept
            out, err = reader.communicate(timeout=10)
        assert (reader.returncode, err) == (0, "")
        assert "call_2.0.wav" in out
    finally:
        example.kill()
        example.communicate()
        server.stop()
    sent = (voice(2.0, 7) * 32_767).astype("<i2") / np.float32(32_768)
    for path in (tmp_path / "call_1.left.wav", tmp_path / "example" / "call 1.left.wav"):
        heard, rate_hz = soundfile.read(path, dtype="float32")
        assert rate_hz == RATE_HZ
        np.testing.assert_allclose(heard, sent, atol=1.1 / 32_768)


def test_listening_publishes_the_audio_too(tmp_path: Path) -> None:
    audio = endpoint()
    path = write_sound(tmp_path / "voice.wav", voice(6.0, seed=4), RATE_HZ)
    reader = start("subscribe", audio, "--audio", tmp_path / "out", "--wait", "30")
    listener = start("listen", path, *CHAIN, "--plain", "--audio-out", audio)
    assert reader.stdout is not None
    assert reader.stdout.readline().startswith(f"{tmp_path}/out/voice.0.wav  ")
    assert listener.wait(timeout=30) == 0
    reader.terminate()
    reader.communicate(timeout=10)
    heard, _ = soundfile.read(tmp_path / "out" / "voice.0.wav", dtype="float32")
    assert len(heard) > 3 * RATE_HZ  # joined a moment after it began
    np.testing.assert_allclose(heard, voice(6.0, seed=4)[-len(heard) :], atol=2e-4)


def test_an_open_network_address_is_refused_in_one_line(capsys: Any) -> None:
    ends = ("--ingest", endpoint(), "--publish", endpoint())
    done = call(capsys, "serve", *CHAIN, *ends, "--audio-out", "tcp://0.0.0.0:5599")
    assert done.code == 2
    assert "would carry plain text; set sinks.zmq.curve.key_file" in done.complaint


def test_saving_audio_does_not_mix_with_printing_events_and_needs_a_folder(capsys: Any, tmp_path: Path) -> None:
    done = call(capsys, "subscribe", "--audio", tmp_path, "--json")
    assert done.code == 2
    assert "leave --kind, --json, --view and --count out" in done.complaint
    (tmp_path / "file").write_text("in the way")
    done = call(capsys, "subscribe", "--audio", tmp_path / "file", endpoint())
    assert done.code == 2
    assert "file cannot be written" in done.complaint
    done = call(capsys, "subscribe", "--audio", tmp_path / "out", endpoint(), "--wait", "0.3")
    assert done.code == 2
    assert "nothing was heard from" in done.complaint
