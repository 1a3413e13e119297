import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.fakes.desk import FakeDesk, play
from rtemo.api import AudioInputError, CapacityError, Fault
from rtemo.dsp.resample import resample
from rtemo.io.pcm import decode_pcm, encode_pcm
from rtemo.io.sources.options import StdinOptions
from rtemo.io.sources.stdin import StdinSource
from tests.fakes.sounds import tone, write_sound

pytestmark = pytest.mark.unit

NOISE = np.random.default_rng(7).uniform(-0.9, 0.9, 24_000).astype(np.float32)


class Pipe:
    """A real pipe, its reading end as a stream."""

    def __init__(self) -> None:
        read_fd, self.write_fd = os.pipe()
        self.stream = os.fdopen(read_fd, "rb", buffering=0)

    def send(self, data: bytes) -> None:
        os.write(self.write_fd, data)

    def end(self) -> None:
        write_fd, self.write_fd = self.write_fd, -1  # first: a thread that feeds may end it at the same time
        if write_fd >= 0:
            os.close(write_fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.end()
    pipe.stream.close()


@pytest.mark.parametrize("sample_type", ["s16le", "f32le", "mulaw", "alaw"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_every_sample_type_and_channel_count_arrives(sample_type: str, channels: int) -> None:
    data = encode_pcm(NOISE[: 2_400 * channels], sample_type)
    desk = play(StdinSource(io.BytesIO(data), 16_000, channels, sample_type), FakeDesk(ring_samples=500))
    heard = np.stack([writer.samples for writer in desk.writers.values()], axis=1)
    assert np.array_equal(heard.reshape(-1), decode_pcm(data, sample_type))
    assert all(writer.end_reason == "end_of_input" for writer in desk.writers.values())
    assert all(writer.reports == [] for writer in desk.writers.values())


@pytest.mark.parametrize("cut_bytes", [1, 3, 7, 1_000, 100_000])
def test_how_the_bytes_are_cut_changes_nothing(pipe: Pipe, cut_bytes: int) -> None:
    samples = NOISE[:3_000] if cut_bytes < 1_000 else NOISE
    data = encode_pcm(samples, "f32le")

    def feed() -> None:
        for start in range(0, len(data), cut_bytes):
            pipe.send(data[start : start + cut_bytes])
        pipe.end()

    threading.Thread(target=feed, daemon=True).start()
    desk = play(StdinSource(pipe.stream, 8_000, 1, "f32le"), FakeDesk())
    assert np.array_equal(desk.only().samples, resample(samples, 8_000, 16_000))


@pytest.mark.parametrize("extra_bytes", [1, 2, 3])
def test_an_incomplete_last_frame_is_reported_and_counted_and_nothing_before_it_is_lost(extra_bytes: int) -> None:
    data = encode_pcm(NOISE[:2_000], "s16le") + bytes(extra_bytes)
    desk = play(StdinSource(io.BytesIO(data), 16_000, 2, "s16le"), FakeDesk())
    for writer in desk.writers.values():
        assert writer.position_samples == 1_000
        assert writer.lost_samples == 1
        assert writer.end_reason == "end_of_input"
        (fault,) = writer.reports
        assert isinstance(fault, Fault)
        assert fault.problem == (f"the input ends in the middle of a frame: {extra_bytes} of 4 bytes (2 x s16le)")


def test_input_without_any_audio_ends_cleanly_and_says_so() -> None:
    writer = play(StdinSource(io.BytesIO(b"")), FakeDesk()).only()
    assert writer.end_reason == "end_of_input"
    assert writer.reports[0].problem == "the input ended without any audio"


def test_a_pipe_that_stalls_does_not_hold_the_thread(pipe: Pipe) -> None:
    desk = FakeDesk(is_live=True)
    source = StdinSource(pipe.stream)
    source.open(desk)
    pipe.send(encode_pcm(NOISE[:100], "s16le") + b"\x01")
    for _ in range(5):
        start_s = time.monotonic()
        assert source.pump() is not None
        assert time.monotonic() - start_s < 0.05
    assert desk.only().position_samples == 100
    pipe.send(b"\x02" + encode_pcm(NOISE[100:200], "s16le"))
    pipe.end()
    while source.pump() is not None:
        pass
    assert desk.only().position_samples == 201
    assert desk.only().end_reason == "end_of_input"


def test_live_what_arrives_is_written_when_it_arrives(pipe: Pipe) -> None:
    desk = FakeDesk(is_live=True)
    source = StdinSource(pipe.stream)
    source.open(desk)
    for hops in range(1, 6):
        pipe.send(encode_pcm(NOISE[:160], "s16le"))
        before_ns = time.time_ns()
        source.pump()
        assert desk.only().position_samples == 160 * hops
        assert 0 <= desk.only().captures[-1][1] - before_ns < 50_000_000


def test_live_a_file_piped_in_is_played_in_real_time_without_loss() -> None:
    desk = FakeDesk(is_live=True)
    source = StdinSource(io.BytesIO(encode_pcm(NOISE[:16_000], "s16le")))
    start_s = time.monotonic()
    source.open(desk)
    while (wait_s := source.pump()) is not None:
        ahead_s = desk.only().position_samples / 16_000 - (time.monotonic() - start_s)
        assert ahead_s < 0.26
        time.sleep(wait_s)
    assert 0.7 < time.monotonic() - start_s < 1.2
    assert desk.only().position_samples == 16_000


def test_live_a_full_ring_holds_the_pipe_back_instead_of_losing_audio() -> None:
    desk = FakeDesk(is_live=True, ring_samples=1_000)
    source = StdinSource(io.BytesIO(encode_pcm(NOISE, "s16le")))
    source.open(desk)
    for _ in range(20):
        source.pump()
    assert desk.only().position_samples == 1_000
    assert desk.only().overrun_samples == 0


@pytest.mark.parametrize(("suffix", "kind"), [("wav", "WAV"), ("flac", "FLAC"), ("ogg", "Ogg"), ("aiff", "AIFF")])
def test_a_sound_file_piped_in_is_refused_before_its_header_is_heard(tmp_path: Path, suffix: str, kind: str) -> None:
    data = write_sound(tmp_path / f"a.{suffix}", tone(0.1, 16_000), 16_000).read_bytes()
    with pytest.raises(AudioInputError, match=f"carries a {kind} file, expected raw samples; give the file's name"):
        StdinSource(io.BytesIO(data)).open(FakeDesk())


def test_a_terminal_is_refused_with_an_example() -> None:
    leader, follower = os.openpty()
    expected = pytest.raises(AudioInputError, match="is a terminal, expected raw audio; pipe it in: arecord")
    with os.fdopen(follower, "rb", buffering=0) as terminal, expected:
        StdinSource(terminal).open(FakeDesk())
    os.close(leader)


def test_more_channels_than_the_engine_holds_are_refused() -> None:
    source = StdinSource(io.BytesIO(bytes(64)), 16_000, 8)
    with pytest.raises(CapacityError):
        source.open(FakeDesk(capacity=4))
    source.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_type": "s24le"}, "unknown sample type 's24le'"),
        ({"channels": 0}, "raw audio of 0 channels"),
        ({"sample_rate_hz": 0}, "audio of 0 Hz cannot be converted"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(options: dict[str, int], words: str) -> None:
    with pytest.raises(AudioInputError, match=words):
        StdinSource(io.BytesIO(bytes(64)), **options).open(FakeDesk())


def test_options_name_call_channels_and_roles() -> None:
    options = StdinOptions(call="line-1", channels=2, channel_names=("caller", "agent"), roles=("customer", "agent"))
    desk = play(StdinSource.from_options(options, io.BytesIO(bytes(64))), FakeDesk())
    assert list(desk.writers) == [("line-1", "caller"), ("line-1", "agent")]
    assert [writer.role for writer in desk.writers.values()] == ["customer", "agent"]


def test_the_standard_input_of_a_real_process_is_read_to_its_end() -> None:
    code = (
        "from rtemo.io.sources.stdin import StdinSource\n"
        "from bench.fakes.desk import FakeDesk, play\n"
        "writer = play(StdinSource(), FakeDesk()).only()\n"
        "print(writer.position_samples, writer.end_reason)"
    )
    data = encode_pcm(NOISE, "s16le")
    process = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert process.stdout.split() == [b"24000", b"end_of_input"]


def test_integers_given_as_floats_are_refused() -> None:
    source = StdinSource(io.BytesIO((tone(0.1, 16_000) * 20_000).astype("<f4").tobytes()), sample_type="f32le")
    desk = FakeDesk(is_live=False)
    source.open(desk)
    with pytest.raises(AudioInputError, match=r"float samples of up to \d+, expected \[-1, 1\]"):
        source.pump()
