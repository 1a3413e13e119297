import json
import os
import pty
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

from rtemo.api import EMOTIONS
from tests.fakes.program import ROOT, call, command, start
from tests.fakes.sounds import tone, write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

CHAIN = ("--chain", "level,vad")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three sounds, one of them with two channels, in two folders, and a file that is none."""
    root = tmp_path_factory.mktemp("calls")
    (root / "deeper").mkdir()
    write_sound(root / "one.wav", voice(8.0, seed=1), RATE_HZ)
    write_sound(root / "deeper" / "two.flac", np.stack([voice(6.0, seed=2), voice(6.0, seed=3)], axis=1), RATE_HZ)
    write_sound(root / "deeper" / "tone.wav", tone(2.0, 8_000), 8_000)
    (root / "notes.txt").write_text("no sound")
    return root


def reports(text):
    return [json.loads(line) for line in text.splitlines()]


def test_every_channel_of_every_file_gets_one_line(capsys, folder):
    done = call(capsys, "analyze", folder)
    assert done.code == 0
    assert done.err == ""
    found = {(os.path.basename(report["file"]), report["channel"]): report for report in reports(done.out)}
    assert set(found) == {("one.wav", "0"), ("two.flac", "0"), ("two.flac", "1"), ("tone.wav", "0")}
    one = found["one.wav", "0"]
    assert one["duration_s"] == pytest.approx(8.0, abs=0.02)
    assert 2.0 < one["speech_s"] < 8.0
    assert set(one["emotion"]) == set(EMOTIONS)
    assert sum(one["emotion"].values()) == pytest.approx(1.0, abs=0.002)
    assert -1 <= one["arousal"] <= 1
    assert -1 <= one["valence"] <= 1
    assert set(one["counters"].values()) == {0}
    assert one["end"] == "end_of_file"
    assert found["tone.wav", "0"]["duration_s"] == pytest.approx(2.0, abs=0.02)


def test_channels_of_a_file_stand_together_and_in_order(capsys, folder):
    lines = reports(call(capsys, "analyze", folder, *CHAIN).out)
    places = [index for index, report in enumerate(lines) if report["file"].endswith("two.flac")]
    assert places[1] == places[0] + 1
    assert [lines[place]["channel"] for place in places] == ["0", "1"]


def test_without_an_emotion_plugin_the_emotion_is_null(capsys, folder):
    done = call(capsys, "analyze", folder / "one.wav", *CHAIN)
    [report] = reports(done.out)
    assert report["emotion"] is None
    assert report["arousal"] is None
    assert "spoof" not in report
    assert "rank" not in report


def test_a_channel_of_which_no_more_than_the_timing_is_told_says_so(capsys, folder):
    done = call(capsys, "analyze", folder, "--chain", "level,vad", "--quiet", "--roles", "caller,custommer")
    found = reports(done.out)
    assert {report.get("analysis") for report in found} == {None, "timing"}
    assert {report["role"] for report in found if "analysis" in report} == {"custommer"}


def test_many_at_once_say_the_same_as_one_at_a_time(capsys, folder):
    def by_stream(*options):
        lines = reports(call(capsys, "analyze", folder, *options).out)
        return {(report["file"], report["channel"]): report for report in lines}

    alone, together = by_stream("--jobs", "1"), by_stream("--jobs", "8")
    assert set(alone) == set(together)
    for key, report in alone.items():
        other = together[key]
        assert report["speech_s"] == other["speech_s"]
        if report["emotion"]:
            for label in EMOTIONS:
                assert report["emotion"][label] == pytest.approx(other["emotion"][label], abs=0.02)


def test_files_that_fail_are_named_and_the_others_done(capsys, tmp_path, folder):
    (tmp_path / "bad.wav").write_bytes(b"RIFF nonsense")
    (tmp_path / "empty.flac").write_bytes(b"")
    done = call(capsys, "analyze", tmp_path, folder / "one.wav", tmp_path / "none.wav", *CHAIN)
    assert done.code == 1
    assert len(reports(done.out)) == 1
    complaints = done.err.splitlines()
    assert len(complaints) == 3
    assert all(line.startswith("rtemo: ") for line in complaints)
    for words in ("bad.wav is not audio", "empty.flac is empty (0 bytes)", "none.wav does not exist"):
        assert words in done.err


def test_a_folder_without_sound_is_refused(capsys, tmp_path):
    done = call(capsys, "analyze", tmp_path, *CHAIN)
    assert done.code == 2
    assert "no sound file found in" in done.complaint


def test_results_events_and_processed_audio_go_into_files(capsys, tmp_path, folder):
    out, events, enhanced = tmp_path / "results.jsonl", tmp_path / "events.jsonl", tmp_path / "enhanced"
    done = call(capsys, "analyze", folder / "deeper", "--out", out, "--events", events, "--enhanced", enhanced, *CHAIN)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(reports(out.read_text())) == 3
    assert {event["kind"] for event in reports(events.read_text())} >= {"speech_start", "speech_end", "stream_end"}
    written = sorted(path.name for path in enhanced.iterdir())
    assert written == ["tone.wav", "two.wav"]
    audio, rate_hz = soundfile.read(enhanced / "two.wav", dtype="float32")
    assert rate_hz == RATE_HZ
    spoken = np.stack([voice(6.0, seed=2), voice(6.0, seed=3)], axis=1)
    np.testing.assert_allclose(audio, spoken, atol=2e-4)


@pytest.mark.parametrize("option", ["--out", "--events"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(capsys, tmp_path, folder, option):
    done = call(capsys, "analyze", folder, option, tmp_path / "no" / "such" / "folder.jsonl", *CHAIN)
    assert done.code == 2
    assert "folder.jsonl" in done.complaint
    assert "No such file or directory" in done.complaint


def test_a_bar_shows_on_a_terminal_and_results_stay_clean(folder):
    own, other = pty.openpty()
    process = subprocess.Popen(
        command("analyze", folder, *CHAIN),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(other)
    out, _ = process.communicate(timeout=60)
    shown = os.read(own, 1 << 16).decode()
    os.close(own)
    assert process.returncode == 0
    assert len(reports(out.decode())) == 4
    assert "4/4 files" in shown or "3/3 files" in shown


def test_interrupting_a_batch_ends_it_at_once_with_status_130(tmp_path):
    long = write_sound(tmp_path / "long.wav", np.tile(voice(20.0, seed=1), 90), RATE_HZ)
    process = start("analyze", long, "--quiet")
    time.sleep(4.0)
    start_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - start_s < 3
    assert process.returncode == 130
    assert "Traceback" not in err
    assert all(report["end"] != "end_of_file" for report in reports(out))


def test_two_people_in_one_channel_get_a_channel_each_which_says_that_it_is_an_estimate(capsys, tmp_path):
    both, rate_hz = soundfile.read(ROOT / "examples" / "call.flac", dtype="float32", always_2d=True)
    write_sound(tmp_path / "mono.wav", both[:, :2].sum(axis=1) / 2, rate_hz)
    events = tmp_path / "events.jsonl"
    given = ("--diarise", "--roles", "agent,customer", "--events", events, *CHAIN)
    done = call(capsys, "analyze", tmp_path / "mono.wav", *given)
    assert done.code == 0, done.err
    lines = reports(done.out)
    assert [(line["channel"], line["is_estimate"], line.get("analysis")) for line in lines] == [
        ("0", True, "timing"),
        ("1", True, None),
    ]
    assert all(line["speech_s"] > 1.0 for line in lines)
    assert lines[0]["duration_s"] == pytest.approx(len(both) / rate_hz, abs=0.03)
    starts = [event for event in reports(events.read_text()) if event["kind"] == "stream_start"]
    assert [event["data"]["is_estimate"] for event in starts] == [True, True]


def test_files_with_a_channel_for_each_party_stay_as_they_are_when_others_are_told_apart(capsys, folder):
    path = folder / "deeper" / "two.flac"
    plain, told = (reports(call(capsys, "analyze", path, *CHAIN, *more).out) for more in ((), ("--diarise",)))
    assert plain == told
    assert "is_estimate" not in told[0]
