import json
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.fakes import pulse
from tests.fakes.program import command
from tests.fakes.pulse import PulseServer
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.device,
    pytest.mark.skipif(bool(pulse.why_missing()), reason=pulse.why_missing()),
]

CHAIN = ("--chain", "level,vad")


@pytest.fixture
def server() -> Iterator[PulseServer]:
    made = PulseServer()
    try:
        made.start()
        yield made
    finally:
        made.close()


def run(server, *arguments):
    """Start a verb with the private sound server as its sound server."""
    return server.python(command(*arguments)[2:])


def wait_for(process, words):
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return said
    raise AssertionError(f"{words!r} did not come: {said} {process.stderr.read()}")


def test_what_is_said_into_the_microphone_is_heard_and_ctrl_c_sums_it_up(server, tmp_path):
    speech = write_sound(tmp_path / "speech.wav", np.tile(voice(6.0, seed=4), 2), RATE_HZ)
    process = run(server, "listen", "--mic", *CHAIN)
    wait_for(process, "stream opens")
    player = server.play(speech)
    wait_for(process, "speech begins")
    wait_for(process, "speech ends")
    player.kill()
    player.wait()
    start_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - start_s < 3
    assert (process.returncode, err) == (0, "")
    assert "mic/0" in out


def test_a_microphone_that_goes_away_is_reported_and_listening_goes_on(server):
    process = run(server, "listen", "--mic", *CHAIN)
    wait_for(process, "stream opens")
    time.sleep(0.5)
    server.kill()
    start_s = time.monotonic()
    wait_for(process, "! source lost")
    assert time.monotonic() - start_s < 3
    server.start()
    wait_for(process, "source recovered")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "! lost" in out or "lost" in out


def test_devices_are_listed_with_the_default_one_marked(server):
    out, err = run(server, "devices").communicate(timeout=20)
    assert err == ""
    assert "* " in out
    assert "Hz" in out
    found = json.loads(run(server, "devices", "--json").communicate(timeout=20)[0].splitlines()[0])
    assert {"index", "name", "channels", "default_rate_hz"} <= set(found)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("no such thing", "no capture device has 'no such thing' in its name"),
        ("99", "there is no capture device number 99"),
    ],
)
def test_a_microphone_that_is_not_there_is_named_with_those_that_are(server, device, words):
    process = run(server, "listen", "--device", device, *CHAIN)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert words in err
    assert "choose one of 0:" in err
    assert err.count("\n") == 1


def test_the_doctor_follows_the_way_of_the_audio(server, tmp_path):
    player = server.play(write_sound(tmp_path / "speech.wav", voice(20.0, seed=4), RATE_HZ))
    process = run(server, "doctor", "--mic", "--json")
    out, _ = process.communicate(timeout=60)
    player.kill()
    player.wait()
    found = {finding["what"]: finding for finding in map(json.loads, out.splitlines())}
    for what in (
        "audio library",
        "capture devices",
        "microphone",
        "first audio",
        "sample rate",
        "lost audio",
        "signal",
    ):
        assert found[what]["verdict"] == "pass", found[what]
    assert process.returncode == 0


def test_without_a_sound_server_the_doctor_says_what_to_do(server):
    server.kill()
    process = run(server, "doctor", "--mic")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == ""
    assert "✗ capture devices" in out or "✗ microphone" in out or "✗ first audio" in out
    assert "→ " in out
