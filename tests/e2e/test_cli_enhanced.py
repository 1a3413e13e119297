"""`rtemo analyze --enhanced`: which file gets which audio, in time with the input to the sample."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from rtemo.api import PluginSpec
from rtemo.dsp.resample import resample
from rtemo.engine import registry
from tests.fakes.plugins import DelayPlugin
from tests.fakes.program import Outcome, call, start
from tests.fakes.sounds import chord, tone, write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

LATE = ("--chain", "level,merit")
PLAIN = ("--chain", "level")
DELAY_SAMPLES = 233  # more than a hop and no multiple of one


class MeritOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options that the command line sets."""

    wet: float = 1.0
    attenuation_limit_db: float | None = None


class LatePlugin(DelayPlugin):
    """Edits audio with latency, as an enhancing plugin does, so that no test needs trained weights."""

    options_type = MeritOptions
    seen: list[MeritOptions] = []  # noqa: RUF012 - the test reads what the command line has set

    def __init__(self, options: Any = None) -> None:
        super().__init__(DELAY_SAMPLES)
        self.spec = PluginSpec(name="merit", latency_samples=DELAY_SAMPLES, edits_audio=True, enhances=True)
        self.seen.append(options)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> type[LatePlugin]:
    """Install the plugin under the name of the one that enhances."""

    class Point:
        def load(self) -> type[LatePlugin]:
            return LatePlugin

    known = {**registry.installed(), "merit": Point()}
    monkeypatch.setattr(registry, "installed", lambda: known)
    LatePlugin.seen = []
    return LatePlugin


def enhance(capsys: Any, folder: Path, *arguments: object) -> Outcome:
    return call(capsys, "analyze", *arguments, "--enhanced", folder, "--quiet")


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(path: Path) -> NDArray[np.float32]:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == RATE_HZ
    assert soundfile.info(path).subtype == "PCM_16"
    return np.asarray(samples, np.float32)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("length_s", [0.013, 1.0, 1.2345])
