"""Queries in the view, in results, on the command line, and in a search."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtemo.api import ConfigError, Event, PluginSpec, QueryScore
from rtemo.cli import options as cli_options
from rtemo.cli.reports import report_of
from rtemo.cli.tally import Tally
from rtemo.cli.view.narrator import Narrator
from rtemo.cli.view.panel import panel
from rtemo.cli.view.state import StreamView
from rtemo.config import Config
from tests.fakes.conversation import event
from tests.fakes.meaning import FakeStore, meaning_bundles
from tests.fakes.program import call

pytestmark = pytest.mark.unit


def scored(query: str, score: float, z: float | None = None) -> Event:
    return event(QueryScore(query=query, score=score, z=z))


def test_what_the_voice_is_nearest_to_stands_first_and_the_box_stays_as_high_as_it_was() -> None:
    stream, plain = StreamView("call", "0"), StreamView("call", "0")
    for one in (scored("in tears", 0.1, -0.5), scored("losing patience", 0.05, 1.4), scored("in tears", 0.2, 0.3)):
        stream.add(one, 16_000)
    for width in (50, 140):
        lines = [line.text for line in panel(stream, "call", width, 30.0)]
        assert len(lines) == len(panel(plain, "call", width, 30.0))
        (shown,) = (line for line in lines if "like" in line)
        assert "losing patience +1.40 z" in shown
    assert shown.index("losing patience") < shown.index("in tears")


def test_scores_get_a_line_of_text_only_where_they_are_asked_for() -> None:
    assert Narrator().line(scored("in tears", 0.1)) == ""
    assert "“in tears” +0.10  z +1.00" in Narrator(["query_score"]).line(scored("in tears", 0.1, 1.0))


def test_results_say_where_a_file_was_nearest_to_each_query() -> None:
    tally = Tally()
    for one in (scored("a", 0.1), scored("a", 0.4), scored("a", 0.2), scored("b", -0.3)):
        tally.add(one)
    queries = report_of(tally, None, "0")["queries"]
    assert {name: one["score"] for name, one in queries.items()} == {"a": 0.4, "b": -0.3}
    assert "queries" not in report_of(Tally(), None, "0")


def test_a_text_puts_the_plugin_into_the_chain_and_keeps_the_queries_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rtemo.engine import registry

    known = {name: PluginSpec(name=name, emits=(QueryScore,) if name == "finder" else ()) for name in ("ear", "finder")}
    monkeypatch.setattr(registry, "installed", lambda: dict.fromkeys(known))
    monkeypatch.setattr(cli_options, "specs_of", lambda config, names: iter([known[name] for name in names]))
    config = Config(chain=("ear",), plugins={"finder": {"queries": ["b", "a"], "share": 0.5}})
    changed = cli_options.with_queries(config, ("a", "c"))
    assert changed.chain == ("ear", "finder")
    assert changed.plugins["finder"] == {"queries": ["a", "c", "b"], "share": 0.5}
    monkeypatch.setattr(registry, "installed", dict)
    with pytest.raises(ConfigError, match="none is installed"):
        cli_options.with_queries(Config(chain=("ear",)), ("a",))


def test_a_search_finds_the_loud_turn_and_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtemo import session
    from tests.fakes.voice import voice

    monkeypatch.setattr(session, "ModelStore", FakeStore, raising=True)
    loud, quiet = voice(4.0, 3), voice(4.0, 3) * 0.02
    soundfile.write(tmp_path / "both.wav", np.concatenate([quiet, np.zeros(16_000), loud, np.zeros(8000)]), 16_000)
    bundles = meaning_bundles(tmp_path / "bundles")
    sets = [
        word for name, value in bundles.items() for word in ("--set", f"plugins.meaning.{name}={json.dumps(value)}")
    ]
    done = call(capsys, "search", tmp_path / "both.wav", "loud | quiet", "--top", "1", *sets)
    assert done.code == 0, done.err
    (line,) = done.out.splitlines()
    assert "both.wav" in line
    score, start, *_ = line.split()
    assert float(score) != 0.0
    assert start.startswith("0:0")
