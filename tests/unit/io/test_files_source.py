import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.fakes.desk import FakeDesk, play
from rtemo.api import AudioInputError, CapacityError, Fault
from rtemo.io.sources.files import FileFailure, FilesSource
from tests.fakes.sounds import chord, tone, write_sound

pytestmark = pytest.mark.unit


def library(folder: Path, count: int, duration_s: float = 0.2) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [write_sound(folder / f"{i:02}.wav", tone(duration_s, 16_000, 200 + 10 * i), 16_000) for i in range(count)]


def test_folders_are_searched_to_any_depth_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/z.flac", "b/deep/down/x.WAV", "a/y.ogg", "a/.hidden.wav", ".git/w.wav", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no audio")
        else:
            write_sound(path, tone(0.1, 16_000), 16_000)
    source = FilesSource([tmp_path], parallel=1)
    play(source, FakeDesk())
    assert [track.path.name for track in source.tracks.values()] == ["y.ogg", "z.flac", "x.WAV"]
    assert source.failures == []


def test_a_file_named_twice_and_again_by_its_folder_is_played_once(tmp_path: Path) -> None:
    (path,) = library(tmp_path, 1)
    source = FilesSource([path, path, tmp_path])
    play(source, FakeDesk())
    assert len(source.tracks) == 1


def test_every_stream_tells_its_file_channel_and_duration(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "two.wav", chord(0.5, 8_000, 2), 8_000)
    source = FilesSource([path], channel_names=("caller", "agent"))
    desk = play(source, FakeDesk())
    assert list(desk.writers) == [("two", "caller"), ("two", "agent")]
    track = source.tracks["two", "agent"]
    assert (track.path, track.channel_index, track.channels, track.sample_rate_hz) == (path, 1, 2, 8_000)
    assert track.duration_s == 0.5


