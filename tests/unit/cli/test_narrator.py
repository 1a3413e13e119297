import time

import click
import msgspec
import pytest

from rtemo.api import (
    Alert,
    Board,
    BoardEntry,
    Counters,
    Fault,
    Level,
    Rank,
    SessionEnd,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamStart,
)
from rtemo.cli.view.narrator import Narrator
from rtemo.cli.view.paint import painted
from rtemo.cli.view.plain import logged
from tests.fakes.conversation import conversation, emotion, ended, event, health

pytestmark = pytest.mark.unit


def test_a_refresh_gets_a_line_only_when_its_label_changes():
    narrator = Narrator()
    labels = ["angry", "angry", "sad", "sad", "angry"]
    lines = [narrator.line(event(emotion(label), 0, index)) for index, label in enumerate(labels)]
    assert [bool(line) for line in lines] == [True, False, True, False, True]


def test_a_final_estimate_always_gets_a_line():
    narrator = Narrator()
    assert all(narrator.line(event(emotion(is_final=True), 0, index)) for index in range(3))


def test_what_comes_all_the_time_is_left_out_unless_asked_for():
    level = event(Level(rms_dbfs=-20.0, peak_dbfs=-8.0, clipped_ratio=0.0), 0, 0.1)
    assert Narrator().line(level) == ""
    assert Narrator().line(event(health())) == ""
    assert "level -20.0 dBFS" in Narrator({"level"}).line(level)
    assert "load 4.7%" in Narrator({"health"}).line(event(health()))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SpeechStart(), "speech begins"),
        (SpeechEnd(speech_s=2.31, reason="frames_stopped"), "speech ends after 2.3 s (frames stopped)"),
        (Spoof(score=2.0, verdict="bona_fide"), "spoof bona fide  score +2.00"),
        (Spoof(score=9.0, verdict="spoof", trigger="alarm"), "! alarm: spoof suspected  score +9.00"),
        (
            Rank(attribute="arousal", score=1.5, percentile=97.2, change=1.25, trigger="change"),
            "rank arousal +1.50  above 97 % of the call, changed by +1.25",
        ),
        (
            Alert(rule="turning sour", values={"valence.trend_per_min": -0.5}),
            "! alert: turning sour (valence.trend_per_min -0.50)",
        ),
        (StreamStart(source="file:a.wav", role="customer"), "stream opens from file:a.wav (customer)"),
        (Fault(where="emotion", problem="it broke", action="bypassed"), "! emotion bypassed: it broke"),
        (SessionEnd(reason="end", counters=Counters(xruns=2)), "session ends (end)  ! xruns 2"),
        (emotion("angry", 0.65, unsure=True), "angry?     65%  arousal +0.50  valence -0.50  2.0 s, refresh"),
    ],
)
def test_every_kind_has_its_sentence(data, words):
    assert words in Narrator().line(event(data))


def test_of_ranks_and_boards_only_changes_are_news_unless_asked_for():
    board = Board(entries=(BoardEntry(call="a", channel="0", place=1, urgency=1.0, spread=0.5),), ranked=9, unsure=2)
    assert Narrator().line(event(Rank(attribute="arousal", score=1.5))) == ""
    assert Narrator().line(event(board)) == ""
    assert "rank arousal +1.50" in Narrator({"rank"}).line(event(Rank(attribute="arousal", score=1.5)))
    assert "board of 9 streams, 2 unsure: 1 a/0" in Narrator({"board"}).line(event(board))


def test_an_alarm_is_news_also_when_the_verdict_is_not():
    narrator = Narrator()
    assert narrator.line(event(Spoof(score=9.0, verdict="spoof", trigger="first")))
    assert not narrator.line(event(Spoof(score=9.0, verdict="spoof", trigger="refresh")))
    assert narrator.line(event(Spoof(score=9.0, verdict="spoof", trigger="alarm")))


def test_an_emotion_that_is_not_trusted_says_so():
    doubted = msgspec.structs.replace(emotion("angry"), is_trusted=False)
    assert Narrator().line(event(doubted)).endswith(", untrusted")
    assert "untrusted" not in Narrator().line(event(emotion("angry")))


def test_a_line_tells_where_in_which_stream():
    assert Narrator().line(event(SpeechStart(), 61.5, 61.5)).split() == ["1:01.5", "call/0", "speech", "begins"]
    assert Narrator().line(ended(24.0)).startswith("   0:24.0  call/0  stream ends (end of file)")


def test_no_line_of_a_whole_conversation_holds_control_characters():
    narrator = Narrator()
    lines = [narrator.line(item) for item in conversation(2, call="a\x1b[31m\nb")]
    assert all(line.isprintable() for line in lines)


def test_colour_is_added_to_words_that_stay_the_same(monkeypatch):
    for data in (emotion("angry", is_final=True), Fault(where="vad", problem="x", action="bypassed"), SpeechStart()):
        line = Narrator().line(event(data))
        assert click.unstyle(painted(line, event(data))) == line
    line = Narrator().line(event(emotion("angry")))
    assert "\x1b[" in painted(line, event(emotion("angry")))
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted(line, event(emotion("angry"))) == line


def test_lines_stand_in_the_order_of_their_times_and_tell_what_they_are_about():
    narrator = Narrator()
    lines = [
        narrator.line(event(StreamStart(), 0.0, 0.0)),
        narrator.line(event(Level(rms_dbfs=-20.0, peak_dbfs=-8.0, clipped_ratio=0.0), 0.9, 1.0)),
        narrator.line(event(SpeechStart(), 0.6, 0.62)),
        narrator.line(event(emotion("angry"), 1.0, 3.2)),
        narrator.line(event(SpeechEnd(speech_s=2.2), 0.6, 2.8)),
        narrator.line(ended(4.0)),
        narrator.line(event(StreamStart(), 0.0, 0.0)),
    ]
    assert [line.split()[0] for line in lines if line] == ["0:00.0", "0:01.0", "0:03.2", "0:03.2", "0:04.0", "0:00.0"]
    assert lines[2].endswith("speech begins, at 0:00.6")
    assert lines[4].endswith("(silence), at 0:02.8")
    assert narrator._said == {}


def test_a_log_of_many_calls_stands_under_the_time_of_day():
    said = msgspec.structs.replace(event(StreamStart(source="a")), emit_ns=1_700_000_000_500_000_000)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_700_000_000))
    assert logged(said, 16_000).startswith(f"{stamp}  ")
    assert logged(said, 16_000).endswith("call/0  stream opens from a")
