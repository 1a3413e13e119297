"""The ranker plugin on a real graph whose scores are what the test puts into the words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from rtemo.api import Alert, Block, BlockEvent, Board, ConfigError, HopFlag, ModelError, Party, Rank, StreamFormat
from rtemo.runtime import ModelStore
from rtemo_plugins.ranker.options import BoardOptions, RankerOptions
from rtemo_plugins.ranker.plugin import RankerPlugin
from tests.contract.harness import Context
from tests.fakes.merit import merit_bundles
from tests.fakes.ranker import ATTRIBUTES, anchors, ranker_bundle

pytestmark = pytest.mark.unit

HOP, STEP_HOPS = 160, 4


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    """Options that name a bundle which scores the first three words as they are, over about two seconds."""
    folder = tmp_path_factory.mktemp("ranker")
    return {
        "bundle": ranker_bundle(folder / "ranker"),
        "listen_bundle": merit_bundles(folder / "merit").listen_bundle,
    }


class Who(NamedTuple):
    call: str
    channel: str = "0"
    role: str = "customer"


class Bench:
    """Drives one processor with words instead of audio; all streams get theirs at the same hop."""

    format = StreamFormat()

    def __init__(self, bundles: dict[str, str], streams: int = 1, roles: tuple[str, ...] = (), **options: Any) -> None:
        self.model = ModelStore().load
        self.processor = RankerPlugin(RankerOptions(**bundles | options)).open(self, 64)
        self.streams = [Who(f"c{k}", role=roles[k] if roles else "customer") for k in range(streams)]
        for row in range(streams):
            self.processor.admit(row)
        self.events: list[tuple[int | None, Any, int, int]] = []
        self.ticks = 0
        self.said: Sequence[Any] = ()

    def hop(self, scores: Any = 0.0, voiced: float = 1.0, flags: int = 0, is_fresh: bool | None = None) -> None:
        n = len(self.streams)
        words = np.zeros((n, 192), np.float32)
        words[:, : len(ATTRIBUTES)] = scores
        fresh = self.ticks % STEP_HOPS == STEP_HOPS - 1 if is_fresh is None else is_fresh
        marks: dict[str, Any] = {
            "merit.words": words,
            "merit.voiced": np.full(n, voiced, np.float32),
            "merit.is_fresh": np.full(n, fresh, np.uint8),
        }
        start = np.full(n, self.ticks * HOP)
        block = Block(
            self.ticks,
            np.zeros((n, HOP), np.float32),
            np.arange(n),
            start,
            np.full(n, flags, np.uint8),
            marks,
            streams=self.streams,
        )
        block.events = self.said
        self.processor.process(block, lambda *event: self.events.append(event))
        self.ticks += 1

    def hear(self, duration_s: float, scores: Any = 0.0, voiced: float = 1.0, said: Sequence[Any] = ()) -> "Bench":
        self.said = said
        for _ in range(round(duration_s * 100)):
            self.hop(scores, voiced)
            self.said = ()
        return self

    def told(self, kind: type = Rank, row: int | None = 0) -> list[Any]:
        return [data for at, data, *_ in self.events if isinstance(data, kind) and at == row]

    def ranks(self, attribute: str = "arousal", row: int = 0) -> list[Rank]:
        return [rank for rank in self.told(row=row) if rank.attribute == attribute]

    def board(self) -> Board:
        return self.told(Board, None)[-1]


def test_nothing_is_said_before_there_was_speech_enough(bundles):
    bench = Bench(bundles, least_s=2.0).hear(1.9)
    assert bench.told() == []
    bench.hear(10.0, voiced=0.0)
    assert bench.told() == []
    bench.hear(0.2)
    assert [rank.trigger for rank in bench.told()] == ["first"] * 3
    assert [rank.attribute for rank in bench.told()] == list(ATTRIBUTES)


def test_ranks_come_at_their_pace_of_speech_not_of_time(bundles):
    bench = Bench(bundles, least_s=2.0, refresh_s=2.0).hear(10.1)
    assert [rank.speech_s for rank in bench.ranks()] == [2.0, 4.0, 6.0, 8.0, 10.0]
    half = Bench(bundles, least_s=2.0, refresh_s=2.0).hear(20.2, voiced=0.5)
    assert [rank.speech_s for rank in half.ranks()] == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_scores_are_those_of_the_network_and_stand_among_its_anchors(bundles):
    last = Bench(bundles).hear(20.0, (1.0, -1.0, 3.0)).ranks()[-1]
    assert last.score == pytest.approx(1.0, abs=1e-3)
    assert last.anchor_percentile == pytest.approx(75.0, abs=0.1)
    assert last.spread == pytest.approx(0.25 * np.sqrt(1 + 10 / 50), rel=0.05)
    ends = Bench(bundles).hear(20.0, (1.0, -1.0, 3.0))
    assert ends.ranks("valence")[-1].anchor_percentile == pytest.approx(25.0, abs=0.1)
    assert ends.ranks("intensity")[-1].anchor_percentile == pytest.approx(100.0)


def test_what_is_not_known_yet_is_null(bundles):
    first, *_, last = Bench(bundles).hear(40.0).ranks()
    assert (first.percentile, first.trend_per_min, first.p_rising, first.change) == (None, None, None, None)
    assert None not in (last.percentile, last.trend_per_min, last.p_rising)


def test_a_change_is_told_at_once_for_what_has_changed_alone(bundles):
    bench = Bench(bundles, change_z=4.0, refresh_s=30.0).hear(20.0)
    before = len(bench.events)
    bench.hear(8.0, (2.0, 0.0, 0.0))
    changes = [data for _, data, *_ in bench.events[before:] if isinstance(data, Rank)]
    assert [(rank.attribute, rank.trigger) for rank in changes] == [("arousal", "change")]
    assert changes[0].change == pytest.approx(1.2, abs=0.4)
    assert changes[0].p_rising > 0.99
    assert 20.5 < changes[0].speech_s < 24.0


def test_the_end_of_the_stream_is_told_if_anything_was(bundles):
    silent, spoken = Bench(bundles).hear(1.0), Bench(bundles).hear(5.0)
    for bench in (silent, spoken):
        bench.hop(flags=HopFlag.LAST)
    assert silent.told() == []
    assert [rank.trigger for rank in spoken.told()[-3:]] == ["stream_end"] * 3


def test_events_are_about_the_last_seconds_that_were_heard(bundles):
    bench = Bench(bundles, refresh_s=1.0).hear(12.0).hear(3.0, voiced=0.0)
    start, end = next((start, end) for row, _, start, end in reversed(bench.events) if row == 0)
    assert end == 12.0 * 16_000
    assert start == 7.0 * 16_000


def test_a_step_without_voice_or_without_number_changes_nothing(bundles):
    plain, disturbed = Bench(bundles), Bench(bundles)
    for k in range(300):
        plain.hop(0.5)
        disturbed.hop(0.5, is_fresh=k % STEP_HOPS == STEP_HOPS - 1)
        disturbed.hop(9.0, voiced=0.0, is_fresh=True)
        disturbed.hop(np.nan, is_fresh=True)
    assert plain.ranks()
    assert disturbed.ranks() == plain.ranks()


def test_rules_become_alerts_with_what_they_saw(bundles):
    rule = {
        "name": "sour and loud",
        "when": [
            {"attribute": "valence", "measure": "trend_per_min", "below": -1.0, "for_s": 5.0},
            {"attribute": "arousal", "measure": "anchor_percentile", "above": 70.0},
        ],
        "cool_down_s": 10.0,
    }
    options = msgspec.convert({"alerts": [rule]}, RankerOptions)
    bench = Bench(bundles, alerts=options.alerts)
    for k in range(60):
        bench.hear(0.5, (1.0, -0.04 * k, 0.0))
    alerts = bench.told(Alert)
    assert len(alerts) >= 2
    assert {alert.rule for alert in alerts} == {"sour and loud"}
    assert set(alerts[0].values) == {"valence.trend_per_min", "arousal.anchor_percentile"}
    assert alerts[0].values["valence.trend_per_min"] < -1.0
    assert alerts[1].speech_s - alerts[0].speech_s >= 10.0


def test_there_is_one_board_a_second_over_all_streams(bundles):
    bench = Bench(bundles, streams=5)
    arousal = np.zeros((5, 3))
    arousal[:, 0] = [0.0, 1.0, -1.0, 2.0, 0.5]
    bench.hear(4.0, arousal)
    assert len(bench.told(Board, None)) == 4
    board = bench.board()
    assert [entry.call for entry in board.entries] == ["c3", "c1", "c4", "c0", "c2"]
    assert (board.ranked, board.unsure) == (5, 0)
    assert board.entries[0].urgency == pytest.approx(2.0, abs=0.01)
    assert board.entries[0].percentiles["arousal"] == pytest.approx(100.0)


def test_streams_that_have_not_spoken_enough_or_not_for_long_are_unsure(bundles):
    bench = Bench(bundles, streams=2).hear(1.0)
    assert (bench.board().ranked, bench.board().unsure, bench.board().entries) == (0, 2, ())
    bench = Bench(bundles, streams=2, board=BoardOptions(stale_s=5.0)).hear(4.0).hear(4.0, voiced=0.0)
    assert (bench.board().ranked, bench.board().unsure) == (2, 0)
    assert bench.board().entries[0].silent_s == pytest.approx(3.0, abs=0.1)
    bench.hear(2.0, voiced=0.0)
    assert (bench.board().ranked, bench.board().unsure) == (0, 2)


def test_nobody_at_work_is_ranked_anywhere(bundles):
    bench = Bench(bundles, streams=3, roles=("agent", "customer", "Employee"), refresh_s=0.5)
    scores = np.zeros((3, 3))
    scores[[0, 2]] = 5.0
    bench.hear(10.0, scores)
    bench.hop(flags=HopFlag.LAST)
    assert {row for row, *_ in bench.events} == {1, None}
    for board in bench.told(Board, None):
        assert {entry.call for entry in board.entries} <= {"c1"}
        assert board.ranked + board.unsure <= 1


def test_a_line_on_which_two_parties_are_told_apart_is_ranked_no_more(bundles):
    bench = Bench(bundles, streams=2, refresh_s=0.5).hear(6.0)
    assert bench.ranks(row=0)
    assert bench.board().ranked == 2
    alone = Party(party=0, confidence=0.9, turn=1, known_s=(4.0,))
    bench.hear(2.0, said=[BlockEvent(0, bench.streams[0], "parties", alone, 0, HOP)])
    assert bench.board().ranked == 2
    before = len(bench.ranks(row=0))
    both = Party(party=1, confidence=0.9, turn=2, known_s=(4.0, 3.0))
    bench.hear(6.0, said=[BlockEvent(0, bench.streams[0], "parties", both, 0, HOP)])
    bench.hop(flags=HopFlag.LAST)
    assert len(bench.ranks(row=0)) == before
    assert len(bench.ranks(row=1)) > before
    boards = bench.told(Board, None)
    assert {entry.call for entry in boards[-2].entries} == {"c1"}
    assert boards[-2].ranked + boards[-2].unsure == 1


def test_the_last_stream_leaves_an_empty_board(bundles):
    bench = Bench(bundles, streams=2).hear(4.5)
    assert len(bench.board().entries) == 2
    bench.hop(flags=HopFlag.LAST)
    assert bench.board() == Board(entries=(), ranked=0, unsure=0)


def test_with_refresh_0_there_is_no_board(bundles):
    assert Bench(bundles, board=BoardOptions(refresh_s=0.0)).hear(4.0).told(Board, None) == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"hops_per_step": 2}, r"does not fit the ranker plugin: it makes a step of 2 hops, expected 4"),
        ({"labels": ()}, r"names no attributes; choose another `bundle`"),
        ({"labels": ("arousal", "valence")}, r"gives '(scores|spread)' as \[3\] float32, expected \[2\]"),
        ({"calibration": {}}, r"has 0 anchors of 'arousal', expected at least 3 that rise"),
        ({"calibration": anchors(2.0, -2.0)}, r"has 101 anchors of 'arousal', expected at least 3 that rise"),
    ],
)
def test_bundles_that_do_not_fit_are_refused_with_a_sentence(tmp_path, bundles, facts, said):
    options = bundles | {"bundle": ranker_bundle(tmp_path, **facts)}
    with pytest.raises(ModelError, match=said):
        RankerPlugin(RankerOptions(**options)).open(Context(), 1)


def test_a_listener_without_words_is_refused_with_a_sentence(tmp_path, bundles):
    silent = merit_bundles(tmp_path, words=0).listen_bundle
    with pytest.raises(ModelError, match="gives no 'words' of 192 numbers, which the ranker plugin scores; install"):
        RankerPlugin(RankerOptions(**bundles | {"listen_bundle": silent})).open(Context(), 1)


def test_rules_are_checked_when_the_plugin_is_opened(bundles):
    rule = {"name": "r", "when": [{"attribute": "anger", "above": 1.0}]}
    options = msgspec.convert({"alerts": [rule], **bundles}, RankerOptions)
    with pytest.raises(ConfigError, match="rule 'r' looks at 'anger'"):
        RankerPlugin(options).open(Context(), 1)
