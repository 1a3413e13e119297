"""Texts that strangers choose are shown, never obeyed: not by a terminal, not by whoever reads a log."""

import pytest

from rtemo.api import Emotion, Event, Fault, SessionEnd, SourceState, Spoof, StreamEnd, StreamStart
from rtemo.api.events import Counters
from rtemo.api.text import plain
from rtemo.cli.main import say
from rtemo.cli.view.plain import sentence
from rtemo.io.audio_wire import (
    End,
    Ended,
    Error,
    Open,
    Refused,
    decode_request,
    decode_response,
    encode_control,
    stream_names,
)
from rtemo.io.publishers.console import line_of
from rtemo.io.wire import WireError

pytestmark = pytest.mark.unit

EVIL = "\x1b]0;owned\x07\nrtemo: all is well\r\x9b2J\u202e\u2028\u2066\u200b"

PAYLOADS = [
    StreamEnd(reason=EVIL, duration_s=1.0, counters=Counters()),
    StreamStart(source=EVIL, role=EVIL, analysis="timing"),
    SessionEnd(reason=EVIL, counters=Counters()),
    SourceState(state=EVIL, detail=EVIL),
    Fault(where=EVIL, problem=EVIL, action=EVIL),
    Spoof(score=0.0, verdict=EVIL, contributions={}),
    Emotion(
        label=EVIL,
        probabilities={EVIL: 1.0},
        arousal=0,
        valence=0,
        confidence=1,
        speech_s=1,
        trigger=EVIL,
        is_final=True,
    ),
]


@pytest.mark.parametrize("data", PAYLOADS, ids=lambda data: type(data).__name__)
def test_sentences_and_lines_are_one_line_whatever_an_event_says(data) -> None:
    event = Event(
        call=EVIL, channel=EVIL, plugin=EVIL, seq=1, start_sample=0, end_sample=1, capture_ns=0, emit_ns=0, data=data
    )
    assert sentence(event, 16_000).isprintable()
    assert line_of(event, 16_000).isprintable()


def test_reasons_and_roles_are_cleaned_where_they_come_in() -> None:
    end = decode_request(encode_control(End(call="a", reason=EVIL[:64])))
    assert isinstance(end, End)
    assert end.reason.isprintable()
    opened = decode_request(encode_control(Open(call="a", role=EVIL[:64])))
    assert isinstance(opened, Open)
    assert opened.role.isprintable()


@pytest.mark.parametrize("char", [*"\x00\n\x1b\x7f\x80\x9b\x9f\u202e\u2066\u2028\u200f\ufeff"])
def test_names_with_controls_are_refused(char) -> None:
    for call, channel in ((f"a{char}b", "0"), ("a", char)):
        with pytest.raises(WireError, match="without control characters") as caught:
            stream_names(call, channel)
        assert str(caught.value).isprintable()


def test_what_a_server_answers_is_cleaned_too() -> None:
    ended = Ended(
        call="a",
        channel="0",
        reason=EVIL,
        received_samples=0,
        lost_samples=0,
        late_packets=0,
        duplicate_packets=0,
        over_credit_packets=0,
    )
    for response in (Refused("a", "0", "policy", EVIL, EVIL), Error("bad_message", EVIL, EVIL), ended):
        got = decode_response(encode_control(response))
        texts = [getattr(got, name) for name in ("problem", "mend", "reason") if hasattr(got, name)]
        assert all(text.isprintable() for text in texts)


def test_the_command_line_complains_in_one_clean_line(capsys) -> None:
    say(f"the file {EVIL} is missing")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()


def test_endless_texts_are_cut() -> None:
    assert len(plain("x" * 10_000_000)) == 2_000
