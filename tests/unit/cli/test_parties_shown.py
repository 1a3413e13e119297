"""Parties of one line, in lines of text and in results: an estimate, and how much each has spoken."""

from typing import Any

import pytest

from rtemo.api import Event, Party
from rtemo.cli.reports import report_of
from rtemo.cli.tally import Tally
from rtemo.cli.view.narrator import Narrator
from tests.fakes.conversation import event

pytestmark = pytest.mark.unit


def told(party: int | None, **more: Any) -> Event:
    given = {"confidence": 0.934, "turn": 3, "speech_s": 2.5, "is_final": True} | more
    return event(Party(party=party, **given))


def test_a_line_says_who_how_sure_and_what_is_taken_back() -> None:
    line = Narrator().line
    assert "≈ party 1  93%, 2.5 s" in line(told(1))
    assert "≈ a voice that cannot be told" in line(told(None))
    assert line(told(0, is_final=False)).endswith("2.5 s …")
    assert "≈ correction: party 1, not party 0" in line(told(1, was=0, trigger="correction"))
    assert "≈ correction: party 1, not open" in line(told(1, trigger="correction"))


def test_results_say_how_much_each_party_has_spoken_as_last_told() -> None:
    tally = Tally()
    for one in (told(0, known_s=(2.5,)), told(1, known_s=(2.5, 3.0), unsure_s=0.75)):
        tally.add(one)
    assert report_of(tally, None, "0")["speech_by_party"] == {
        "speech_s": [2.5, 3.0],
        "unsure_s": 0.75,
        "is_estimate": True,
    }
    assert "parties" not in report_of(Tally(), None, "0")
