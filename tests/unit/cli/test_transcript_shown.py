"""The words of a turn in the view, in lines of text and in results, and where they are left out."""

from typing import Any

import pytest

from rtemo.api import Event, PluginSpec, Transcript
from rtemo.cli import options as cli_options
from rtemo.cli.reports import report_of
from rtemo.cli.serving.words import without_words
from rtemo.cli.tally import Tally
from rtemo.cli.view.narrator import Narrator
from rtemo.cli.view.panel import panel
from rtemo.cli.view.screen import Screen
from rtemo.cli.view.state import StreamView, ViewState
from rtemo.config import Config
from rtemo.config.policy import Policy
from tests.fakes.conversation import conversation, event

pytestmark = pytest.mark.unit


def said(text: str, **more: Any) -> Event:
    return event(Transcript(text=text, **more))


def shown(*events: Event, width: int = 60) -> list[str]:
    stream = StreamView("call", "0")
    for one in events:
        stream.add(one, 16_000)
    return [line.text for line in panel(stream, "call", width, 30.0)]


def test_the_words_of_the_turn_stand_under_the_level_and_the_box_stays_as_high_as_it_was() -> None:
    plain, spoken = shown(), shown(said("Kids are talking", stable_chars=4))
    assert len(spoken) == len(plain)
    assert any("Kids are talking" in line for line in spoken)


def test_of_a_long_turn_the_end_is_shown_and_what_may_still_change_is_dim() -> None:
    text = " ".join(f"word{k}" for k in range(40))
    stream = StreamView("call", "0")
    stream.add(said(text, stable_chars=len(text) - 6), 16_000)
    (line,) = (line for line in panel(stream, "call", 60, 30.0) if "word39" in line.text)
    assert "… word" in line.text
    assert line.width == 60
    assert ("word39", "dim") in line.pieces


def test_what_would_move_the_cursor_is_not_shown() -> None:
    assert not any("\x1b" in line for line in shown(said("a\x1b[2Jb\nc")))


def test_the_view_keeps_its_size_with_words_of_any_script() -> None:
    state = ViewState("call.flac")
    for one in [*conversation(2), said("今日は水曜日です" * 9), said("é" * 200)]:
        state.add(one)
    for width, height in ((80, 24), (60, 40), (120, 32)):
        lines = Screen(state).lines(width, height)
        assert len(lines) <= height
        assert all(line.width <= width for line in lines)


def test_a_turn_has_one_line_of_text_when_it_is_over() -> None:
    narrator = Narrator()
    assert narrator.line(said("Kids are", language="en")) == ""
    assert "“Kids are talking.”  (en)" in narrator.line(said("Kids are talking.", is_final=True, language="en"))
    assert narrator.line(said("", is_final=True)) == ""
    assert "“Kids …”" in Narrator(["transcript"]).line(said("Kids"))


def test_results_hold_what_was_said_in_each_turn() -> None:
    tally = Tally()
    for one in (said("Kids"), said("Kids are talking.", is_final=True, language="en"), said("", is_final=True)):
        tally.add(one)
    report = report_of(tally, None, "0", 8_000)
    start, end, _ = tally.texts[0]
    assert report["words"] == [
        {"start_s": start / 8_000, "end_s": end / 8_000, "text": "Kids are talking.", "language": "en"}
    ]
    assert "words" not in report_of(Tally(), None, "0")


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three plugins, one of which writes down what is said."""
    from rtemo.engine import registry

    known = {name: PluginSpec(name=name, is_verbatim=name == "writer") for name in ("ear", "mood", "writer")}
    monkeypatch.setattr(registry, "installed", lambda: dict.fromkeys(known))
    monkeypatch.setattr(cli_options, "specs_of", lambda config, names: iter([known[name] for name in names]))


def test_serve_leaves_out_what_writes_words_down_and_says_so(specs: None) -> None:
    left, problem = without_words(Config(chain=("ear", "writer", "mood")))
    assert left.chain == ("ear", "mood")
    assert problem.startswith("writer left out of the chain")
    assert "policy.words is 'always'" in problem
    assert without_words(Config(chain=("ear", "mood"))) == (Config(chain=("ear", "mood")), "")


def test_serve_writes_words_down_where_the_policy_says_so(specs: None) -> None:
    config = Config(chain=("ear", "writer"), policy=Policy(words="always"))
    assert without_words(config) == (config, "")


def test_words_are_asked_for_with_one_option_wherever_the_plugin_stands(specs: None) -> None:
    assert cli_options._with_words(Config(chain=("ear",))).chain == ("ear", "writer")
    assert cli_options._with_words(Config(chain=("writer", "ear"))).chain == ("writer", "ear")
