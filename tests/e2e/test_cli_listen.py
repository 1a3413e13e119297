import json
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.fakes.program import call, command, start
from tests.fakes.sounds import chord, tone, write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

CHAIN = ("--chain", "level,vad")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    return write_sound(tmp_path_factory.mktemp("sound") / "speech.wav", voice(6.0, seed=3), RATE_HZ)


def damaged(path, data):
    path.write_bytes(data)
    return path


def test_a_file_is_told_line_by_line_and_summed_up(capsys, speech):
    done = call(capsys, "listen", speech, "--fast")
    assert done.code == 0
    assert done.err == ""
    for words in (
        "ready: level → vad → dialogue → prosody → listener → merit",
        "speech/0  stream opens from file:speech.wav",
        "speech/0  speech begins",
        "turn end",
        "stream ends (end of file)",
        "session ends (end)",
        "✓ nothing lost",
    ):
        assert words in done.out
    assert "\x1b" not in done.out


def test_a_file_plays_in_real_time_unless_fast(capsys, tmp_path):
    path = write_sound(tmp_path / "short.wav", tone(1.5, 16_000), 16_000)
    start_s = time.monotonic()
    done = call(capsys, "listen", path, *CHAIN)
    assert 1.4 < time.monotonic() - start_s < 12
    assert "0:01.5" in done.out


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("none.wav", lambda path: path, "does not exist; check the path"),
        ("empty.wav", lambda path: damaged(path, b""), "is empty (0 bytes)"),
        ("text.wav", lambda path: damaged(path, b"hello, I am no sound" * 99), "is not audio that libsndfile can read"),
        ("folder", lambda path: path.mkdir() or path, "is a folder, expected a sound file"),
        ("header.wav", lambda path: write_sound(path, np.zeros(0, np.float32), 8_000), "contains no audio"),
        ("raw.raw", lambda path: damaged(path, bytes(3_200)), "pipe it into `rtemo listen -` instead"),
    ],
)
def test_a_file_that_is_no_sound_gets_one_line(capsys, tmp_path, name, make, words):
    done = call(capsys, "listen", make(tmp_path / name), *CHAIN)
    assert done.code == 2
    assert words in done.complaint
    assert done.out == ""


@pytest.mark.parametrize(
    ("samples", "rate_hz", "streams"),
    [
        (tone(0.5, 16_000)[:1], 16_000, 1),
        (tone(0.3, 384_000), 384_000, 1),
        (chord(0.3, 16_000, 32), 16_000, 32),
        (np.full(8_000, np.nan, np.float32), 16_000, 1),
        (np.full(8_000, np.inf, np.float32), 16_000, 1),
    ],
    ids=["one sample", "384 kHz", "32 channels", "NaN", "infinite"],
)
def test_odd_sound_is_worked_through(capsys, tmp_path, samples, rate_hz, streams):
    path = write_sound(tmp_path / "odd.wav", samples, rate_hz, subtype="FLOAT")
    done = call(capsys, "listen", path, "--fast", *CHAIN)
    assert done.code == 0
    assert done.out.count("stream ends (end of file)") == streams
    assert "✓ nothing lost" in done.out
    assert "nan" not in done.out


def test_a_truncated_file_is_heard_as_far_as_it_goes(capsys, tmp_path, speech):
    path = damaged(tmp_path / "cut.wav", speech.read_bytes()[:-100_000])
    done = call(capsys, "listen", path, "--fast", *CHAIN)
    assert done.code == 0
    assert "! cut.wav closed: breaks off" in done.out
    assert "stream ends (truncated)" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one source: a FILE, - for standard input, or --mic"),
        (["a.wav", "--mic"], "name one source"),
        (["a.wav", "--rate", "8000"], "use them with -"),
        (["--mic", "--fast"], "leave --fast out"),
        (["-", "--format", "s24le"], "is not one of 's16le', 'f32le', 'mulaw', 'alaw'"),
        (["-", "--rate", "12"], "12 is not in the range"),
    ],
)
def test_options_that_contradict_each_other_are_refused(capsys, arguments, words):
    done = call(capsys, "listen", *arguments)
    assert done.code == 2
    assert words in done.complaint


