"""The gate: which risk leads to what."""

import msgspec
import pytest

from rtemo.api import Spoof
from rtemo.integrations.spoof_gate import SpoofGate

pytestmark = pytest.mark.unit


def spoof(verdict: str = "bona_fide", score: float = -3.0, is_alarmed: bool = False) -> Spoof:
    return Spoof(score=score, verdict=verdict, is_alarmed=is_alarmed, speech_s=5.0)


def test_nothing_is_refused_unless_one_says_so() -> None:
    gate = SpoofGate()
    actions = {
        gate.judge(spoof(verdict, 9.0, is_alarmed)).action
        for verdict in ("bona_fide", "spoof", "unknown")
        for is_alarmed in (False, True)
    }
    assert actions == {"pass", "doubt", "challenge"}
    assert SpoofGate(on_alarm="refuse").judge(spoof(is_alarmed=True)).action == "refuse"


def test_the_hardest_of_what_applies_counts_and_says_why() -> None:
    gate = SpoofGate(on_alarm="doubt", on_spoof="refuse", on_score="challenge", score_from=1.0)
    ruling = gate.judge(spoof("spoof", 3.0, is_alarmed=True))
    assert (ruling.action, ruling.reason, ruling.score) == ("refuse", "the last seconds sound synthetic", 3.0)
    assert gate.judge(spoof("unknown", 3.0)).action == "challenge"
    assert gate.judge(spoof("unknown", 0.5)).action == "pass"


def test_who_has_given_the_other_proof_is_not_challenged_again_but_the_doubt_stays() -> None:
    gate = SpoofGate()
    assert gate.judge(spoof(is_alarmed=True)).action == "challenge"
    assert gate.judge(spoof(is_alarmed=True), is_proven=True).action == "doubt"
    assert SpoofGate(on_alarm="refuse").judge(spoof(is_alarmed=True), is_proven=True).action == "refuse"


def test_what_is_not_known_passes_in_silence_by_default() -> None:
    for one in (None, spoof("unknown")):
        ruling = SpoofGate().judge(one)
        assert (ruling.action, ruling.reason) == ("pass", "")
    assert SpoofGate(on_unknown="challenge").judge(None).action == "challenge"


def test_a_gate_is_read_from_a_configuration_and_a_word_that_it_does_not_know_is_refused() -> None:
    assert msgspec.convert({"on_alarm": "refuse"}, SpoofGate).on_alarm == "refuse"
    with pytest.raises(msgspec.ValidationError, match="reject"):
        msgspec.convert({"on_alarm": "reject"}, SpoofGate)
