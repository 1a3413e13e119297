"""`rtemo say` on a made-up voice: files with a mark and a tag, consent before anything, one line for every mistake."""

import fcntl
import os
import signal
import termios
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from rtemo.api import AudioInputError, ConsentError, ProcessedBlock
from rtemo.cli import say as verb
from rtemo.cli.lazy_tools import LazyTools
from rtemo.cli.playing import Player
from rtemo.cli.recording import record_utterance
from rtemo.cli.speech_tag import read_tag
from rtemo.cli.wave_file import WaveFile
from rtemo.testing.voice import voice as speech
from rtemo.voice.errors import VoiceError
from rtemo.voice.style import read_style
from tests.fakes.program import start
from tests.fakes.speaking import LetterEspeak, write_voice
from tests.fakes.zmq_ends import wait_until

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("rtemo.voice.espeak.find_espeak", LetterEspeak)
    return write_voice(tmp_path / "notes")


def run(*arguments, text=None):
    return CliRunner().invoke(
        verb.command, list(map(str, arguments)), obj=LazyTools(), input=text, standalone_mode=False
    )


def test_a_text_becomes_a_file_that_says_what_it_is(folder, tmp_path):
    out = tmp_path / "x.wav"
    done = run("good morning", "--bundle", folder, "--voice", "low", "--out", out)
    assert done.exception is None
    samples, rate_hz = soundfile.read(out)
    assert rate_hz == 16_000
    assert len(samples) > 16_000
    assert read_tag(out).startswith("synthetic speech; voice: ")
    assert out.stat().st_mode & 0o077 == 0


def test_text_comes_from_standard_input(folder, tmp_path):
    out = tmp_path / "x.wav"
    assert run("-", "--bundle", folder, "--out", out, text="good morning\n").exception is None
    assert out.exists()


def test_words_and_phonemes_are_printed(folder, tmp_path):
    done = run("ab cd", "--bundle", folder, "--out", tmp_path / "x.wav", "--words")
    assert [line.split()[-1] for line in done.output.splitlines() if line.endswith(("ab", "cd"))] == ["ab", "cd"]
    assert run("ab, cd", "--bundle", folder, "--phonemes").output == "ab, cd\n"


def test_the_tag_is_found_by_check_and_its_absence_is_told(folder, tmp_path):
    out, plain = tmp_path / "x.wav", tmp_path / "plain.wav"
    run("good morning", "--bundle", folder, "--out", out)
    done = run("--check", out)
    assert done.return_value == 0
    assert "tag        synthetic speech" in done.output
    soundfile.write(plain, speech(3.0, seed=1), 16_000)
    done = run("--check", plain)
    assert done.return_value == 1
    assert "watermark  not found" in done.output
    assert "tag        none" in done.output


def test_nobody_is_imitated_without_consent_and_nothing_is_loaded_first(tmp_path, monkeypatch):
    monkeypatch.setattr(LazyTools, "voice", lambda self, name: pytest.fail("a model was loaded"))
    for given in ([], ["--consent", "yes"]):
        done = run("good morning", "--like", tmp_path / "her.wav", *given)
        assert isinstance(done.exception, ConsentError)
    assert "belongs to --like" in str(run("good morning", "--consent", "Jane, 2026-11-30").exception)


def test_who_consented_stands_in_the_style_and_in_the_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("rtemo.voice.fit.PROBE", "abc abc abc abc abc abc")
    reference, style, out = tmp_path / "her.wav", tmp_path / "her.json", tmp_path / "x.wav"
    soundfile.write(reference, speech(6.0, seed=4), 16_000)
    given = ["--bundle", folder, "--like", reference, "--consent", "Jane Doe, 2026-11-30", "--tries", "10"]
    done = run("good morning", *given, "--save-style", style, "--out", out)
    assert done.exception is None
    assert read_tag(out).endswith("consent: Jane Doe, 2026-11-30")
    again = tmp_path / "again.wav"
    assert run("good morning", "--bundle", folder, "--voice", style, "--out", again).exception is None
    assert read_tag(again).endswith("consent: Jane Doe, 2026-11-30")
    assert read_style(str(style), {"low": np.zeros((1, 4))}, "notes").fitted is not None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([""], "there is no text"),
        (["..."], "there is no word"),
        (["доброе утро"], "is written in Cyrillic"),
        (["good", "--voice", "nobody"], "there is no voice 'nobody'"),
        (["good", "--manner", "bored"], "there is no manner 'bored'"),
        (["good", "--speed", "9"], "9.0 is not in the range"),
        ([], "there is no TEXT"),
        (["a" * 20_001], "more than 20000 characters"),
    ],
)
def test_a_mistake_is_one_clear_line(folder, tmp_path, arguments, problem):
    done = run(*arguments, "--bundle", folder, "--out", tmp_path / "x.wav")
    assert problem in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "x.wav").exists()


def test_a_reference_that_is_too_short_is_named(folder, tmp_path):
    reference = tmp_path / "her.wav"
    soundfile.write(reference, speech(6.0, seed=4)[:3_200], 16_000)
    done = run("good", "--bundle", folder, "--like", reference, "--consent", "Jane Doe, 2026-11-30")
    assert isinstance(done.exception, VoiceError)


class Talker:
    """A source that says nothing for a while, then speaks, then is silent, ten times as fast as time."""

    name = "talker"
    is_local = True

    def __init__(self, samples):
        self._parts = list(samples.reshape(-1, 1_600))

    def open(self, desk):
        self._writer = desk.open_stream("mic", "0", role="user")

    def pump(self):
        if not self._parts:
            return 0.05
        self._writer.write(self._parts.pop(0))
        return 0.03

    def close(self):
        if not self._writer.is_closed:
            self._writer.end("stopped")


