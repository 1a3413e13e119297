"""Why a turn sounds as it does: in the view, in lines of text and in results."""

import pytest

from rtemo.api import Claim, Event, Rationale
from rtemo.api.events import Event as EventType
from rtemo.cli.reports import report_of
from rtemo.cli.tally import Tally
from rtemo.cli.view.narrator import Narrator
from rtemo.cli.view.panel import panel
from rtemo.cli.view.screen import Screen
from rtemo.cli.view.state import StreamView, ViewState
from tests.fakes.conversation import conversation, event

pytestmark = pytest.mark.unit

TEXT = "Sounds angry (72 %), louder than before. Said “great”, which reads as happy: words and voice disagree."


def told(text: str = TEXT, **more: object) -> Event:
    facts = {"label": "angry", "language": "en", "verified_share": 1.0, "is_final": True, "text_label": "happy"}
    return event(Rationale(text=text, **{**facts, **more}))


def shown(*events: EventType, width: int = 60) -> list[str]:
    stream = StreamView("call", "0")
    for one in events:
        stream.add(one, 16_000)
    return [line.text for line in panel(stream, "call", width, 30.0)]


def test_the_rationale_has_one_line_of_the_panel_which_stays_as_high_as_it_was() -> None:
    plain, spoken = shown(), shown(told())
    assert len(spoken) == len(plain)
    assert len([line for line in spoken if "Sounds angry" in line]) == 1
    assert max(map(len, spoken)) == 60


def test_words_and_voice_that_disagree_stand_out() -> None:
    stream = StreamView("call", "0")
    stream.add(told(is_disagreeing=True), 16_000)
    (line,) = (line for line in panel(stream, "call", 90, 30.0) if "Sounds angry" in line.text)
    assert any(style == "trouble" for text, style in line.pieces if "Sounds" in text)


def test_the_view_keeps_its_size_whatever_is_told() -> None:
    state = ViewState("call.flac")
    for one in [*conversation(2), told("a\x1b[2Jb\n" + "今日は" * 90)]:
        state.add(one)
    for width, height in ((80, 24), (60, 40), (120, 32)):
        lines = Screen(state).lines(width, height)
        assert len(lines) <= height
        assert all(line.width <= width for line in lines)
        assert not any("\x1b" in line.text for line in lines)


def test_a_rationale_is_a_line_of_text() -> None:
    assert f"why: {TEXT}" in Narrator().line(told())
    assert Narrator().line(told(is_final=False)).endswith(" …")
    assert "untrusted" in Narrator().line(told(is_trusted=False))


def test_results_hold_the_last_rationale_of_each_turn() -> None:
    tally = Tally()
    claim = Claim(about="level", says="high", is_confirmed=True, start_sample=0, end_sample=1)
    for one in (
        told("Change.", is_final=False),
        told("First.", text_label=""),
        told(is_disagreeing=True, claims=(claim,)),
    ):
        tally.add(one)
    (only,) = report_of(tally, None, "0")["rationales"]
    assert only["text"] == TEXT
    assert only["label"] == "angry"
    assert only["verified_share"] == 1.0
    assert only["is_disagreeing"] is True
    assert only["text_label"] == "happy"
    assert only["start_s"] <= only["end_s"]
    assert "rationales" not in report_of(Tally(), None, "0")
