"""What the command line makes of the gem plugin: reports, lines, events."""

import json
from importlib.metadata import EntryPoint

import pytest

from rtemo.engine import registry
from tests.fakes.gem import loudness_bundle
from tests.fakes.program import call
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

POINTS = {
    "gem": EntryPoint("gem", "rtemo_plugins.gem.plugin:GemPlugin", registry.GROUP),
    "moods": EntryPoint("moods", "tests.fakes.moods:MoodsPlugin", registry.GROUP),
}


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """Options of a chain whose gem takes any voice for synthetic, from the first decision on."""
    points = registry.installed() | POINTS
    monkeypatch.setattr(registry, "installed", lambda: points)
    calibration = {"threshold_at_1_per_hour": -30.0, "alarm_limit_at_1_per_hour": 10.0, "alarm_drift": -30.0}
    bundle = loudness_bundle(tmp_path / "gem", calibration=calibration)
    return ("--chain", "level,vad,moods,gem", "--set", f"plugins.gem.bundle={bundle}")


@pytest.fixture
def speech(tmp_path):
    return write_sound(tmp_path / "speech.wav", voice(6.0, seed=3), RATE_HZ)


def test_reports_hold_score_verdict_and_alarms_and_events_the_rest(capsys, chain, speech, tmp_path):
    done = call(capsys, "analyze", speech, "--events", tmp_path / "events.jsonl", *chain)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert report["spoof"]["verdict"] == "spoof"
    assert report["spoof"]["alarms"] == 1
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    told = [event["data"] for event in events if event["kind"] == "spoof"]
    assert told[0]["trigger"] == "alarm"
    assert told[-1]["trigger"] == "stream_end"
    assert told[-1]["score"] == report["spoof"]["score"]
    assert set(told[-1]["contributions"]) == {"neutral", "happy", "angry", "sad"}


def test_silence_has_no_finding(capsys, chain, tmp_path):
    path = write_sound(tmp_path / "silence.wav", 0 * voice(3.0), RATE_HZ)
    report = json.loads(call(capsys, "analyze", path, *chain).out)
    assert "spoof" not in report


def test_listening_tells_alarm_and_verdict(capsys, chain, speech):
    done = call(capsys, "listen", speech, "--fast", *chain)
    assert done.code == 0
    assert "! alarm: spoof suspected  score " in done.out


@pytest.mark.parametrize("policy", ["delete", "MUTE"])
def test_an_unknown_policy_is_refused_with_one_line(capsys, chain, speech, policy):
    done = call(capsys, "analyze", speech, *chain, "--set", f"plugins.gem.policy={policy}")
    assert done.code != 0
    assert policy in done.complaint
