"""Odd files, names and streams: one item's failure is one line, the others are done, the exit status tells."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rtemo.api.text import shown
from tests.fakes.program import ROOT, call, command
from tests.fakes.sounds import tone, write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

CHAIN = ("--chain", "level")


def run(*words, environment=None, text=True, **streams):
    """Run a command to its end as a process; a hang is a failure."""
    places = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(
        command(*words),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        text=text,
        timeout=60,
        check=False,
        **places,
    )


def reports(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder of odd things, two of which cannot be read."""
    folder = tmp_path_factory.mktemp("odd")
    sound = tone(0.5, RATE_HZ)
    for name in ("plain.wav", "a[red]b[blue].wav", ":smile:.wav", "ünï.wav", "two\nlines.wav"):
        write_sound(folder / name, sound, RATE_HZ)
    os.rename(write_sound(folder / "x.wav", sound, RATE_HZ), os.fsencode(folder) + b"/caf\xe9.wav")
    os.mkfifo(folder / "pipe.wav")
    os.symlink(folder / "loop.wav", folder / "loop.wav")
    return folder


def test_of_odd_names_every_file_is_done_on_an_ascii_terminal(odd, tmp_path):
    events, enhanced = tmp_path / "events.jsonl", tmp_path / "enhanced"
    words = ("analyze", odd, "--events", events, "--enhanced", enhanced, *CHAIN)
    done = run(*words, environment={"PYTHONIOENCODING": "ascii"}, text=False)
    assert done.returncode == 1
    complaints = done.stderr.decode("ascii").splitlines()
    assert len(complaints) == 2
    assert all(line.startswith("rtemo: ") for line in complaints)
    assert "pipe.wav is a pipe, expected a sound file; pipe it in: rtemo analyze - < PIPE" in done.stderr.decode()
    assert "loop.wav cannot be looked at (Too many levels of symbolic links)" in done.stderr.decode()
    names = {os.path.basename(report["file"]) for report in reports(done.stdout.decode("utf-8"))}
    assert names == {
        "plain.wav",
        "a[red]b[blue].wav",
        ":smile:.wav",
        "ünï.wav",
        "two\nlines.wav",
        r"caf\xe9.wav",
    }
    ended = {event["call"] for event in reports(events.read_text()) if event["kind"] == "stream_end"}
    assert ended == {name.removesuffix(".wav") for name in names}
    assert len(list(enhanced.iterdir())) == 6
    assert os.path.exists(os.fsencode(enhanced) + b"/caf\xe9.wav")


def test_names_are_shown_as_they_are_and_not_taken_for_markup(capsys, odd):
    for name in ("a[red]b[blue]", ":smile:"):
        done = call(capsys, "listen", odd / f"{name}.wav", "--fast", *CHAIN)
        assert done.code == 0
        [row] = [line for line in done.out.splitlines() if line.startswith(f"{name}/0 ")]
        assert "none rated" in row


