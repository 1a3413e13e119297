"""The meaning plugin through the engine: scores of queries while a turn goes on and at its end."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtemo.api import Alert, ConfigError, Event, ModelError, PluginContext, QueryScore, SpeechEnd, StreamFormat, Window
from rtemo.api.lane import STRIDE
from rtemo.api.turns import Turns
from rtemo.engine.engine import Engine
from rtemo.engine.lane_worker import LentContext
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.meaning.book import Book
from rtemo_plugins.meaning.options import MeaningOptions, QueryRule
from rtemo_plugins.meaning.plugin import MeaningPlugin
from rtemo_plugins.meaning.queries import PLAIN, Query, read_queries
from rtemo_plugins.meaning.work import Spread, Work
from tests.engine.rig import Timetable
from tests.engine.test_transcript import ear
from tests.fakes import freewheel
from tests.fakes.meaning import FakeStore, meaning_bundles
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return meaning_bundles(tmp_path_factory.mktemp("meaning"))


def play(
    bundles: dict[str, str], sounds: dict[str, np.ndarray], analysis: str = "person", **options: Any
) -> list[Event]:
    plugins = [ear(), MeaningPlugin(MeaningOptions(**(bundles | options)))]
    engine = Engine(
        plugins, EngineOptions(capacity=8, ring_s=30.0), is_live=False, clock=Timetable(), open_store=FakeStore
    )
    return freewheel.play(engine, sounds, analysis)


def scores(events: list[Event], call: str = "a") -> list[Event]:
    return [e for e in events if e.call == call and isinstance(e.data, QueryScore)]


def turn(gain: float, duration_s: float = 4.0) -> np.ndarray:
    sound = gain * np.random.default_rng(1).standard_normal(round(duration_s * RATE_HZ))
    return np.concatenate([sound, np.zeros(RATE_HZ)]).astype(np.float32)


QUERIES = ("a loud voice", "quiet | loud")


def test_every_query_is_scored_each_stride_of_a_turn_and_when_it_is_over(bundles: dict[str, str]) -> None:
    events = play(bundles, {"a": turn(0.3)}, queries=QUERIES)
    (end,) = (e for e in events if isinstance(e.data, SpeechEnd))
    said = scores(events)
    assert [e.data.query for e in said] == [*QUERIES] * (len(said) // 2)
    assert [e.data.is_final for e in said] == [False] * (len(said) - 2) + [True] * 2
    assert len(said) >= 2 * 4
    assert {e.start_sample for e in said} == {end.start_sample}
    assert said[-1].end_sample == end.end_sample
    for event in said:
        assert event.plugin == "meaning"
        assert event.data.speech_s == pytest.approx((event.end_sample - event.start_sample) / RATE_HZ, abs=1e-3)
    assert said[-2].data.score == pytest.approx(-said[-1].data.score, rel=0.5)
    assert said[-2].data.score * said[-1].data.score < 0, "what is near to one is far from its opposite"


def test_a_rule_about_a_query_is_told_as_an_alert_once_and_only_of_the_stream_that_meets_it(
    bundles: dict[str, str],
) -> None:
    rule = QueryRule(name="loud", query=QUERIES[0], measure="score", above=0.0, release=-0.5, hits=3, windows=4)
    sounds = {"a": turn(0.3), "b": turn(0.3, 0.8)}  # the second has too few scores
    events = play(bundles, sounds, queries=QUERIES, alerts=(rule,))
    above = [e for e in scores(events) if e.data.query == QUERIES[0] and e.data.score > 0.0]
    (alert,) = (e for e in events if isinstance(e.data, Alert))
    assert (alert.call, alert.plugin, alert.data.rule) == ("a", "meaning", "loud")
    assert alert.end_sample == above[2].end_sample
    assert alert.data.values == {f"{QUERIES[0]}.score": above[2].data.score}
    with pytest.raises(ConfigError, match="not asked"):
        play(bundles, sounds, queries=QUERIES[1:], alerts=(rule,))


def test_neighbours_do_not_show(bundles: dict[str, str]) -> None:
    sounds = {"a": voice(6.0, 1), "b": turn(0.1)}
    together = play(bundles, sounds, queries=QUERIES)
    for call, sound in sounds.items():
        alone = scores(play(bundles, {call: sound}, queries=QUERIES), call)
        assert [(e.data, e.end_sample) for e in scores(together, call)] == [(e.data, e.end_sample) for e in alone]


def test_of_a_turn_of_which_a_jump_has_left_next_to_nothing_nothing_is_scored(bundles: dict[str, str]) -> None:
    turns = Turns()
    turns.begin(1, 0, 0)
    options = MeaningOptions(queries=QUERIES, **bundles)
    work = Work(LentContext(StreamFormat(), FakeStore), options, Book(options), turns)
    sound = turn(0.3)[: 2 * RATE_HZ]
    left, whole = (
        Window(SimpleNamespace(id=1), sound[-count:], len(sound) - count, STRIDE) for count in (160, RATE_HZ)
    )  # type: ignore[arg-type]
    assert [result is None for result in work([left, whole])] == [True, False]


def test_without_a_query_and_of_whom_only_the_timing_is_known_nothing_is_scored(bundles: dict[str, str]) -> None:
    assert not scores(play(bundles, {"a": turn(0.3)}))
    assert not scores(play(bundles, {"a": turn(0.3)}, analysis="timing", queries=QUERIES))


def test_what_is_asked_while_it_runs_is_scored_from_the_next_window_on_until_it_is_forgotten(
    bundles: dict[str, str],
) -> None:
    turns = Turns()
    turns.begin(1, 0, 0)
    options = MeaningOptions(takes_queries=True, **bundles)
    book = Book(options)
    work = Work(LentContext(StreamFormat(), FakeStore), options, book, turns)
    sound = turn(0.3)[: 2 * RATE_HZ]

    def said() -> list[tuple[str, float | None]]:
        (result,) = work([Window(SimpleNamespace(id=1), sound, 0, STRIDE)])  # type: ignore[arg-type]
        return [] if result is None else [(score.query, score.z) for score in result.meanings]

    assert said() == []
    assert book.ask("  a loud voice ") == "a loud voice"
    for _ in range(20):
        stands = said()
    assert [query for query, z in stands] == ["a loud voice"]
    assert stands[0][1] is not None
    book.ask("quiet | loud")
    stands = said()
    assert [query for query, z in stands] == ["a loud voice", "quiet | loud"]
    assert stands[0][1] is not None, "what was known of the other query stays"
    assert stands[1][1] is None
    book.forget("a loud voice")
    assert [query for query, z in said()] == ["quiet | loud"]
    book.forget("quiet|loud")
    assert said() == []


def test_an_engine_that_takes_queries_hears_them_though_it_began_with_none(bundles: dict[str, str]) -> None:
    plugin = MeaningPlugin(MeaningOptions(takes_queries=True, **bundles))
    plugin.queries.ask(QUERIES[0])
    engine = Engine([ear(), plugin], EngineOptions(capacity=8, ring_s=30.0), is_live=False, open_store=FakeStore)
    assert {e.data.query for e in scores(freewheel.play(engine, {"a": turn(0.3)}, "person"))} == {QUERIES[0]}


def test_queries_that_are_fixed_or_under_a_rule_or_too_many_stay_as_they_are() -> None:
    rule = QueryRule(name="loud", query="a  loud voice", above=0.0)
    fixed = Book(MeaningOptions(queries=QUERIES))
    for change in (fixed.ask, fixed.forget):
        with pytest.raises(ConfigError, match="fixed"):
            change(QUERIES[0])
    book = Book(MeaningOptions(queries=QUERIES, alerts=(rule,), takes_queries=True))
    with pytest.raises(ConfigError, match="rests on"):
        book.forget(QUERIES[0])
    with pytest.raises(ConfigError, match="is not asked"):
        book.forget("in tears")
    with pytest.raises(ConfigError, match="describes no voice"):
        book.ask(" ")
    before = book.now
    assert book.ask(QUERIES[1]) == QUERIES[1]
    assert book.now == before
    for number in range(30):
        book.ask(f"voice {number}")
    with pytest.raises(ConfigError, match="33 queries"):
        book.ask("one too many")
    assert len(book.texts()) == 32


def test_a_stand_is_told_once_there_are_enough_scores_to_stand_among() -> None:
    spread = Spread()
    random = np.random.default_rng(0)
    drawn = random.normal(0.2, 0.05, 400)
    stands = [spread.add(value) for value in drawn]
    assert stands[:19] == [None] * 19
    assert stands[-1] == pytest.approx((drawn[-1] - drawn.mean()) / drawn.std(ddof=1), abs=0.01)


def test_queries_are_read_with_their_opposites_and_once_each() -> None:
    assert read_queries([" in  tears ", "tense|relaxed", "in tears"]) == [
        Query("in tears", "in tears", PLAIN),
        Query("tense | relaxed", "tense", ("relaxed",)),
    ]


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ([""], "describes no voice"),
        (["  "], "describes no voice"),
        (["a | "], "describes no voice"),
        (["a | b | c"], "describes no voice"),
        (["x" * 2000], "has 2000 characters, at most 300"),
        (["a\x1b[2Jb"], "cannot be read"),
        ([f"voice {k}" for k in range(40)], "40 queries"),
    ],
)
def test_a_query_that_cannot_be_answered_is_one_sentence(queries: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_queries(queries)
    assert len(str(caught.value)) < 250
    assert caught.value.mend


def test_bundles_that_do_not_fit_together_are_refused(bundles: dict[str, str], tmp_path: Path) -> None:
    class Context(PluginContext):
        format = StreamFormat()
        card = staticmethod(ModelStore().card)

    plugin = MeaningPlugin(MeaningOptions(queries=("x",), **(bundles | {"bundle": str(tmp_path / "none")})))
    with pytest.raises(ModelError, match="none"):
        plugin.open(Context(), 1)  # type: ignore[abstract]
