"""The listener plugin through the engine: what it says, when, and that nothing of its doing shows."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rtemo.api import EMOTIONS, Emotion, Event, ModelError, SpeechEnd, SpeechStart, StreamFormat, TunedTurn
from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.plugin import ListenerPlugin
from rtemo_plugins.listener.tuning import ListenerTuner
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.rig import HOP, Timetable
from tests.fakes import freewheel
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

RATE_HZ = 16_000


def play(sounds: dict[str, np.ndarray], live: bool = False, **options: Any) -> list[Event]:
    """Run streams that begin together through vad and listener; all that is said."""
    plugins = [VadPlugin(VadOptions()), ListenerPlugin(ListenerOptions(**options))]
    engine = Engine(
        plugins, EngineOptions(capacity=8, ring_s=30.0), is_live=live, clock=Timetable(), open_store=ModelStore
    )
    return freewheel.play(engine, sounds)


def emotions(events: list[Event], call: str) -> list[Event]:
    return [e for e in events if e.call == call and isinstance(e.data, Emotion)]


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return {"a": voice(9.0, 1), "b": voice(5.0, 2), "c": voice(2.6, 3)}


@pytest.fixture(scope="module")
def said(sounds: dict[str, np.ndarray]) -> list[Event]:
    return play(sounds)


def test_every_turn_has_a_first_estimate_then_one_each_stride_and_a_final_one_that_spans_it(said: list[Event]) -> None:
    ends = [e for e in said if e.call == "a" and isinstance(e.data, SpeechEnd)]
    finals = [e for e in emotions(said, "a") if e.data.is_final]
    assert len(ends) >= 2
    assert [e.end_sample for e in finals] == [e.end_sample for e in ends]
    for end, final in zip(ends, finals, strict=True):
        assert abs(final.start_sample - end.start_sample) <= RATE_HZ // 2
        turn = [e for e in emotions(said, "a") if e.start_sample == final.start_sample]
        assert [e.data.trigger for e in turn] == ["first"] + ["refresh"] * (len(turn) - 2) + ["turn_end"]
        assert turn[0].data.speech_s >= 1.0
        strides = np.diff([e.end_sample for e in turn[:-1]])
        assert set(strides.tolist()) <= {RATE_HZ // 2}
    for event in emotions(said, "a"):
        data = event.data
        assert tuple(data.probabilities) == EMOTIONS
        assert sum(data.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
        assert data.label in (*EMOTIONS, "unsure")
        assert data.label != "calm"
        assert data.speech_s == pytest.approx((event.end_sample - event.start_sample) / RATE_HZ, abs=1e-3)
        assert event.plugin == "listener"


def test_what_is_streamed_is_what_the_network_says_of_the_same_audio_offline(
    sounds: dict[str, np.ndarray], said: list[Event]
) -> None:
    """Every window of a turn, cut from the file by hand, in the order in which the lane had them."""
    model = ModelStore().load("merit-large")
    card, frames = model.card, model.card.inputs["there"].shape[0]
    state = model.new_state(1)
    first = emotions(said, "b")[0].start_sample
    turn = [e for e in emotions(said, "b") if e.start_sample == first]
    speech = next(e for e in said if e.call == "b" and isinstance(e.data, SpeechEnd))
    assert speech.end_sample == turn[-1].end_sample
    pooled = None
    for end in (e.end_sample for e in turn):
        begin = max(speech.start_sample if end == speech.end_sample else first, end - frames * 320)
        count = (end - begin) // 320
        mel = np.zeros((1, 2 * frames, 80), np.float32)
        power = log_mel_power(sounds["b"][begin : begin + count * 320])
        mel[0, : 2 * count] = as_whisper_hears(power, float(card.front_end["loudest"]))
        there = (np.arange(frames) < count).astype(np.float32)[None]
        out = model.run({"mel": mel, "there": there}, state, 1)
        share = min(1.0, (end - begin) / (end - first)) * (0.5 if end == turn[-1].end_sample else 1.0)
        logits = out["logits"][0].astype(np.float64)
        pooled = logits if pooled is None else share * logits + (1 - share) * pooled
    odds = np.exp((pooled - pooled.max()) / card.calibration.get("temperature", 1.0))
    np.testing.assert_allclose(list(turn[-1].data.probabilities.values()), odds / odds.sum(), atol=2e-3)


def test_what_is_tuned_on_begins_and_ends_where_what_is_heard_live_does(
    sounds: dict[str, np.ndarray], said: list[Event]
) -> None:
    card = ModelStore().load("merit-large").card
    starts = {e.start_sample: e.end_sample for e in said if e.call == "b" and isinstance(e.data, SpeechStart)}
    ends = [e for e in said if e.call == "b" and isinstance(e.data, SpeechEnd)]
    finals = [e for e in emotions(said, "b") if e.data.is_final]
    assert ends
    for end, final in zip(ends, finals, strict=True):
        turn = TunedTurn(end.start_sample, starts[end.start_sample], end.end_sample)
        windows = ListenerTuner().windows(card, sounds["b"], turn)
        first, last = windows[0].inputs["there"].sum(), windows[-1].inputs["there"].sum()
        assert first == 50, "the first when the turn has lasted a second"
        heard = min(3 * RATE_HZ, end.end_sample - max(final.start_sample, end.start_sample))
        assert abs(last - heard / 320) <= 2, "the detector says what it hears some 30 ms late"
        assert [window.share for window in windows[:-1]] == [1.0] * (len(windows) - 1)
        assert 0.4 < windows[-1].share <= 0.5 < len(windows)


def test_within_a_turn_what_was_last_said_is_never_older_than_the_latency_that_the_card_declares(
    said: list[Event],
) -> None:
    card = ModelStore().load("merit-large").card
    ages = []
    for call in "abc":
        heard = emotions(said, call)
        for before, after in pairwise(heard):
            if before.start_sample == after.start_sample:
                ages.append(after.end_sample - before.end_sample)
    assert 0 < max(ages) <= card.latency_samples
    assert max(ages) > 0.9 * card.latency_samples, "what is declared is what is measured"


def test_neighbours_do_not_show_to_the_last_digit(sounds: dict[str, np.ndarray], said: list[Event]) -> None:
    alone = play({"b": sounds["b"]})
    assert [(e.end_sample, e.data) for e in emotions(alone, "b")] == [
        (e.end_sample, e.data) for e in emotions(said, "b")
    ]


def test_batches_show_in_the_third_digit_at_most(sounds: dict[str, np.ndarray], said: list[Event]) -> None:
    batched = play(sounds, max_batch=16)
    together, apart = emotions(said, "b"), emotions(batched, "b")
    assert [(e.start_sample, e.end_sample, e.data.trigger) for e in together] == [
        (e.start_sample, e.end_sample, e.data.trigger) for e in apart
    ]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(
            list(one.data.probabilities.values()), list(other.data.probabilities.values()), atol=2e-3
        )


def test_a_long_turn_is_closed_after_its_span_and_begun_anew() -> None:
    parts = [voice(2.2, seed)[4000:26000] for seed in range(4)]
    events = emotions(play({"a": np.concatenate(parts)}, span_s=2.0), "a")
    spans = [e for e in events if e.data.trigger == "span"]
    assert spans
    assert all(2.0 <= e.data.speech_s < 2.6 for e in spans)
    for span in spans[:-1]:
        assert any(e.start_sample >= span.end_sample for e in events)


def test_silence_says_nothing_and_short_noises_harm_nothing() -> None:
    quiet = np.zeros(3 * RATE_HZ, np.float32)
    blip = np.zeros(HOP * 3, np.float32)
    events = play({"quiet": quiet, "blip": blip})
    assert not [e for e in events if isinstance(e.data, Emotion)]


def test_a_bundle_that_does_not_fit_is_refused_in_one_sentence() -> None:
    class Context:
        format = StreamFormat()
        said_later = frozenset[str]()
        card = staticmethod(ModelStore().card)

    with pytest.raises(ModelError, match="'merit-listen' does not take mel"):
        ListenerPlugin(ListenerOptions(bundle="merit-listen")).open(Context(), 1)
