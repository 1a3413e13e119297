import io
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.fakes.desk import FakeDesk, FakeWriter, play
from rtemo.api import AudioInputError, CapacityError, Fault
from rtemo.dsp.resample import resample
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.file import FileSource
from tests.fakes.sounds import chord, main_frequency_hz, tone, write_sound

pytestmark = pytest.mark.unit

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 384_000]


def played(path: Path, **options: int) -> list[FakeWriter]:
    return list(play(FileSource(path), FakeDesk(**options)).writers.values())


def damaged(path: Path, keep: float) -> Path:
    """The file with its tail cut off, as an interrupted copy leaves it."""
    data = path.read_bytes()
    cut = path.with_name(f"cut{path.suffix}")
    cut.write_bytes(data[: int(len(data) * keep)])
    return cut


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_every_rate_arrives_at_the_engine_rate_with_its_tone_and_duration(tmp_path: Path, rate_hz: int) -> None:
    (writer,) = played(write_sound(tmp_path / "a.wav", tone(1.0, rate_hz), rate_hz))
    assert writer.position_samples == 16_000
    assert main_frequency_hz(writer.samples, 16_000) == pytest.approx(440, abs=1)
    assert np.max(np.abs(writer.samples[1_000:-1_000])) == pytest.approx(0.5, abs=0.01)
    assert writer.end_reason == "end_of_file"
    assert writer.reports == []


@pytest.mark.parametrize("channels", [1, 2, 6, 32])
def test_every_channel_is_a_stream_of_its_own(tmp_path: Path, channels: int) -> None:
    writers = played(write_sound(tmp_path / "a.wav", chord(0.5, 16_000, channels), 16_000))
    assert [writer.channel for writer in writers] == [str(channel) for channel in range(channels)]
    for channel, writer in enumerate(writers):
        assert main_frequency_hz(writer.samples, 16_000) == pytest.approx(200 + 100 * channel, abs=3)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "caf", "w64", "rf64"])