def test_a_sound_file_on_standard_input_is_analysed_whatever_its_header_says(capsys, monkeypatch, odd, tmp_path):
    content = bytearray((odd / "plain.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    done = run("analyze", "-", *CHAIN, input=bytes(content), text=False)
    assert done.returncode == 0
    [report] = reports(done.stdout.decode())
    assert (report["file"], report["duration_s"], report["end"]) == ("-", 0.5, "end_of_file")
    assert done.stderr.decode().startswith("rtemo: standard input does not tell its length")
    for content, words in ((b"", "is empty (0 bytes)"), (b"nonsense" * 100, "is not audio that libsndfile can read")):
        (tmp_path / "piped").write_bytes(content)
        with (tmp_path / "piped").open() as piped:
            monkeypatch.setattr(sys, "stdin", piped)
            done = call(capsys, "analyze", "-", *CHAIN)
        assert (done.code, done.out) == (1, "")
        assert f"rtemo: standard input {words}" in done.complaint


def test_results_that_cannot_be_written_are_a_failure(capsys, odd):
    plain = odd / "plain.wav"
    with open("/dev/full", "w") as full:
        done = run("analyze", plain, *CHAIN, stdout=full)
    assert done.returncode == 2
    assert "rtemo: the output cannot be written (No space left on device)" in done.stderr
    done = call(capsys, "analyze", plain, *CHAIN, "--out", "/dev/full")
    assert (done.code, done.out) == (2, "")
    assert "/dev/full cannot be written (No space left on device)" in done.complaint
    done = call(capsys, "analyze", plain, *CHAIN, "--events", "/dev/full")
    assert (done.code, len(reports(done.out))) == (1, 1)
    assert "jsonl closed: cannot write /dev/full" in done.complaint
    done = call(capsys, "listen", plain, "--fast", "--plain", "--jsonl", "/dev/full", *CHAIN)
    assert done.code == 1
    assert "! jsonl closed: cannot write /dev/full" in done.out


def test_a_closed_standard_stream_is_no_hole_that_files_fall_into(odd, tmp_path):
    plain, out, events = odd / "plain.wav", tmp_path / "out.jsonl", tmp_path / "events.jsonl"

    def closing(*numbers):
        return lambda: [os.close(number) for number in numbers]

    done = run("analyze", plain, *CHAIN, preexec_fn=closing(1))
    assert done.returncode == 2
    assert "standard output is closed, results would go nowhere; name a file with --out" in done.stderr
    words = ("analyze", plain, "none.wav", *CHAIN, "--out", out, "--events", events)
    done = run(*words, preexec_fn=closing(0, 1, 2))
    assert done.returncode == 1
    assert [report["file"] for report in reports(out.read_text())] == [str(plain)]
    assert {event["call"] for event in reports(events.read_text())} == {"", "plain"}


def test_a_reader_that_goes_ends_the_work(odd, tmp_path):
    for index in range(400):  # more than are done by when the reader has gone
        os.link(odd / "plain.wav", tmp_path / f"{index:03}.wav")
    for words in (("analyze", tmp_path), ("listen", odd / "plain.wav", "--jsonl", "-")):
        process = subprocess.Popen(
            command(*words, *CHAIN), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(timeout=20) == 1
        assert "Traceback" not in process.stderr.read()
        process.stderr.close()


def test_decoders_do_not_talk_on_standard_error(tmp_path):
    good, broken = tmp_path / "good.mp3", tmp_path / "broken.mp3"
    soundfile.write(good, np.tile(voice(2.0, seed=1), 3), RATE_HZ, format="MP3")
    content = bytearray(good.read_bytes())
    rng = np.random.default_rng(1)
    for at in rng.integers(3_000, len(content) - 100, size=30):
        content[at : at + 60] = rng.bytes(60)
    broken.write_bytes(content)
    (tmp_path / "junk.mp3").write_bytes(b"ID3\x03" + rng.bytes(9_000))
    talk = "import os, sys, soundfile; soundfile.read(sys.argv[1])"
    assert "libmpg123" in subprocess.run([sys.executable, "-c", talk, broken], capture_output=True, text=True).stderr
    done = run("analyze", tmp_path, *CHAIN)
    assert done.returncode == 1
    assert len(reports(done.stdout)) == 2
    assert done.stderr.count("\n") == 2
    assert all(line.startswith("rtemo: ") for line in done.stderr.splitlines())
    assert "junk.mp3 is not audio that libsndfile can read (Format not recognised)" in done.stderr


def test_roles_that_leave_a_channel_out_are_refused(capsys, tmp_path):
    two = write_sound(tmp_path / "two.wav", np.stack([tone(0.5, RATE_HZ)] * 2, axis=1), RATE_HZ)
    one = write_sound(tmp_path / "one.wav", tone(0.5, RATE_HZ), RATE_HZ)
    done = call(capsys, "listen", two, "--fast", *CHAIN, "--roles", "customer")
    assert done.code == 2
    assert f"--roles names 1 of the 2 channels of {two}; name one for each, as customer,ROLE" in done.complaint
    done = call(capsys, "analyze", two, one, *CHAIN, "--roles", "customer")
    assert done.code == 1
    assert [report["file"] for report in reports(done.out)] == [str(one)]
    assert "--roles names 1 of the 2 channels" in done.complaint
    assert call(capsys, "analyze", two, *CHAIN, "--roles", "customer,").code == 0


def test_more_roles_than_channels_are_refused(capsys, tmp_path):
    two = write_sound(tmp_path / "two.wav", np.stack([tone(0.5, RATE_HZ)] * 2, axis=1), RATE_HZ)
    one = write_sound(tmp_path / "one.wav", tone(0.5, RATE_HZ), RATE_HZ)
    done = call(capsys, "listen", one, "--fast", *CHAIN, "--roles", "customer,agent")
    assert done.code == 2
    assert f"--roles names 2 roles and {one} has one channel; name one for each channel" in done.complaint
    done = call(capsys, "analyze", one, two, *CHAIN, "--roles", "customer,agent")
    assert done.code == 1
    assert [report["file"] for report in reports(done.out)] == [str(two)] * 2
    assert f"{one} has one channel" in done.complaint
    done = call(capsys, "listen", "--mic", *CHAIN, "--roles", "customer,agent")
    assert done.code == 2
    assert "a microphone has one channel" in done.complaint


def test_results_never_go_over_what_is_read_nor_over_each_other(capsys, tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(0.3, RATE_HZ), RATE_HZ)
    (tmp_path / "link").symlink_to(path)
    before = path.read_bytes()
    for words in (
        ("analyze", path, "--out", path),
        ("analyze", path, "--events", tmp_path / "link"),
        ("analyze", tmp_path, "--out", path),
        ("listen", path, "--fast", "--jsonl", path),
    ):
        done = call(capsys, *words, *CHAIN)
        assert done.code == 2
        assert "would write over a file that is to be read; choose another" in done.complaint
        assert path.read_bytes() == before
    done = call(capsys, "analyze", path, *CHAIN, "--out", tmp_path / "x", "--events", tmp_path / "." / "x")
    assert (done.code, (tmp_path / "x").exists()) == (2, False)
    assert f"--events and --out name the same file {tmp_path / 'x'}" in done.complaint
    assert call(capsys, "analyze", path, *CHAIN, "--out", "/dev/null", "--events", "/dev/null").code == 0


def test_numbers_that_are_none_and_names_that_are_empty_are_refused(capsys):
    assert "'nan' is not a finite number" in call(capsys, "subscribe", "--wait", "nan").complaint
    assert "'inf' is not a finite number" in call(capsys, "bench", "--seconds", "inf").complaint
    assert "'nan' is not a finite number" in call(capsys, "listen", "x.wav", "--wet", "nan").complaint
    done = call(capsys, "analyze", "")
    assert done.code == 2
    assert "the name is empty" in done.complaint


def test_a_path_that_cannot_be_used_is_no_fault_of_ours(capsys, odd):
    done = call(capsys, "listen", odd / "plain.wav", "--fast", *CHAIN, "--svg", "/none/x.svg")
    assert done.code == 2
    assert "--svg /none/x.svg cannot be written (No such file or directory); choose another place" in done.complaint


def test_a_file_is_named_whatever_is_wrong_with_it(capsys, tmp_path):
    sound = tone(0.3, RATE_HZ)
    write_sound(tmp_path / "prime.wav", sound, 767_999)
    sound[3:7] = np.nan
    write_sound(tmp_path / "holes.wav", sound, RATE_HZ, subtype="FLOAT")
    write_sound(tmp_path / "loud.wav", tone(0.3, RATE_HZ) * 20_000, RATE_HZ, subtype="FLOAT")
    done = call(capsys, "analyze", tmp_path, *CHAIN)
    assert done.code == 1
    assert f"rtemo: {tmp_path}/prime.wav: converting 767999 Hz to 16000 Hz would need" in done.err
    assert f"rtemo: {tmp_path}/holes.wav holds 4 samples that are no numbers; they were taken for silence" in done.err
    assert f"rtemo: {tmp_path}/loud.wav holds float samples of up to 10000 from 0.00 s on" in done.err
    assert done.err.count("\n") == 3


def test_serve_refuses_an_endpoint_before_it_warms_up(capsys):
    for option in ("--ingest", "--publish"):
        done = call(capsys, "serve", option, "tcp://nonsense")
        assert (done.code, done.out) == (2, "")
        assert "got endpoint 'tcp://nonsense'" in done.complaint


def test_bytes_that_are_no_text_are_shown_as_escapes():
    assert shown(os.fsdecode(b"caf\xe9")) == r"caf\xe9"
    assert shown("call \ud800") == r"call \ud800"
    assert shown("ünï [x]") == "ünï [x]"