def pipe(data, *arguments):
    done = subprocess.run(
        [*command("listen", "-", "--fast", *CHAIN), *arguments],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_raw_audio_on_standard_input_is_heard():
    pcm = (voice(4.0, seed=5) * 32767).astype("<i2").tobytes()
    code, out, err = pipe(pcm, "--rate", "16000")
    assert (code, err) == (0, "")
    assert "stdin/0  speech begins" in out
    assert "0:04.0" in out


def test_an_incomplete_last_sample_is_counted_and_named():
    pcm = (voice(1.0, seed=5) * 32767).astype("<i2").tobytes()
    code, out, err = pipe(pcm + b"\x01")
    assert code == 0
    assert "Traceback" not in err
    assert "the input ends in the middle of a frame: 1 of 2 bytes" in out
    assert "! lost < 1 ms" in out.splitlines()[-1]


def test_a_sound_file_piped_in_raw_is_refused(speech):
    code, _, err = pipe(speech.read_bytes())
    assert code == 2
    assert err.startswith("rtemo: ")
    assert "WAV" in err


def test_a_port_in_use_is_named(capsys, speech):
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        done = call(capsys, "listen", speech, *CHAIN, "--publish", f"tcp://127.0.0.1:{port}")
    assert done.code == 2
    assert f"{port}" in done.complaint
    assert "in use" in done.complaint


def test_a_plain_endpoint_on_the_network_is_refused(capsys, speech):
    done = call(capsys, "listen", speech, *CHAIN, "--publish", "tcp://0.0.0.0:5999")
    assert done.code == 2
    assert "can be reached from other machines and would carry plain text" in done.complaint


def test_json_on_standard_output_is_nothing_but_json(speech):
    words = command("listen", speech, "--fast", *CHAIN, "--jsonl", "-")
    done = subprocess.run(words, capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 0
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds[0] == "session_start"
    assert kinds[-1] == "session_end"
    assert "speech_start" in kinds
    assert "nothing lost" in done.stderr


def test_events_go_into_a_file_beside_the_view(capsys, tmp_path, speech):
    path = tmp_path / "events.jsonl"
    done = call(capsys, "listen", speech, "--fast", *CHAIN, "--jsonl", path)
    assert done.code == 0
    assert "speech begins" in done.out
    levels = [line for line in path.read_text().splitlines() if json.loads(line)["kind"] == "level"]
    assert len(levels) == pytest.approx(60, abs=2), "ten a second, so that the meter moves"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_ends_with_a_summary_at_once(speech, number):
    process = start("listen", speech, *CHAIN)
    for line in process.stdout:
        if "stream opens" in line:
            break
    time.sleep(0.5)
    start_s = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - start_s < 3
    assert process.returncode == 0
    assert err == ""
    assert "session ends (interrupted)" in out
    assert "nothing lost" in out or "! " in out.splitlines()[-1]


def test_an_agent_is_refused_where_the_policy_says_so(capsys, speech):
    done = call(capsys, "listen", speech, "--fast", *CHAIN, "--roles", "agent", "--set", "policy.others=refuse")
    assert done.code == 2
    assert "role 'agent' is not analysed for the purpose 'customer_care'" in done.complaint
    allowed = call(
        capsys, "listen", speech, "--fast", *CHAIN, "--roles", "agent", "--set", "policy.purpose=self_training"
    )
    assert allowed.code == 0


def test_a_picture_of_the_view_can_be_written(capsys, tmp_path, speech):
    path = tmp_path / "view.svg"
    done = call(capsys, "listen", speech, "--fast", "--svg", path, "--svg-at", "3")
    assert done.code == 0
    drawn = path.read_text()
    assert drawn.startswith("<svg")
    assert "SPEECH" in drawn or "silence" in drawn