def test_files_of_the_same_name_become_different_calls(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        library(tmp_path / folder, 1)
    write_sound(tmp_path / "c" / "00-2.wav", tone(0.1, 16_000), 16_000)
    source = FilesSource([tmp_path])
    play(source, FakeDesk())
    assert sorted(call for call, _ in source.tracks) == ["00", "00-2", "00-2-2", "00-3"]


@pytest.mark.parametrize("parallel", [1, 3, 16])
def test_no_more_streams_than_asked_for_are_open_at_once_and_all_files_are_played(
    tmp_path: Path, parallel: int
) -> None:
    library(tmp_path, 9)
    write_sound(tmp_path / "stereo.wav", chord(0.2, 16_000, 2), 16_000)
    desk = FakeDesk(ring_samples=800)
    source = FilesSource([tmp_path], parallel)
    source.open(desk)
    most = 0
    while source.pump() is not None:
        most = max(most, len(desk.open_writers))
        desk.drain()
    assert most == max(parallel, 2) if parallel < 16 else most == 11  # the stereo file is played alone if need be
    assert all(writer.position_samples == 3_200 for writer in desk.writers.values())
    assert all(writer.end_reason == "end_of_file" for writer in desk.writers.values())
    assert len(desk.writers) == 11


def test_side_by_side_gives_each_file_the_same_samples_as_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for i, rate_hz in enumerate((8_000, 16_000, 44_100, 48_000)):
        samples = rng.uniform(-0.5, 0.5, rate_hz // 2).astype(np.float32)
        write_sound(tmp_path / f"{i}.wav", samples, rate_hz, subtype="FLOAT")
    together = play(FilesSource([tmp_path]), FakeDesk(ring_samples=1_000)).writers
    for path in sorted(tmp_path.iterdir()):
        alone = play(FilesSource([path]), FakeDesk()).only()
        assert np.array_equal(together[path.stem, "0"].samples, alone.samples)


def test_bad_files_are_reported_and_do_not_stop_the_others(tmp_path: Path) -> None:
    paths = library(tmp_path, 3)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "junk.flac").write_bytes(b"junk" * 100)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(paths[0].read_bytes()[:3_000])
    told: list[FileFailure] = []
    source = FilesSource([*paths, tmp_path, tmp_path / "missing.wav"], on_failure=told.append)
    desk = play(source, FakeDesk())
    assert told == source.failures
    failures = {failure.path.name: failure for failure in source.failures}
    assert set(failures) == {"empty.wav", "junk.flac", "missing.wav", "cut.wav"}
    assert [name for name, failure in failures.items() if failure.is_partial] == ["cut.wav"]
    assert all("\n" not in str(failure.error) for failure in told)
    assert {report.where for report in desk.reports if isinstance(report, Fault)} == {
        "empty.wav",
        "junk.flac",
        "missing.wav",
    }
    assert {call for call, _ in desk.writers} == {"00", "01", "02", "cut"}
    assert desk.writers["cut", "0"].end_reason == "truncated"


def test_a_file_that_disappears_while_it_waits_is_reported(tmp_path: Path) -> None:
    paths = library(tmp_path, 3)
    source = FilesSource(paths, parallel=1)
    desk = FakeDesk(ring_samples=160)
    source.open(desk)
    source.pump()
    shutil.move(paths[2], tmp_path / "elsewhere")
    while source.pump() is not None:
        desk.drain()
    (failure,) = source.failures
    assert "does not exist" in str(failure.error)


def test_progress_counts_seconds_and_files_up_to_the_end(tmp_path: Path) -> None:
    library(tmp_path, 4, duration_s=0.5)
    (tmp_path / "bad.wav").touch()
    source = FilesSource([tmp_path], parallel=2)
    desk = FakeDesk(ring_samples=1_600)
    source.open(desk)
    seen_s = []
    while source.pump() is not None:
        progress = source.progress
        assert progress.total_s == pytest.approx(2.0)
        seen_s.append(progress.done_s)
        desk.drain()
    assert seen_s == sorted(seen_s)
    assert len(set(seen_s)) > 5
    done = source.progress
    assert (done.done_s, done.files_done, done.files_failed, done.files_total) == (pytest.approx(2.0), 4, 1, 5)


def test_progress_reaches_its_total_when_a_file_is_shorter_than_its_header_says(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", 0.1 * np.random.default_rng(6).standard_normal(48_000), 16_000)
    path.write_bytes(path.read_bytes()[:20_000])
    source = FilesSource([path])
    play(source, FakeDesk())
    assert source.progress.done_s == source.progress.total_s > 0


def test_a_file_waits_until_the_engine_has_worked_off_those_before_it(tmp_path: Path) -> None:
    library(tmp_path, 6)
    desk = FakeDesk(capacity=2, ring_samples=500)
    source = FilesSource([tmp_path], parallel=16)
    play(source, desk, drain_samples=200)
    assert source.failures == []
    assert sum(writer.end_reason == "end_of_file" for writer in desk.writers.values()) == 6
    assert all(writer.end_reason != "refused" for writer in desk.writers.values())


def test_a_file_that_can_never_fit_is_reported_and_the_others_are_played(tmp_path: Path) -> None:
    library(tmp_path, 2)
    write_sound(tmp_path / "01b.wav", chord(0.1, 16_000, 8), 16_000)
    source = FilesSource([tmp_path])
    desk = play(source, FakeDesk(capacity=4))
    (failure,) = source.failures
    assert isinstance(failure.error, CapacityError)
    assert "no room for the 8 channel(s) of 01b.wav" in str(failure.error)
    assert [call for call, _ in source.tracks] == ["00", "01"]
    assert desk.writers["01", "0"].end_reason == "end_of_file"


def test_a_folder_without_audio_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(AudioInputError, match=r"no sound file found in .*; endings known in folders: .*\.flac"):
        FilesSource([tmp_path]).open(FakeDesk())


def test_closing_in_the_middle_ends_every_open_stream(tmp_path: Path) -> None:
    library(tmp_path, 5)
    source = FilesSource([tmp_path], parallel=3)
    desk = FakeDesk(ring_samples=160)
    source.open(desk)
    source.pump()
    source.close()
    source.close()
    assert [writer.end_reason for writer in desk.writers.values()] == ["stopped"] * 3
