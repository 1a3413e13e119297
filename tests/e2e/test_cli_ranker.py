"""What the command line makes of the ranker plugin: reports, lines, the floor, rules that make no sense."""

import json
from importlib.metadata import EntryPoint

import pytest

from rtemo.api import Alert, Board, BoardEntry, Event, SessionStart
from rtemo.engine import registry
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.zmq_options import PublishOptions
from tests.fakes.merit import merit_bundles
from tests.fakes.program import call, start
from tests.fakes.ranker import ranker_bundle
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.zmq_ends import Publishing, free_ports

pytestmark = pytest.mark.e2e

POINTS = {
    "ranker": EntryPoint("ranker", "rtemo_plugins.ranker.plugin:RankerPlugin", registry.GROUP),
    "words": EntryPoint("words", "tests.fakes.ranker:WordsPlugin", registry.GROUP),
}
CONFIG = """
chain = ["vad", "words", "ranker"]
[plugins.ranker]
bundle = '{bundle}'
listen_bundle = '{listen}'
change_z = 1.0
[[plugins.ranker.alerts]]
name = "anything"
when = [{{ attribute = "arousal", above = -100.0, for_s = 1.0 }}]
cool_down_s = 3600.0
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    points = registry.installed() | POINTS
    monkeypatch.setattr(registry, "installed", lambda: points)
    listen = merit_bundles(tmp_path / "merit").listen_bundle
    path = tmp_path / "rtemo.toml"
    path.write_text(CONFIG.format(bundle=ranker_bundle(tmp_path / "ranker", seed=3), listen=listen))
    return path


@pytest.fixture
def speech(tmp_path):
    return write_sound(tmp_path / "speech.wav", voice(9.0, seed=3), RATE_HZ)


def test_reports_hold_the_ranks_of_the_end_and_alerts_and_events_the_rest(capsys, config, speech, tmp_path):
    done = call(capsys, "analyze", speech, "--events", tmp_path / "events.jsonl", "--config", config)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert set(report["rank"]) == {"arousal", "valence", "intensity"}
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    told = [event["data"] for event in events if event["kind"] == "rank"]
    assert told[0]["trigger"] == "first"
    last = next(data for data in reversed(told) if data["attribute"] == "arousal")
    assert last["trigger"] == "stream_end"
    assert report["rank"]["arousal"]["score"] == last["score"]
    assert report["alerts"] == {"anything": 1}
    boards = [event for event in events if event["kind"] == "board"]
    assert {event["call"] for event in boards} == {""}
    assert boards[-1]["data"]["entries"] == []


def test_silence_has_no_rank(capsys, config, tmp_path):
    path = write_sound(tmp_path / "silence.wav", 0 * voice(3.0), RATE_HZ)
    assert "rank" not in json.loads(call(capsys, "analyze", path, "--config", config).out)


def test_listening_tells_alerts_but_not_every_rank_and_board(capsys, config, speech):
    done = call(capsys, "listen", speech, "--fast", "--config", config)
    assert done.code == 0
    assert "! alert: anything (arousal.score " in done.out
    assert "board" not in done.out


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('{name="r", when=[{attribute="anger", above=1}]}', ["rule 'r' looks at 'anger'", "choose one of arousal"]),
        ('{name="r", when=[{attribute="arousal"}]}', ["has neither `above` and `below`"]),
        (
            '{name="r", when=[{attribute="arousal", measure="sore", above=1}]}',
            ["when[0].measure", "did you mean 'score'?"],
        ),
        ('{name="r", wen=[]}', ["unknown key plugins.ranker.alerts[0].wen", "did you mean 'when'?"]),
    ],
)
def test_a_rule_without_sense_is_refused_at_the_start_with_one_line(capsys, config, speech, rule, words):
    done = call(capsys, "analyze", speech, "--config", config, "--set", f"plugins.ranker.alerts=[{rule}]")
    assert done.code == 2
    for word in words:
        assert word in done.complaint


def test_the_configuration_with_rules_is_printed_and_reads_back(capsys, config, tmp_path):
    printed = call(capsys, "config", "--current", "--config", config)
    assert printed.code == 0
    again = tmp_path / "again.toml"
    again.write_text(printed.out)
    assert call(capsys, "config", "--current", "--config", again).out == printed.out
    assert '{name = "anything", when = [{attribute = "arousal", measure = "score", above = -100.0' in printed.out


def floor_events() -> list[Event]:
    def event(data, seq, name=""):
        return Event(call=name, channel="0" if name else "", plugin="ranker", seq=seq, start_sample=0,
                     end_sample=16_000, capture_ns=0, emit_ns=0, data=data)  # fmt: skip

    entries = tuple(BoardEntry(call=f"call-{k}", channel="0", place=k, urgency=3.0 - k, spread=0.2) for k in (1, 2))
    return [
        event(SessionStart(chain=("ranker",), latency_samples=0, sample_rate_hz=16_000, hop_samples=160), 1),
        event(Board(entries=entries, ranked=2, unsure=1), 2),
        event(Alert(rule="loud", values={"arousal.score": 2.0}), 1, "call-1"),
    ]


def test_the_floor_is_shown_from_a_subscriber(capsys):
    with Publishing(ZmqPublisher(PublishOptions(events=f"tcp://127.0.0.1:{free_ports()}"))) as publishing:
        publishing.send(*floor_events())
        publishing.flush()
        done = call(capsys, "board", publishing.events, "--once")
        assert done.code == 0
        assert "2 ranked   1 unsure" in done.out
        assert "call-1/0" in done.out
        board = json.loads(call(capsys, "board", publishing.events, "--once", "--json").out)
        assert [entry["call"] for entry in board["entries"]] == ["call-1", "call-2"]
        reader = start("subscribe", publishing.events, "--kind", "alert", "--kind", "board", "--count", "2")
        out, _ = reader.communicate(timeout=20)
        assert "! alert: loud (arousal.score +2.00)" in out
        assert "board of 2 streams, 1 unsure: 1 call-1/0, 2 call-2/0" in out