def test_sample_k_belongs_to_sample_k_at_every_rate_and_the_lengths_match(
    capsys: Any, tmp_path: Path, rate_hz: int, length_s: float
) -> None:
    sound = 0.4 * np.random.default_rng(1).uniform(-1, 1, round(length_s * rate_hz)).astype(np.float32)
    path = write_sound(tmp_path / "in" / "call.wav", sound, rate_hz) if (tmp_path / "in").mkdir() is None else None
    assert path is not None
    done = enhance(capsys, tmp_path / "out", path, *LATE)
    assert (done.code, done.err) == (0, "")
    given, _ = soundfile.read(path, dtype="float32")
    expected = given if rate_hz == RATE_HZ else resample(given, rate_hz, RATE_HZ)
    heard = read(tmp_path / "out" / "call.wav")
    assert heard.shape == expected.shape == (-(-len(sound) * RATE_HZ // rate_hz),)
    np.testing.assert_allclose(heard, expected, atol=0.51 / 32_768)
    [report] = map(json.loads, done.out.splitlines())
    assert report["enhanced"] == str(tmp_path / "out" / "call.wav")


@pytest.mark.usefixtures("late")
def test_16_bit_audio_that_the_chain_leaves_alone_comes_out_bit_by_bit(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pcm = np.random.default_rng(2).integers(-32_768, 32_768, 12_345).astype(np.int16)
    soundfile.write(tmp_path / "in" / "a.flac", pcm, RATE_HZ)
    assert enhance(capsys, tmp_path / "out", tmp_path / "in" / "a.flac", *LATE).code == 0
    assert np.array_equal(soundfile.read(tmp_path / "out" / "a.wav", dtype="int16")[0], pcm)


@pytest.mark.usefixtures("late")
def test_every_channel_is_worked_on_by_itself_and_stays_where_it_was(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = write_sound(tmp_path / "in" / "five.wav", chord(0.777, RATE_HZ, 5), RATE_HZ)
    assert enhance(capsys, tmp_path / "out", path, *LATE).code == 0
    heard = read(tmp_path / "out" / "five.wav")
    np.testing.assert_allclose(heard, read(path), atol=1 / 32_768)


@pytest.mark.usefixtures("late")
def test_many_files_side_by_side_do_not_get_into_each_other(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(12):
        write_sound(tmp_path / "in" / f"{index}.wav", tone(0.2 + 0.07 * index, RATE_HZ, 200 + 50 * index), RATE_HZ)
    assert enhance(capsys, tmp_path / "out", tmp_path / "in", *LATE, "--jobs", "5").code == 0
    for index in range(12):
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{index}.wav"), read(tmp_path / "in" / f"{index}.wav"))


def test_the_tree_of_folders_is_kept_and_no_name_is_used_twice(capsys: Any, tmp_path: Path) -> None:
    sounds = {"a.wav": 300, "a.flac": 400, "deep/a.wav": 500, "deep/er/b.flac": 600, "c.flac": 700, "c.ogg": 800}
    other = {"a.wav": 900}
    for root, files in (("one", sounds), ("two", other)):
        for name, frequency_hz in files.items():
            (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
            write_sound(tmp_path / root / name, tone(0.3, RATE_HZ, frequency_hz), RATE_HZ)
    out = tmp_path / "out"
    done = enhance(capsys, out, tmp_path / "one", tmp_path / "two", *PLAIN)
    assert done.code == 0
    assert written(out) == ["a-2.wav", "a.flac.wav", "a.wav", "c.flac.wav", "c.ogg.wav", "deep/a.wav", "deep/er/b.wav"]
    for report in map(json.loads, done.out.splitlines()):
        heard, given = read(Path(report["enhanced"])), soundfile.read(report["file"], dtype="float32")[0]
        np.testing.assert_allclose(heard, given, atol=1e-4)


def test_a_folder_within_the_input_is_written_and_not_read_again(capsys: Any, tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", tone(0.3, RATE_HZ), RATE_HZ)
    for _ in range(2):
        done = enhance(capsys, tmp_path / "enhanced", tmp_path, *PLAIN)
        assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert written(tmp_path) == ["a.wav", "enhanced/a.wav"]


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_folder_that_is_read_from_is_not_written_into(capsys: Any, tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / name, tone(0.3, RATE_HZ), RATE_HZ)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    before = path.read_bytes()
    for folder in (tmp_path, tmp_path / "link", tmp_path / "x" / ".."):
        for given in (path, tmp_path):
            done = enhance(capsys, folder, given, *PLAIN)
            assert done.code == 2
            assert "holds files that are to be analysed; choose another folder" in done.complaint
    assert path.read_bytes() == before
    assert [file for file in written(tmp_path) if file.endswith(".part")] == []


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_sound(tmp_path / "in" / "a.wav", tone(0.3, RATE_HZ), RATE_HZ)
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/nowhere")):
        done = enhance(capsys, folder, tmp_path / "in", *PLAIN)
        assert (done.code, done.out) == (2, "")
        assert f"--enhanced {folder} cannot be written" in done.complaint


def test_a_damaged_file_leaves_nothing_and_the_others_are_written(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_sound(tmp_path / "in" / "good.wav", tone(0.5, RATE_HZ), RATE_HZ)
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF nonsense")
    assert enhance(capsys, tmp_path / "out", tmp_path / "in", *PLAIN).code == 1
    assert written(tmp_path / "out") == ["good.wav"]


def test_a_run_that_is_interrupted_leaves_no_half_files_and_keeps_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_sound(tmp_path / "in" / "long.wav", np.tile(voice(20.0, seed=1), 90), RATE_HZ)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "long.wav").write_text("from an earlier run")
    out = tmp_path / "out"
    process = start("analyze", tmp_path / "in", "--quiet", "--enhanced", out)
    deadline_s = time.monotonic() + 30
    while not list(out.glob(".*.part")) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert list(out.glob(".*.part"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert written(out) == ["long.wav"]
    assert (out / "long.wav").read_text() == "from an earlier run"


def test_a_full_disk_is_named_and_what_was_analysed_is_reported(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    write_sound(tmp_path / "in" / "a.wav", tone(0.5, RATE_HZ), RATE_HZ)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rtemo.cli.wave_file.WaveFile.write", refuse)
    done = enhance(capsys, tmp_path / "out", tmp_path / "in", *PLAIN)
    assert done.code == 2
    assert "a/0 cannot be written" in done.complaint
    assert "No space left" in done.complaint
    assert len(done.out.splitlines()) == 1
    assert written(tmp_path / "out") == []


def test_one_file_that_cannot_be_written_does_not_take_the_others_along(capsys: Any, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in ("good.wav", "taken.wav", "deep/a.wav", f"{'n' * 250}.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_sound(folder / name, tone(0.3, RATE_HZ), RATE_HZ)
    (out / "taken.wav").mkdir(parents=True)
    (out / "deep").write_text("a file where a folder should be")
    done = enhance(capsys, out, folder, *PLAIN)
    assert done.code == 1
    complaints = sorted(done.err.splitlines())
    assert complaints == [
        f"rtemo: ! the processed audio {out}/deep/a.wav cannot be written (File exists)",
        f"rtemo: ! the processed audio {out}/taken.wav cannot be written (Is a directory)",
    ]
    said = {Path(report["file"]).name: report.get("enhanced") for report in map(json.loads, done.out.splitlines())}
    assert {name: place is not None for name, place in said.items()} == {
        "good.wav": True,
        f"{'n' * 250}.wav": True,
        "taken.wav": False,
        "a.wav": False,
    }
    assert sorted(path.name for path in out.iterdir()) == ["deep", "good.wav", f"{'n' * 250}.wav", "taken.wav"]


def test_wet_and_attenuation_limit_reach_the_plugin(capsys: Any, tmp_path: Path, late: type[LatePlugin]) -> None:
    path = write_sound(tmp_path / "a.wav", tone(0.3, RATE_HZ), RATE_HZ)
    given = ("--wet", "0.7", "--attenuation-limit-db", "18")
    assert enhance(capsys, tmp_path / "out", path, *LATE, *given).code == 0
    assert late.seen[-1] == MeritOptions(wet=0.7, attenuation_limit_db=18.0)
    assert call(capsys, "listen", path, "--fast", "--plain", *LATE, "--wet", "0.5").code == 0
    assert late.seen[-1] == MeritOptions(wet=0.5)


@pytest.mark.parametrize("verb", ["analyze", "listen"])
@pytest.mark.parametrize("option", ["--wet", "--attenuation-limit-db"])
def test_without_the_plugin_the_option_is_refused_with_a_mend(
    capsys: Any, tmp_path: Path, verb: str, option: str
) -> None:
    path = write_sound(tmp_path / "a.wav", tone(0.3, RATE_HZ), RATE_HZ)
    done = call(capsys, verb, path, *PLAIN, option, "0.5")
    assert done.code == 2
    assert f"{option} is for a plugin that enhances speech, of which none is in the chain (level)" in done.complaint
    assert "--chain level,merit" in done.complaint
