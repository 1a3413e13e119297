"""The gem plugin in a chain behind enhancement: it hears what came in, and what follows from its verdict."""

from typing import Any

import numpy as np
import pytest

from rtemo_plugins.gem.options import GemOptions
from rtemo_plugins.gem.plugin import GemPlugin
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.plugins import FakePlugin, lent, witness
from tests.engine.rig import HOP, Rig
from tests.fakes.gem import gem_bundle, loudness_bundle
from tests.fakes.merit import merit_bundles
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

LATENCY = 320
SOUNDS = [voice(5.0 + 0.5 * k, k)[: -k * 77 - 1] for k in range(3)]
SPOOF_FROM_THE_FIRST = {
    "threshold_at_1_per_hour": -30.0,
    "alarm_limit_at_1_per_hour": 1.0,
    "alarm_drift": -30.0,
}


def play(folder: Any, gem: str, *, gain: float | None = None, **options: Any) -> tuple[Rig, FakePlugin]:
    """Run three streams of different length that begin together through vad, merit, gem and a witness."""
    merit = MeritPlugin(MeritOptions(**merit_bundles(folder / "merit", gain=gain)._asdict()))
    seer = witness()
    rig = Rig(
        VadPlugin(VadOptions()), lent(merit), lent(GemPlugin(GemOptions(bundle=gem, **options))), seer, live=False
    )
    seer.processor.seen.clear()
    for k, sound in enumerate(SOUNDS):
        writer = rig.open(f"c{k}")
        writer.write(sound)
        writer.end("done")
    rig.run_dry()
    assert rig.all_events("fault") == []
    return rig, seer


def told(rig: Rig) -> list[Any]:
    return [(event.call, event.start_sample, event.end_sample, event.data) for event in rig.all_events("spoof")]


def test_what_enhancement_takes_away_is_heard_all_the_same(tmp_path):
    gem = gem_bundle(tmp_path / "gem")
    kept, _ = play(tmp_path / "kept", gem, gain=1.0)
    wiped, _ = play(tmp_path / "wiped", gem, gain=0.0)
    assert not any(np.abs(wiped.audio(f"c{k}")).max() > 1e-4 for k in range(3))
    assert len(told(kept)) >= 6
    assert told(wiped) == told(kept)


def test_emotion_events_are_untrusted_from_the_verdict_on_and_only_when_tagged(tmp_path):
    gem = loudness_bundle(tmp_path / "gem", calibration=SPOOF_FROM_THE_FIRST)
    warned, _ = play(tmp_path / "warned", gem)
    tagged, seer = play(tmp_path / "tagged", gem, policy="tag")
    assert all(event.data.is_trusted for event in warned.all_events("emotion"))
    for k in range(3):
        verdict_sample = min(event.end_sample for event in tagged.all_events("spoof", f"c{k}"))
        emotions = tagged.all_events("emotion", f"c{k}")
        assert {event.data.is_trusted for event in emotions} == {True, False}
        for event in emotions:
            is_clear = abs(event.end_sample - verdict_sample) > 8 * HOP
            assert not is_clear or event.data.is_trusted == (event.end_sample < verdict_sample)
    assert {int(hop.marks["spoof.verdict"]) for hop in seer.processor.seen} == {1, 255}


def test_a_new_stream_in_an_old_row_is_not_doubted(tmp_path):
    gem = loudness_bundle(tmp_path / "gem", calibration=SPOOF_FROM_THE_FIRST)
    merit = MeritPlugin(MeritOptions(**merit_bundles(tmp_path / "merit")._asdict()))
    rig = Rig(VadPlugin(VadOptions()), lent(merit), lent(GemPlugin(GemOptions(bundle=gem, policy="tag"))), live=False)
    for call in ("first", "second"):
        writer = rig.open(call)
        writer.write(SOUNDS[0])
        writer.end("done")
        rig.run_dry()
    first, second = (
        [event.data.is_trusted for event in rig.all_events("emotion", call)] for call in ("first", "second")
    )
    assert first == second
    assert first[0]
    assert not first[-1]


def test_audio_is_silent_while_the_alarm_stands_and_the_events_go_on(tmp_path):
    gem = loudness_bundle(tmp_path / "gem", calibration=SPOOF_FROM_THE_FIRST)
    warned, _ = play(tmp_path / "warned", gem)
    muted, _ = play(tmp_path / "muted", gem, policy="mute")
    assert muted.engine.latency_samples == warned.engine.latency_samples == LATENCY
    assert told(muted) == told(warned)
    for k in range(3):
        (alarm_sample,) = [
            event.end_sample for event in muted.all_events("spoof", f"c{k}") if event.data.trigger == "alarm"
        ]
        at = alarm_sample + LATENCY
        plain, quiet = warned.audio(f"c{k}"), muted.audio(f"c{k}")
        assert np.array_equal(plain[: at - HOP], quiet[: at - HOP])
        assert not quiet[at + 8 * HOP :].any()
        assert np.abs(plain[at + 8 * HOP :]).max() > 0.01
