import json
import re
from datetime import datetime
from html.parser import HTMLParser

import pytest

from rtemo.api import Alert, SpeechEnd, Spoof, StreamEnd, StreamStart
from rtemo.api.events import Counters
from rtemo.cli.callreport.page import page
from rtemo.cli.callreport.record import CallRecord, length_s, overlaps
from rtemo.cli.callreport.story import shares_of, summary, tensest, unsure
from tests.fakes.program import call
from tests.fakes.report_calls import an_hour, mood, recorded, told, write_events

pytestmark = pytest.mark.unit
MADE = datetime(2026, 1, 2, 3, 4)


def test_shares_of_talk_silence_and_overlap_are_of_the_whole_call():
    shares = shares_of(recorded())
    assert shares.by_party == pytest.approx({"customer": 0.45, "agent": 0.20})
    assert shares.overlap == pytest.approx(0.05)
    assert shares.silence == pytest.approx(0.40)


def test_overlap_is_where_two_of_three_or_more_speak():
    events = [
        told(channel, SpeechEnd(speech_s=1.0), *span)
        for channel, span in zip("abc", [(0, 5), (4, 9), (4.5, 6)], strict=True)
    ]
    record = recorded(events)
    assert length_s(overlaps(list(record.parties.values()))) == pytest.approx(2.0)


def test_the_tensest_stretch_is_where_the_customer_gets_angry():
    first = tensest(recorded())[0]
    assert (first.party, first.label, first.span.start_s) == ("customer", "angry", 60.0)


def test_estimates_are_in_order_of_time_although_a_slower_plugin_speaks_late():
    record = recorded([told("0", mood("angry", at_s / 10, 0.0), 0, at_s) for at_s in (1, 3, 2)])
    assert [estimate.at_s for estimate in record.parties["0"].estimates] == [1, 2, 3]


def test_the_summary_tells_who_speaks_how_it_sounds_and_what_was_raised():
    text = summary(recorded())
    assert text.startswith(
        "The call lasts 1:40. The customer speaks for 45% of it, and the agent speaks for 20% of it."
    )
    assert "sounds most like angry" in text
    assert "Of the agent the policy lets no more be told than when they speak." in text
    assert "One alert was raised, at 1:06" in text


def test_what_was_unsure_is_listed():
    lines = "\n".join(unsure(recorded()))
    assert "customer: 25% of 4 estimates were unsure" in lines
    assert "agent: timed only" in lines
    assert "could not be told in 100% of the looks" in lines


class Page(HTMLParser):
    """What a browser would load or run."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.words += data


def test_the_page_needs_nothing_else_and_what_callers_say_stays_text():
    text = page(recorded(), "call.flac", MADE)
    found = Page(text)
    assert found.links == []
    assert "script" not in found.tags
    assert "b>heated" not in text
    assert "this is & was <too> late" in found.words
    assert "The pitch is high." in found.words
    assert not re.search(r"url\(|@import|https?://", text)
    assert found.tags.count("svg") == 4  # two lanes, and the customer's arousal and valence: nothing of the agent's


def test_an_hour_with_an_estimate_every_second_stays_below_three_megabytes():
    assert len(page(recorded(an_hour()), "call.flac", MADE).encode()) < 3_000_000


def test_a_call_in_which_nobody_speaks_is_told_as_that():
    events = [
        told("0", StreamStart(role="customer"), 0, 0),
        told("0", StreamEnd(reason="end", duration_s=3.0, counters=Counters()), 0, 3),
    ]
    assert "Nobody is heard to speak." in summary(recorded(events))
    assert "</html>" in page(recorded(events), "x.wav", MADE)


def test_a_report_is_written_from_a_file_of_events(tmp_path, capsys):
    lines = write_events(tmp_path / "events.jsonl")
    out = tmp_path / "out.html"
    done = call(capsys, "report", lines, "--out", out)
    assert done.code == 0
    assert "customer" in out.read_text()
    assert call(capsys, "report", lines, "--out", out, "--call", "nobody").code == 2
    lines.write_text(json.dumps({"no": "event"}))
    assert "no event" in call(capsys, "report", lines, "--out", out).complaint


def test_events_that_break_off_with_their_writer_are_told_of_as_far_as_they_go(tmp_path, capsys):
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "out.html"
    events.write_bytes(events.read_bytes()[:-9])
    assert call(capsys, "report", events, "--out", out).code == 0
    assert "<h1>" in out.read_text()
    events.write_bytes(events.read_bytes() + b"\n")
    assert "is no event" in call(capsys, "report", events, "--out", out).complaint


def test_figures_beyond_all_bounds_are_drawn_at_their_bounds():
    record = recorded([told("0", mood("angry", value, -value), 0, at_s) for at_s, value in ((1, 1e308), (2, -1e308))])
    assert {estimate.arousal for estimate in record.parties["0"].estimates} == {-1.0, 1.0}
    assert "<svg" in page(record, "x", MADE)


def test_events_of_a_stranger_put_nothing_into_the_page_and_no_length_is_too_long():
    record = CallRecord()
    evil = '"/><script>alert(1)</script>'
    record.publish(
        [
            told(evil, StreamStart(role=evil), 0, 0),
            told(evil, SpeechEnd(speech_s=1e15), 0, 1e13),
            told(evil, mood(evil, 0.5, 0.5), 0, 1e13),
            told(evil, Spoof(score=0.0, verdict=evil), 0, 5),
            told(evil, Alert(rule=evil, values={evil: 1.0}), 0, 5),
            told(evil, StreamEnd(reason="end", duration_s=1e13, counters=Counters()), 0, 0),
        ]
    )
    text = page(record, evil, MADE)
    assert "<script" not in text
    assert text.count("<span style=") < 40
