"""`rtemo listen --play` on a private sound server: what the loudspeaker gives is what the chain has handed on."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import pulse
from tests.fakes.program import call, command
from tests.fakes.pulse import SPEAKER, PulseServer
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.device,
    pytest.mark.skipif(bool(pulse.why_missing()), reason=pulse.why_missing()),
]

CHAIN = ("--chain", "level", "--plain")
APART = {"PULSE_SINK": SPEAKER}


@pytest.fixture
def server() -> Iterator[PulseServer]:
    made = PulseServer()
    try:
        made.start()
        yield made
    finally:
        made.close()


def run(server: PulseServer, *arguments: object) -> "subprocess.Popen[str]":
    return server.python(command("listen", *arguments, *CHAIN)[2:], APART)


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} did not come: {said} {process.stderr.read()}")


def heard_in(path: Path, recorder: "subprocess.Popen[bytes]") -> np.ndarray:
    time.sleep(0.5)
    recorder.terminate()
    recorder.wait(5)
    return np.fromfile(path, np.float32)


def match(heard: np.ndarray, played: np.ndarray) -> float:
    """How well `played` is found in `heard` (1 is perfect)."""
    size = 1 << int(np.ceil(np.log2(heard.shape[0] + played.shape[0])))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    start = int(np.argmax(np.fft.irfft(spectrum, size)[: heard.shape[0] - played.shape[0]]))
    part = heard[start : start + played.shape[0]]
    return float(part @ played / np.linalg.norm(part) / np.linalg.norm(played))


def test_a_file_is_heard_from_the_loudspeaker_while_it_is_listened_to(server: PulseServer, tmp_path: Path) -> None:
    sound = voice(4.0, seed=4)
    path = write_sound(tmp_path / "voice.wav", sound, RATE_HZ)
    recorder = server.record(tmp_path / "heard.raw")
    process = run(server, path, "--play")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    heard = heard_in(tmp_path / "heard.raw", recorder)
    assert match(heard, sound) > 0.97
    assert np.max(np.abs(heard)) == pytest.approx(np.max(np.abs(sound)), rel=0.1)
    assert "underrun" not in out


def test_what_is_said_into_the_microphone_comes_out_of_the_loudspeaker_with_a_warning(
    server: PulseServer, tmp_path: Path
) -> None:
    sound = voice(4.0, seed=4)
    path = write_sound(tmp_path / "voice.wav", sound, RATE_HZ)
    process = run(server, "--mic", "--play")
    wait_for(process, "stream opens")
    recorder = server.record(tmp_path / "heard.raw")
    time.sleep(0.7)
    assert server.play(path).wait(timeout=30) == 0
    heard = heard_in(tmp_path / "heard.raw", recorder)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert err.count("\n") == 1
    assert "! microphone and loudspeaker are the same device (default): use headphones" in err
    assert match(heard, sound) > 0.9


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("no such thing", "no loudspeaker has 'no such thing' in its name"),
        ("99", "there is no loudspeaker number 99"),
    ],
)
def test_a_loudspeaker_that_is_not_there_is_named_with_those_that_are(
    server: PulseServer, tmp_path: Path, device: str, words: str
) -> None:
    path = write_sound(tmp_path / "voice.wav", voice(2.0, seed=4), RATE_HZ)
    process = run(server, path, "--play-device", device)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert words in err
    assert "choose one of 0:" in err
    assert err.count("\n") == 1


def test_a_loudspeaker_that_goes_away_is_reported_and_listening_goes_on(server: PulseServer, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "voice.wav", voice(8.0, seed=4), RATE_HZ)
    process = run(server, path, "--play")
    wait_for(process, "stream opens")
    time.sleep(1.0)
    server.kill()
    wait_for(process, "! playback closed: loudspeaker 'default' has stopped")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err  # PortAudio itself may have its say there
    assert "stream ends (end of file)" in out
    assert "playback closed" in out


def test_a_loudspeaker_cannot_play_faster_than_time(capsys: Any, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "voice.wav", voice(2.0, seed=4), RATE_HZ)
    done = call(capsys, "listen", path, "--play", "--fast")
    assert done.code == 2
    assert "a loudspeaker plays in real time: leave --fast out" in done.complaint