def test_every_format_is_read_to_its_end(tmp_path: Path, suffix: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    (writer,) = played(write_sound(tmp_path / f"a.{suffix}", tone(2.0, 16_000), 16_000, **options))
    assert abs(writer.position_samples - 32_000) < 1_700  # MP3 pads to whole frames
    assert main_frequency_hz(writer.samples, 16_000) == pytest.approx(440, abs=1)
    assert writer.end_reason == "end_of_file"


@pytest.mark.parametrize("drain_samples", [None, 160, 37, 1_000])
def test_how_fast_the_engine_reads_changes_nothing(tmp_path: Path, drain_samples: int | None) -> None:
    samples = np.random.default_rng(1).standard_normal(30_001).astype(np.float32) * 0.1
    path = write_sound(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    desk = play(FileSource(path), FakeDesk(ring_samples=1_024), drain_samples=drain_samples)
    assert np.array_equal(desk.only().samples, resample(samples, 44_100, 16_000))


def test_at_the_engine_rate_every_sample_passes_untouched(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, 12_345).astype(np.float32)
    (writer,) = played(write_sound(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT"), ring_samples=777)
    assert np.array_equal(writer.samples, samples)


def test_one_sample_is_a_stream_of_one_sample(tmp_path: Path) -> None:
    (writer,) = played(write_sound(tmp_path / "a.wav", np.array([0.25], np.float32), 16_000))
    assert writer.samples.tolist() == [0.25]
    assert writer.end_reason == "end_of_file"


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_bad_samples_reach_the_writer_as_nan_without_spoiling_their_neighbours(tmp_path: Path, rate_hz: int) -> None:
    samples = tone(1.0, rate_hz)
    bad = samples.copy()
    bad[[rate_hz // 4, rate_hz // 2]] = [np.nan, np.inf]
    (clean,) = played(write_sound(tmp_path / "clean.wav", samples, rate_hz, subtype="FLOAT"))
    (spoilt,) = played(write_sound(tmp_path / "bad.wav", bad, rate_hz, subtype="FLOAT"))
    places = np.flatnonzero(~np.isfinite(spoilt.samples))
    assert places.tolist() == [4_000, 8_000]
    assert np.max(np.abs(np.nan_to_num(spoilt.samples, posinf=0.0) - clean.samples)) <= 0.51


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "au", "w64", "rf64"])
def test_a_truncated_file_is_delivered_as_far_as_it_goes_and_says_so(tmp_path: Path, suffix: str) -> None:
    samples = 0.3 * np.random.default_rng(3).standard_normal(80_000).astype(np.float32)
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    cut = damaged(write_sound(tmp_path / f"a.{suffix}", samples, 16_000, **options), keep=0.5)
    (writer,) = played(cut)
    assert 25_000 < writer.position_samples < 55_000
    assert writer.end_reason == "truncated"
    (fault,) = writer.reports
    assert isinstance(fault, Fault)
    assert fault.where == cut.name
    assert "breaks off" in fault.problem or "cannot be decoded beyond" in fault.problem
    assert "\n" not in fault.problem


def test_what_decodes_before_damage_in_the_middle_is_delivered(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(4).standard_normal(160_000).astype(np.float32)
    path = write_sound(tmp_path / "a.flac", samples, 16_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = bytes(2_000)
    path.write_bytes(data)
    (writer,) = played(path)
    k = writer.position_samples
    assert 60_000 < k < 90_000
    assert np.max(np.abs(writer.samples - samples[:k])) < 1e-4
    assert writer.end_reason == "truncated"
    assert "s of the 10.00 s announced" in writer.reports[0].problem


@pytest.mark.parametrize("announced_bytes", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000])
def test_a_wav_written_into_a_pipe_is_not_taken_for_truncated(tmp_path: Path, announced_bytes: int) -> None:
    path = write_sound(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.find(b"data") + 4, announced_bytes)
    path.write_bytes(data)
    (writer,) = played(path)
    assert writer.position_samples == 16_000
    assert writer.end_reason == "end_of_file"


def wav_header(channels: int, rate_hz: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(100, np.float32), 16_000, format="WAV")
    data = bytearray(buffer.getvalue())
    struct.pack_into("<HIIH", data, 22, channels, rate_hz, rate_hz * channels * 2 & 0xFFFFFFFF, channels * 2)
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist; check the path"),
        (b"", "is empty (0 bytes)"),
        (b"certainly no audio at all" * 40, "is not audio that libsndfile can read"),
        (wav_header(1, 16_000)[:20], "is not audio that libsndfile can read"),
        (wav_header(1, 16_000)[:44], "contains no audio although its header announces 0.01 s"),
        (wav_header(999, 16_000) + bytes(10_000), "announces 999 channels, at most 64 are read"),
        (wav_header(0, 16_000), "is not audio that libsndfile can read"),
        (wav_header(1, 2_147_483_647), "announces 2147483647 Hz, expected 1000 to 768000 Hz"),
        (wav_header(1, 50), "announces 50 Hz, expected 1000 to 768000 Hz"),
        (wav_header(1, 767_999), "convert the audio to a usual rate"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_clear_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    desk = FakeDesk()
    source = FileSource(path)
    with pytest.raises(AudioInputError) as caught:
        source.open(desk)
    source.close()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert desk.writers == {}


def test_a_folder_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    with pytest.raises(AudioInputError, match="is a folder, expected a sound file; name a file, or use"):
        FileSource(tmp_path).open(FakeDesk())


def test_an_unreadable_file_is_refused_with_the_command_that_mends_it() -> None:
    drop_rights = "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)"  # root may read everything
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = write_sound(Path(folder, "a.wav"), tone(0.1, 16_000), 16_000)
        path.chmod(0)
        code = (
            "import os, sys\n"
            "from rtemo.api import AudioInputError\n"
            "from rtemo.io.sources.audio_file import AudioFile\n"
            f"{drop_rights if os.getuid() == 0 else ''}\n"
            f"try:\n    AudioFile({str(path)!r})\n"
            "except AudioInputError as error:\n    print(error, flush=True)\n"
            "os._exit(0)\n"
        )
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.stdout.strip() == f"{path} may not be read by this user; allow it: chmod u+r {path}"


def test_a_raw_file_without_a_header_is_refused_with_the_way_that_works(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(1_000))
    with pytest.raises(AudioInputError, match="no header that tells rate and channels; pipe it into"):
        AudioFile(path)


def test_more_channels_than_the_engine_holds_are_refused_and_none_is_left_open(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", chord(0.1, 16_000, 32), 16_000)
    desk = FakeDesk(capacity=16)
    with pytest.raises(CapacityError, match=r"no room for the 32 channel\(s\) of a\.wav: all 16 streams are in use"):
        FileSource(path).open(desk)
    assert {writer.end_reason for writer in desk.writers.values()} == {"refused"}


def test_channels_and_speakers_can_be_named(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "monday.wav", chord(0.1, 16_000, 3), 16_000)
    source = FileSource(path, channel_names=("caller", "agent"), roles=("customer",))
    desk = play(source, FakeDesk())
    assert list(desk.writers) == [("monday", "caller"), ("monday", "agent"), ("monday", "2")]
    assert [writer.role for writer in desk.writers.values()] == ["customer", "", ""]
    assert desk.writers["monday", "caller"].source == "file:monday.wav"


def test_the_rest_of_the_channels_go_on_when_the_engine_closes_one(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", chord(1.0, 16_000, 2), 16_000)
    desk = FakeDesk(ring_samples=1_600)
    source = FileSource(path)
    source.open(desk)
    source.pump()
    first, second = desk.writers.values()
    first.is_closed = True
    while source.pump() is not None:
        second.drain()
    assert first.position_samples == 1_600
    assert second.position_samples == 16_000
    assert second.end_reason == "end_of_file"


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def test_live_a_hop_is_written_when_its_time_has_come_and_stamped_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    monkeypatch.setattr(time, "time_ns", clock)
    samples = tone(0.5, 16_000)
    source = FileSource(write_sound(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT"), clock_ns=clock)
    desk = FakeDesk(is_live=True)
    source.open(desk)
    writer = desk.only()
    while (wait_s := source.pump()) is not None:
        assert writer.position_samples / 16_000 == pytest.approx(clock.now_ns * 1e-9, abs=0.010)
        assert 0 < wait_s <= 0.010
        clock.now_ns += round(wait_s * 1e9) + 1
    assert clock.now_ns == pytest.approx(500_000_000, abs=11_000_000)
    assert np.array_equal(writer.samples, samples)
    steps_ns = np.diff([capture_ns for _, capture_ns in writer.captures])
    assert set(steps_ns.tolist()) == {10_000_000}


def test_live_a_long_stall_loses_no_audio_of_a_file(tmp_path: Path) -> None:
    clock = HandClock()
    samples = tone(2.0, 16_000)
    source = FileSource(write_sound(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT"), clock_ns=clock)
    desk = FakeDesk(is_live=True, ring_samples=16_000)
    source.open(desk)
    turn = 0
    while source.pump() is not None:
        turn += 1
        clock.now_ns += 60_000_000_000 if turn == 50 else 10_000_000
        desk.drain()
    assert desk.only().overrun_samples == 0
    assert np.array_equal(desk.only().samples, samples)


def test_freewheeling_a_pump_never_holds_the_thread_for_long(tmp_path: Path) -> None:
    import time

    path = write_sound(tmp_path / "a.wav", chord(20.0, 48_000, 2), 48_000)
    source = FileSource(path)
    desk = FakeDesk()
    source.open(desk)
    slowest_s = 0.0
    while True:
        start_s = time.thread_time()  # what others do on this machine does not count
        if source.pump() is None:
            break
        slowest_s = max(slowest_s, time.thread_time() - start_s)
    assert slowest_s < 0.05
    assert desk.writers["a", "1"].position_samples == 320_000


def test_a_source_closed_in_the_middle_ends_its_streams(tmp_path: Path) -> None:
    desk = FakeDesk(ring_samples=160)
    source = FileSource(write_sound(tmp_path / "a.wav", chord(1.0, 16_000, 2), 16_000))
    source.open(desk)
    source.pump()
    source.close()
    source.close()
    assert [writer.end_reason for writer in desk.writers.values()] == ["stopped", "stopped"]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_live_no_hop_waits_for_the_decoder_and_each_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate_hz: int
) -> None:
    clock = HandClock()
    source = FileSource(write_sound(tmp_path / "a.wav", tone(2.0, rate_hz), rate_hz, subtype="FLOAT"), clock_ns=clock)
    desk = FakeDesk(is_live=True)
    source.open(desk)
    writer = desk.only()
    decoded_at: list[int] = []  # the position up to which hops had been written when a block was decoded

    def read(file: AudioFile, count_samples: int, original=AudioFile.read) -> np.ndarray:
        decoded_at.append(clock.now_ns * 16 // 1_000_000 - writer.position_samples)
        return original(file, count_samples)

    monkeypatch.setattr(AudioFile, "read", read)
    while (wait_s := source.pump()) is not None:
        clock.now_ns += round(wait_s * 1e9) + 1
    assert len(decoded_at) >= 8
    assert max(decoded_at) < 160, "a hop was due while a block was decoded"
    assert {end % 160 for end, _ in writer.captures[:-1]} == {0}
