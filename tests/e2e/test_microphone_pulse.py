import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.resample import resample
from tests.fakes import pulse
from tests.fakes.pulse import PulseServer
from tests.fakes.sounds import tone, write_sound

pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.device,
    pytest.mark.skipif(bool(pulse.why_missing()), reason=pulse.why_missing()),
]


@pytest.fixture
def server() -> Iterator[PulseServer]:
    server = PulseServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


class Recording:
    """A recorder in a process of its own, on the virtual microphone."""

    def __init__(self, server: PulseServer, path: Path, backend: str = "sounddevice") -> None:
        self.path = path
        self.process = server.python(["-m", "tests.fakes.recorder", str(path), backend])
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def state(self) -> tuple[float, str]:
        """Wait for the next event: its time and state."""
        at_s, state, *_ = self.line().split()
        return float(at_s), state

    def stop(self) -> dict[str, Any]:
        self.tell("quit")
        output, errors = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, errors
        assert "ended stopped" in output
        return dict(np.load(self.path))


def speech(folder: Path) -> tuple[Path, NDArray[np.float32]]:
    """Something that resembles only itself: speech, and the same at 16 kHz."""
    path = folder / "speech.wav"
    text = "The quick brown fox jumps over the lazy dog, and nobody was any the wiser for it."
    subprocess.run(["espeak-ng", "-w", str(path), text], check=True)
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return path, resample(samples, rate_hz, 16_000)


def alignment(heard: NDArray[np.float32], played: NDArray[np.float32]) -> tuple[int, float]:
    """Where `played` begins within `heard`, and how well it matches there (1 is perfect)."""
    size = 1 << int(np.ceil(np.log2(heard.shape[0] + played.shape[0])))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    match = np.fft.irfft(spectrum, size)[: heard.shape[0] - played.shape[0]]
    start = int(np.argmax(match))
    part = heard[start : start + played.shape[0]]
    return start, float(part @ played / np.linalg.norm(part) / np.linalg.norm(played))


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("backend", ["sounddevice", "pyaudio"])
def test_what_is_played_into_the_virtual_microphone_is_heard(server: PulseServer, tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    path, played = speech(tmp_path)
    recording = Recording(server, tmp_path / "heard.npz", backend)
    assert server.play(path).wait(timeout=30) == 0
    time.sleep(0.3)
    result = recording.stop()
    _, match = alignment(result["samples"], played)
    assert match > 0.97
    assert np.max(np.abs(result["samples"])) == pytest.approx(np.max(np.abs(played)), rel=0.1)
    recorded_s = result["samples"].shape[0] / 16_000
    assert recorded_s == pytest.approx(float(result["elapsed_s"]), abs=0.5)  # some came in while the device opened
    assert result["slowest_pump_s"] < 0.05


def test_a_dead_sound_server_is_lost_within_two_seconds_and_recovers_when_it_is_back(
    server: PulseServer, tmp_path: Path
) -> None:
    recording = Recording(server, tmp_path / "heard.npz")
    time.sleep(0.5)
    killed_s = time.monotonic()
    server.kill()
    lost_s, state = recording.state()
    assert state == "lost"
    assert lost_s - killed_s < 2.0
    time.sleep(2.0)
    server.start()
    back_s = time.monotonic()
    recovered_s, state = recording.state()
    assert state == "recovered"
    assert recovered_s - back_s < 6.0
    path = write_sound(tmp_path / "tone.wav", tone(1.0, 48_000, 700), 48_000)
    assert server.play(path).wait(timeout=30) == 0
    time.sleep(0.3)
    result = recording.stop()
    samples, ((position, gap_samples),) = result["samples"], merged(result["gaps"])
    assert result["lost_samples"] == gap_samples
    assert gap_samples / 16_000 == pytest.approx(recovered_s - killed_s, abs=0.3)
    assert samples.shape[0] / 16_000 == pytest.approx(float(result["elapsed_s"]), abs=0.3)
    assert np.max(np.abs(samples[position + gap_samples :])) == pytest.approx(0.5, abs=0.1)
    assert result["slowest_pump_s"] < 0.05


def merged(gaps: NDArray[np.int64]) -> list[list[int]]:
    """Adjacent gaps as one."""
    joined: list[list[int]] = []
    for position, length in gaps.tolist():
        if joined and sum(joined[-1]) == position:
            joined[-1][1] += length
        else:
            joined.append([position, length])
    return joined


def test_code_that_keeps_the_interpreter_lock_costs_no_audio(server: PulseServer, tmp_path: Path) -> None:
    recording = Recording(server, tmp_path / "heard.npz")
    path = write_sound(tmp_path / "tone.wav", tone(2.5, 48_000, 500), 48_000)
    player = server.play(path)
    time.sleep(0.8)
    recording.tell("hold 0.5")  # twelve times what the device buffers
    blocks = int(recording.line().split()[2])
    assert blocks * 0.01 > 0.4  # the callback went on meanwhile
    assert player.wait(timeout=30) == 0
    result = recording.stop()
    assert result["lost_samples"] == 0
    assert result["slowest_pump_s"] < 0.1
    samples = result["samples"]
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    sine = samples[loud[0] + 1_600 : loud[-1] - 1_600]
    assert sine.shape[0] > 1.9 * 16_000
    turning = sine * np.exp(-2j * np.pi * 500 / 16_000 * np.arange(sine.shape[0]))
    phases = np.angle(turning[: sine.shape[0] // 160 * 160].reshape(-1, 160).mean(axis=1))
    assert np.max(np.abs(np.diff(np.unwrap(phases)))) < 0.1  # one lost sample would turn it by 0.2


def test_devices_are_listed_and_the_probe_tells_a_live_microphone_from_a_silent_one(
    server: PulseServer, tmp_path: Path
) -> None:
    code = (
        "from rtemo.io.sources.devices import list_devices\n"
        "from rtemo.io.sources.probe import probe_microphone\n"
        "print(*(device.name for device in list_devices()))\n"
        "for _ in range(2):\n"
        "    input()\n"
        "    print(*(f'{finding.what}={finding.ok}' for finding in probe_microphone()), sep=', ')\n"
    )
    process = server.python(["-c", code])
    assert process.stdout is not None
    assert process.stdin is not None
    assert "default" in process.stdout.readline().split()
    print(file=process.stdin, flush=True)
    silent = process.stdout.readline()
    player = server.play(write_sound(tmp_path / "tone.wav", tone(3.0, 48_000, 500), 48_000))
    time.sleep(0.3)
    print(file=process.stdin, flush=True)
    live = process.stdout.readline()
    process.communicate(timeout=10)
    player.kill()
    player.wait()
    assert "sample rate=True" in silent
    assert silent.endswith("signal=False\n")
    assert "False" not in live
    assert live.count("True") == 7


def test_a_machine_without_a_sound_server_says_so_in_one_line(tmp_path: Path) -> None:
    server = PulseServer()  # never started
    try:
        process = server.python(["-m", "tests.fakes.recorder", str(tmp_path / "none.npz"), "sounddevice"])
        output, errors = process.communicate(timeout=30)
    finally:
        server.close()
    if Path("/dev/snd").exists():
        pytest.skip("this machine has a sound card of its own")
    assert output.startswith("refused no capture device was found; plug one in; in a container pass --device /dev/snd")
    assert output.count("\n") == 1
    assert errors == ""
