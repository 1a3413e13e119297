"""Speakers, cuts and made-up raters of the corpus bench, on cases whose answer is known."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the extra `corpus` is not installed")

from bench.quality.corpus.raters import rate
from bench.quality.corpus.record import Known
from bench.quality.corpus.scores import cut_error, main_span, share_of, speaker_error
from bench.quality.corpus.several import Turn, chosen_by, told
from bench.quality.corpus.strung import RATE_HZ, Span
from bench.quality.corpus.turns import is_of_several, speakers_in
from rtemo.corpus.consensus import agreement_of, by_clip
from rtemo.corpus.raters import screened_out
from rtemo.corpus.stages import Gated

pytestmark = pytest.mark.unit

SPANS = [
    Span(0, 4 * RATE_HZ, "a", "sad", "F", "clean"),
    Span(5 * RATE_HZ, 9 * RATE_HZ, "b", "happy", "M", "clean"),
    Span(10 * RATE_HZ, 14 * RATE_HZ, "a", "angry", "F", "clean"),
]


def pieces(*told: tuple[float, float, int]) -> list[tuple[int, int, int]]:
    return [(round(start * RATE_HZ), round(end * RATE_HZ), speaker) for start, end, speaker in told]


def test_names_of_voices_do_not_matter_and_edges_within_the_collar_do_not_count():
    found = speaker_error(SPANS, pieces((0.2, 4.1, 7), (4.9, 9.0, 3), (10.0, 13.9, 7)), 15 * RATE_HZ)
    assert found.total == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("told", "missed", "alarmed", "confused"),
    [
        ([(0, 4, 0), (5, 9, 1)], 1 / 3, 0.0, 0.0),
        ([(0, 4, 0), (5, 9, 1), (10, 14, 2)], 0.0, 0.0, 1 / 3),
        ([(0, 4, 0), (5, 9, 0), (10, 14, 0)], 0.0, 0.0, 1 / 3),
        ([(0, 4, 0), (4, 5, 0), (5, 9, 1), (10, 14, 0)], 0.0, 1 / 12, 0.0),
    ],
)
def test_what_is_missed_made_up_or_given_to_another_is_told_apart(told, missed, alarmed, confused):
    found = speaker_error(SPANS, pieces(*told), 15 * RATE_HZ, collar_s=0.0)
    assert found[:3] == pytest.approx((missed, alarmed, confused), abs=1e-2)


def test_a_turn_over_two_speakers_and_an_edge_off_a_clip_are_found():
    found = cut_error(SPANS, [(0, 4 * RATE_HZ), (round(5.2 * RATE_HZ), 14 * RATE_HZ)])
    assert found.one_speaker == [True, False]
    assert found.one_emotion == [True, False]
    assert found.edges_s == pytest.approx([0.0, 0.0, 0.2, 0.0])
    assert main_span(SPANS, 3 * RATE_HZ, 8 * RATE_HZ).speaker == "b"
    assert main_span(SPANS, 20 * RATE_HZ, 21 * RATE_HZ) is None


def test_made_up_raters_who_guess_are_screened_out_and_the_rest_agree_as_before():
    moods = {f"{k}": ("sad", "happy", "angry", "neutral")[k % 4] for k in range(200)}
    honest = [one for one in rate(moods, 5, 1.0, 0.9, seed=0) if one.rater != "trusted"]
    ratings = rate(moods, 7, 1.0, 0.9, seed=0, guessing=2, gold=20)
    out = screened_out(ratings, ["trusted"])
    assert out == ["rater0", "rater1"]
    kept = agreement_of(by_clip([one for one in ratings if one.rater != "trusted"], out))
    spoilt = agreement_of(by_clip([one for one in ratings if one.rater != "trusted"]))
    whole = agreement_of(by_clip(honest))
    assert kept.kappa == pytest.approx(whole.kappa, abs=0.05)
    assert kept.alpha["valence"] == pytest.approx(whole.alpha["valence"], abs=0.05)
    assert spoilt.kappa < kept.kappa - 0.15


def test_a_turn_is_of_several_when_over_a_tenth_of_its_speech_is_of_another():
    known = {"0000": Known("a", 15 * RATE_HZ, SPANS)}

    def turn(start_s: float, end_s: float) -> Gated:
        return Gated(unit="0000_0000", start=round(start_s * RATE_HZ), end=round(end_s * RATE_HZ), speaker=1)

    assert speakers_in(turn(0.0, 6.0), known) == {"a": 4 * RATE_HZ, "b": RATE_HZ}
    assert is_of_several(turn(0.0, 6.0), known)
    assert not is_of_several(turn(0.0, 5.3), known)
    assert not is_of_several(turn(4.2, 4.8), known)  # nobody speaks there


def test_a_share_has_the_interval_of_its_speakers_and_of_none_there_is_none():
    apart = share_of([True] * 50 + [False] * 50, ["a"] * 50 + ["b"] * 50)
    assert (apart.value, apart.low, apart.high) == (0.5, 0.0, 1.0)  # two speakers, each of whom is all or nothing
    even = share_of([True, False] * 50, [str(k // 4) for k in range(100)])
    assert even.low == even.high == even.value == 0.5
    assert str(share_of([], [])) == "-"


def test_a_check_that_hears_what_the_other_does_not_lets_fewer_turns_of_two_pass_at_one_price():
    random = np.random.default_rng(0)
    one = [Turn(*random.uniform(0.0, (0.3, 1.7)), f"{k % 20}", 1.0) for k in range(400)]
    by_voice = [Turn(0.4, 1.0, f"{k % 20}", 0.6) for k in range(40)]
    by_sound = [Turn(0.1, 2.0, f"{k % 20}", 0.6) for k in range(40)]
    lines = told([*one, *by_voice, *by_sound])
    assert "| 0.0% of 80 (0.0% to 0.0%) |" in lines[2]
    assert "| 50.0% of 80 (50.0% to 50.0%) |" in lines[3]
    assert "both let -50.0% (-50.0% to -50.0%)" in lines[-1]
    table = chosen_by([*one, *by_voice, *by_sound])
    assert all(line.split(" | ")[1:4] == ["0.50", "0.50", "0.00"] for line in table[4:])
