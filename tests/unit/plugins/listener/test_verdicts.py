"""Verdicts of the listener on voices: from what windows say to events, verdict and alarm."""

from typing import NamedTuple

import pytest

from rtemo.api import EMOTIONS, ModelCard, ModelError, Spoof, TensorSpec
from rtemo_plugins.listener.judgement import Judgement, check_judges, judges
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.verdicts import Verdicts

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
STRIDE = RATE_HZ // 2
CALIBRATION = {"threshold_at_1_per_hour": 2.0, "bona_fide_below": -1.0, "alarm_limit_at_1_per_hour": 6.0}


class Facts(NamedTuple):
    """Who a stream is."""

    id: int
    call: str = "call"
    channel: str = "mono"
    role: str = ""
    analysis: str = "person"


def card(**changes: object) -> ModelCard:
    facts: dict[str, object] = {
        "name": "x", "version": "1", "task": "spoof", "weights": "x.onnx", "sha256": "0" * 64, "licence": "",
        "sample_rate_hz": RATE_HZ, "hop_samples": 160, "hops_per_step": 50, "lookahead_samples": 0,
        "latency_samples": 0, "parameters": 1, "macs_per_s": 1, "inputs": {}, "states": {}, "labels": EMOTIONS,
        "outputs": {"score": TensorSpec(()), "shares": TensorSpec((4,))}, "calibration": CALIBRATION,
        "front_end": {"experts": "neutral,happy,angry,sad"},
    }  # fmt: skip
    return ModelCard(**(facts | changes))


class Calls:
    """What windows say in, events out."""

    def __init__(self, has_other: bool = False, **options: object) -> None:
        self.verdicts = Verdicts(card(), ListenerOptions(**options), RATE_HZ, has_other)
        self.said: list[tuple[int, object, int, int]] = []

    def emit(self, stream: Facts, payload: object, start_sample: int, end_sample: int) -> None:
        self.said.append((stream.id, payload, start_sample, end_sample))

    def speak(self, scores: list[float | None], stream: int = 1, begin: int = 0) -> list[Spoof]:
        """A turn whose windows come every half second; gives what is said of it."""
        before = len(self.said)
        facts = Facts(stream)
        for k, score in enumerate(scores):
            if score is not None:  # else the window was too short
                judgement = Judgement(score, tuple(score * share for share in (0.7, 0.1, 0.1, 0.1)))
                self.verdicts.tell(facts, judgement, begin, begin + (k + 1) * STRIDE, self.emit)
        return [payload for _, payload, *_ in self.said[before:] if isinstance(payload, Spoof)]


def test_nothing_is_said_before_enough_was_heard_and_then_every_refresh() -> None:
    calls = Calls(heard_s=2.0, refresh_s=1.0)
    said = calls.speak([None, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert [s.trigger for s in said] == ["first", "refresh", "refresh"]
    assert [s.speech_s for s in said] == [2.0, 3.0, 4.0]  # the first window of a second counts in full
    assert all(s.verdict == "unknown" and s.score == 0.5 for s in said)


def test_shares_add_up_to_the_score() -> None:
    said = Calls().speak([None, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert said
    for one in said:
        assert sum(one.contributions.values()) == pytest.approx(one.score, abs=1e-3)
        assert list(one.contributions) == ["neutral", "happy", "angry", "sad"]


def test_evidence_that_lasts_raises_one_alarm_and_calm_ends_it() -> None:
    calls = Calls(cool_down_s=2.0)
    said = calls.speak([None, *[3.0] * 12])
    assert [s.trigger for s in said].count("alarm") == 1
    assert said[-1].is_alarmed
    assert said[-1].verdict == "spoof"
    assert calls.verdicts.doubted == {1}
    after = calls.speak([None, *[-6.0] * 40], begin=20 * STRIDE)
    assert not after[-1].is_alarmed
    assert after[-1].verdict == "bona_fide"
    assert calls.verdicts.doubted == set()


def test_a_call_of_genuine_scores_is_never_alarmed_and_streams_do_not_mix() -> None:
    calls = Calls()
    for turn in range(30):
        calls.speak([None, -0.5, -0.4, 0.2, -0.8], stream=1, begin=turn * 6 * STRIDE)
        calls.speak([None, 4.0, 4.0, 4.0, 4.0], stream=2, begin=turn * 6 * STRIDE)
    by = {k: [p for stream, p, *_ in calls.said if stream == k] for k in (1, 2)}
    assert not any(s.is_alarmed for s in by[1])
    assert by[2][-1].is_alarmed


def test_where_another_speaks_of_the_undecided_it_says_what_it_has_decided_and_when_it_no_longer_has() -> None:
    calls = Calls(has_other=True, refresh_s=0.5)
    assert calls.speak([None, *[0.5] * 8]) == []
    said = calls.speak([None, *[-4.0] * 8], begin=10 * STRIDE)
    assert [s.trigger for s in said] == ["first"] + ["refresh"] * (len(said) - 1)
    assert {s.verdict for s in said} == {"bona_fide"}
    back = calls.speak([None, *[1.0] * 20], begin=20 * STRIDE)
    assert [s.trigger for s in back if s.verdict == "unknown"] == ["change"]
    assert back[-1].verdict == "unknown"


def test_the_end_of_a_turn_that_was_heard_already_counts_once() -> None:
    calls = Calls(heard_s=0.5)
    facts = Facts(1)
    for _ in ("stride", "speech_end"):
        calls.verdicts.tell(facts, Judgement(1.0, (1.0, 0.0, 0.0, 0.0)), 0, RATE_HZ, calls.emit)
    assert [p.speech_s for _, p, *_ in calls.said] == [1.0]


def test_streams_that_left_long_ago_are_forgotten() -> None:
    calls = Calls()
    for stream in range(200):
        calls.speak([None, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0], stream=stream)
        calls.verdicts.leave(stream)
    assert len(calls.verdicts.doubted) <= 64


def test_a_bundle_that_says_nothing_of_synthesis_is_refused_in_one_line_where_nothing_else_is_asked() -> None:
    assert judges(card())
    emotion_alone = card(outputs={"logits": TensorSpec((8,))})
    assert not judges(emotion_alone)
    with pytest.raises(ModelError, match="does not tell a score of synthesis"):
        check_judges(emotion_alone)