def test_an_utterance_is_recorded_from_its_first_word_to_the_silence_after_it():
    spoken = np.zeros(6 * 16_000, np.float32)
    spoken[16_000 : 3 * 16_000] = speech(12.0, seed=4)[6_000 : 6_000 + 2 * 16_000]
    recorded = record_utterance(20.0, source=Talker(spoken))
    loud = np.flatnonzero(np.abs(spoken) > 0.02)
    assert 0.7 * (loud[-1] - loud[0]) < len(recorded) < 2.5 * (loud[-1] - loud[0])
    assert np.abs(recorded).max() > 0.1


def test_silence_is_no_utterance():
    with pytest.raises(AudioInputError, match="nobody spoke"):
        record_utterance(1.0, source=Talker(np.zeros(2 * 16_000, np.float32)))


class Recorded:
    """A loudspeaker that remembers when it was given what."""

    def __init__(self):
        self.hops = []

    def open(self, format):
        pass

    def close(self):
        pass

    def write(self, block: ProcessedBlock):
        self.hops.append((time.monotonic(), block.samples[0].copy(), bool(block.is_last[0])))


def test_a_player_gives_everything_in_time_and_says_when_it_ends():
    heard = Recorded()
    samples = np.linspace(-0.5, 0.5, 5_000, dtype=np.float32)
    begun_s = time.monotonic()
    with Player(sink=heard) as player:
        for start in range(0, 5_000, 700):
            player.put(samples[start : start + 700])
        player.drain()
    assert time.monotonic() - begun_s >= 0.3
    joined = np.concatenate([hop for _, hop, _ in heard.hops])
    np.testing.assert_array_equal(joined[:5_000], samples)
    assert [is_last for _, _, is_last in heard.hops].index(True) == len(heard.hops) - 1


def test_a_player_falls_silent_within_a_tenth_of_a_second():
    import threading

    heard = Recorded()
    stopped_s = []
    with Player(sink=heard) as player:
        timer = threading.Timer(0.3, lambda: (stopped_s.append(time.monotonic()), player.stop()))
        timer.start()
        assert player.put(np.zeros(32_000, np.float32)) is False
        player.drain()
    in_hand = [at_s for at_s, _, _ in heard.hops if at_s > stopped_s[0] + 0.01]
    assert not in_hand
    handed_on_s = len(heard.hops) * 0.01
    assert handed_on_s - (stopped_s[0] - heard.hops[0][0]) < 0.1


@pytest.mark.parametrize("text", [b"caf\xe9".decode("utf-8", "surrogateescape"), "-"])
def test_a_text_that_is_no_utf8_is_one_line(folder, tmp_path, text):
    done = CliRunner().invoke(
        verb.command,
        [text, "--bundle", str(folder), "--out", str(tmp_path / "x.wav")],
        obj=LazyTools(),
        input=b"caf\xe9",
    )
    assert isinstance(done.exception, VoiceError)
    assert "no UTF-8" in done.exception.problem


def test_a_device_of_digits_that_are_no_number_is_a_name(monkeypatch):
    wanted = []
    monkeypatch.setattr("rtemo.cli.playing.SpeakerSink", wanted.append)
    Player("\u00b2")
    Player("3")
    assert [options.device for options in wanted] == ["\u00b2", 3]


def test_what_a_header_says_is_no_size_to_allocate(tmp_path):
    path = tmp_path / "fast.wav"
    soundfile.write(path, np.full((76_800, 4), 0.25, np.float32), 768_000)
    tracemalloc.start()
    try:
        samples = LazyTools().read_audio(path, longest_s=3600.0)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples.shape == (1600,)
    assert samples[800] == pytest.approx(0.25, abs=1e-3)
    assert peak_bytes < 64 << 20


def test_samples_that_are_no_numbers_are_silence_and_a_long_file_is_refused(tmp_path):
    path = tmp_path / "nan.wav"
    sound = np.full((16_000, 2), 0.5, np.float32)
    sound[100:200] = np.nan
    soundfile.write(path, sound, 16_000, subtype="FLOAT")
    samples = LazyTools().read_audio(path)
    assert not samples[100:200].any()
    assert samples[300] == 0.5
    with pytest.raises(AudioInputError, match="at most 0 s"):
        LazyTools().read_audio(path, longest_s=0.4)


def test_what_cannot_be_written_is_said_before_anything_is_spoken(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("rtemo.cli.say._service", lambda tools, bundle: pytest.fail("it began to speak"))
    for out in (tmp_path, "/proc/x.wav"):
        done = run("good morning", "--bundle", folder, "--out", out)
        assert "cannot be written" in str(done.exception)
    (tmp_path / "a").write_text("")
    done = run("good morning", "--bundle", folder, "--out", tmp_path / "a" / "x.wav")
    assert isinstance(done.exception, OSError)


def test_a_pipe_gets_the_file_and_stays_a_pipe(folder, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        got = pool.submit(pipe.read_bytes)
        assert run("good morning", "--bundle", folder, "--out", pipe).exit_code == 0
        assert got.result()[:4] == b"RIFF"
    assert pipe.is_fifo()
    with pytest.raises(FileExistsError):
        WaveFile(pipe, 16_000)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_is_stopped_while_it_waits_for_its_text_says_so_and_writes_nothing(tmp_path, number, status):
    process = start("say", "-", "--out", tmp_path / "a.wav")
    process.stdin.write("It is not")
    process.stdin.flush()
    assert wait_until(lambda: count_unread(process.stdin) == 0, timeout_s=30)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (status, "", "rtemo: stopped")
    assert not list(tmp_path.iterdir())


def count_unread(pipe):
    """Bytes in a pipe that its reader has not taken."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")
