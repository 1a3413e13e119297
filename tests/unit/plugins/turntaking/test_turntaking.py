"""Pauses whose marks are given: what is told of them, when a turn is over, and what a sign of listening is."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from rtemo.api import Block, BlockEvent, EndOfTurn, HopFlag, ModelError, Transcript
from rtemo.dsp.pauses import FEATURES, PAUSE, TAIL_HOPS, follow, measure
from rtemo.engine import registry
from rtemo_plugins.turntaking.network import features_of
from rtemo_plugins.turntaking.words import Words, odds_of_words
from tests.contract.harness import HOP, Context

pytestmark = pytest.mark.unit


class Facts(NamedTuple):
    id: int
    call: str
    channel: str
    role: str = ""
    analysis: str = "person"


def play(
    voice: list[list[int]], *, said: dict[int, str] | None = None, calls: tuple[str, ...] = ("a", "b"), **options: Any
) -> list[list[tuple[EndOfTurn, int, int]]]:
    """Run streams of which it is given, hop by hop, whether they have voice; speech is the same with 40 hops more."""
    n, hops = len(voice), len(voice[0])
    try:
        processor = registry.make("turntaking", options).open(Context(), n)
    except ModelError as error:
        pytest.skip(str(error))
    for row in range(n):
        processor.admit(row)
    streams = tuple(Facts(row + 1, calls[row], str(row)) for row in range(n))
    is_voice = np.array(voice, np.uint8)
    speech = np.array([[row[max(0, k - 40) : k + 1].any() for k in range(hops)] for row in is_voice], np.uint8)
    found: list[list[tuple[EndOfTurn, int, int]]] = [[] for _ in range(n)]
    for k in range(hops):
        marks: dict[str, Any] = {
            "vad.speech": speech[:, k].copy(),
            "vad.voice": is_voice[:, k].copy(),
            "prosody.pitch_hz": np.where(is_voice[:, k], 150.0, 0.0).astype(np.float32),
            "level.rms_dbfs": np.where(is_voice[:, k], -20.0, -60.0).astype(np.float32),
            "turntaking.p_end": np.zeros(n, np.float32),
            "turntaking.waits": np.zeros(n, np.uint8),
        }
        flags = np.full(n, HopFlag.LAST if k == hops - 1 else 0, np.uint8)
        zeros = np.zeros((n, HOP), np.float32)
        block = Block(k, zeros, np.arange(n), np.full(n, k * HOP), flags, marks, streams=streams)
        if said and k in said:
            begun = int(np.flatnonzero(is_voice[0])[0])
            text = Transcript(text=said[k])
            block.events = (BlockEvent(0, streams[0], "transcript", text, begun * HOP, k * HOP),)
        processor.process(block, lambda row, data, start, end: found[row].append((data, start, end)))
        waits = marks["turntaking.waits"] == 1
        assert (np.isnan(marks["turntaking.p_end"]) | waits | (marks["turntaking.p_end"] >= 0)).all()
    return found


def hops(*parts: tuple[int, int]) -> list[int]:
    return [value for value, count in parts for _ in range(count)]


def test_every_100_ms_of_a_pause_are_told_and_a_pause_that_ends_is_forgotten() -> None:
    (events,) = play([hops((1, 100), (0, 35), (1, 60), (0, 300))], over_from=1.0)
    silences = [data.silence_s for data, _, _ in events]
    assert silences[:3] == [0.1, 0.2, 0.3]
    assert silences[3] == 0.1  # the next pause begins anew
    assert [data.is_over for data, _, _ in events].count(True) == 1
    last, start, end = events[-1]
    assert last.is_over
    assert last.silence_s == pytest.approx(1.5)  # the longest
    assert start == 0
    assert end == (100 + 35 + 60) * HOP
    assert all(0.0 <= data.p_end <= 1.0 and data.rests_on == ("silence", "voice") for data, _, _ in events)


def test_after_the_end_of_a_turn_nothing_is_told_until_somebody_speaks_again() -> None:
    (events,) = play([hops((1, 100), (0, 400), (1, 80), (0, 200))], over_from=1.0)
    ends = [(start, end) for data, start, end in events if data.is_over]
    assert ends == [(0, 100 * HOP), (500 * HOP, 580 * HOP)]


def test_a_click_in_a_pause_does_not_begin_the_pause_anew() -> None:
    (events,) = play([hops((1, 100), (0, 25), (1, 2), (0, 200))], over_from=1.0)
    assert [data.silence_s for data, _, _ in events][:4] == [0.1, 0.2, 0.3, 0.4]


def test_a_lower_threshold_ends_turns_sooner() -> None:
    sound = hops((1, 150), (0, 300))
    (early,), (late,) = play([sound], over_from=0.01), play([sound], over_from=1.0)
    assert early[-1][0].is_over
    assert early[-1][0].silence_s < late[-1][0].silence_s


def test_what_was_said_moves_the_probability_both_ways() -> None:
    sound = hops((1, 150), (0, 30))
    p_end = {
        text: play([sound], said={140: text}, over_from=1.0)[0][0][0].p_end for text in ("over", "over.", "over the")
    }
    assert p_end["over the"] < p_end["over"] < p_end["over."] < 1.0
    (events,) = play([sound], said={140: "over the"}, over_from=1.0)
    assert events[0][0].rests_on == ("silence", "voice", "words")


def test_a_short_word_while_the_other_party_speaks_is_a_sign_of_listening_and_elsewhere_a_turn() -> None:
    short, long = hops((0, 60), (1, 30), (0, 260)), hops((1, 350))
    joint, _ = play([short, long], calls=("a", "a"))
    alone, _ = play([short, long], calls=("a", "b"))
    assert joint[-1][0].is_backchannel
    assert not alone[-1][0].is_backchannel
    (mhm,) = play([short], said={80: "mhm"}, over_from=0.01)
    (stop,) = play([short], said={80: "stop"}, over_from=0.01)
    assert mhm[-1][0].is_backchannel
    assert not stop[-1][0].is_backchannel


@pytest.mark.parametrize(
    ("text", "is_sign"), [("Mhm.", True), ("okay, yeah", True), ("no way", False), ("", False), ("right there", False)]
)
def test_signs_of_listening_are_words_that_mean_nothing_else(text: str, is_sign: bool) -> None:
    assert Words.is_backchannel(text) == is_sign


@pytest.mark.parametrize(
    ("text", "odds"), [("I am here.", 2.0), ("und", 0.25), ("well, ", 0.25), ("home", 1.0), ("", 1.0)]
)
def test_odds_of_words(text: str, odds: float) -> None:
    assert odds_of_words(text) == odds


def test_features_tell_a_falling_voice_from_a_rising_one() -> None:
    def features(slope: float) -> dict[str, float]:
        rows, tail, due = np.zeros(1, PAUSE), np.zeros((1, TAIL_HOPS, 2), np.float32), np.zeros(1, np.uint8)
        for k in range(160):
            is_voice = k < 150
            pitch = 200.0 * 2.0 ** (slope * max(0, k - 120) / 12.0 / 100.0)
            level = -20.0 + slope * max(0, k - 120) / 100.0
            follow(
                np.ones(1, np.uint8),
                np.full(1, is_voice, np.uint8),
                np.full(1, pitch if is_voice else 0.0, np.float32),
                np.full(1, level, np.float32),
                np.full(1, k * HOP),
                HOP,
                rows,
                tail,
                due,
            )
        assert due[0] == 1
        out = np.zeros(len(FEATURES), np.float32)
        measure(rows[0], tail[0], out)
        return dict(zip(FEATURES, out.tolist(), strict=True))

    falling, rising = features(-20.0), features(20.0)
    assert falling["silence_s"] == pytest.approx(0.1)
    assert falling["pitch_slope"] == pytest.approx(-20.0, rel=0.1)
    assert rising["pitch_slope"] == pytest.approx(20.0, rel=0.1)
    assert falling["level_slope"] == pytest.approx(-20.0, rel=0.1)
    assert falling["pitch_semitones"] < 0 < rising["pitch_semitones"]
    assert falling["voiced_share"] == 1.0


def test_the_network_hears_what_its_authors_let_it_hear() -> None:
    pytest.importorskip("pipecat", reason="pipecat-ai is not installed: the extra pipecat")
    from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

    rng = np.random.default_rng(5)
    for count in (128_000, 40_000, 200_000):
        sound = (0.1 * rng.standard_normal(count) * np.sin(np.arange(count) / 9_000)).astype(np.float32)
        heard = np.pad(sound[-128_000:], (max(0, 128_000 - count), 0))
        theirs = compute_whisper_log_mel_features(heard, do_normalize=True)
        assert np.abs(features_of(sound) - theirs).max() < 2e-3
