"""Any emotion model that takes some seconds at once, run by its card alone."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtemo import Config, Session
from rtemo.api import (
    CIRCUMPLEX,
    EMOTIONS,
    Block,
    Emit,
    Emotion,
    Event,
    ModelError,
    PluginSpec,
    SpeechEnd,
    TensorSpec,
)
from rtemo.dsp.logmel import logmel_offline
from rtemo.engine import registry
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.store import ModelStore
from tests.engine.rig import HOP, Rig
from tests.fakes.plugins import DelayPlugin, FakePlugin, FakeProcessor, GainPlugin
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.windowed import (
    LABELS,
    MEL_MATRIX,
    SAMPLES,
    WAVE_BIAS,
    WAVE_GAIN,
    mel_bundle,
    vector_bundle,
    wave_bundle,
)

pytestmark = pytest.mark.unit

TURNS = np.concatenate([voice(1.9, 3), np.zeros(RATE_HZ, np.float32), voice(1.7, 5), np.zeros(RATE_HZ, np.float32)])
LONG = np.concatenate([0.3 * voice(2.4, 8)[6_400:], *(0.5 * voice(1.5, seed)[6_400:] for seed in range(6))])


def heard(sounds: dict[str, np.ndarray], bundle: Path | str, runtime: Any = None, **options: Any) -> list[Event]:
    config = Config(
        chain=("vad", "windowed"),
        plugins={"windowed": {"bundle": str(bundle), **options}},
        runtime=runtime or RuntimeOptions(),
    )
    with Session(config, mode="freewheel") as session:
        streams = {name: session.stream(name) for name in sounds}
        left = {name: sound.copy() for name, sound in sounds.items()}
        while left:
            for name in list(left):
                streams[name].push(left[name][:1_600])
                left[name] = left[name][1_600:]
                if not len(left[name]):
                    streams[name].end()
                    del left[name]
        return list(session.events())


def emotions(events: list[Event], call: str = "a") -> list[Event]:
    return [event for event in events if event.plugin == "windowed" and event.call == call]


def ends(events: list[Event], call: str = "a") -> list[Event]:
    return [event for event in events if isinstance(event.data, SpeechEnd) and event.call == call]


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def test_every_turn_gets_what_the_graph_says_of_its_waveform(tmp_path: Path) -> None:
    events = heard({"a": TURNS}, wave_bundle(tmp_path))
    finals = [event for event in emotions(events) if event.data.is_final]
    spans = [(event.start_sample, event.end_sample) for event in ends(events)]
    assert [(event.start_sample, event.end_sample) for event in finals] == spans
    assert len(finals) >= 2
    for event in finals:
        level = np.abs(TURNS[event.start_sample : event.end_sample]).mean()
        shares = softmax((level * WAVE_GAIN[0] + WAVE_BIAS) / 2.0)[:4]
        shares /= shares.sum()
        wanted = dict.fromkeys(EMOTIONS, 0.0) | dict(zip(("neutral", "happy", "angry", "sad"), shares, strict=True))
        assert event.data.probabilities == pytest.approx(wanted, abs=2e-4)
        assert event.data.label == max(wanted, key=wanted.__getitem__)
        assert event.data.confidence == pytest.approx(max(wanted.values()), abs=2e-4)
        assert event.data.arousal == pytest.approx(np.clip(4 * level - 0.5, -1, 1), abs=2e-4)
        assert event.data.valence == pytest.approx(sum(p * CIRCUMPLEX[e][0] for e, p in wanted.items()), abs=2e-4)
        assert event.data.trigger == "turn_end"
        assert event.data.speech_s == pytest.approx((event.end_sample - event.start_sample) / RATE_HZ, abs=1e-3)
    assert next(event for event in events if event.kind == "session_start").data.models.keys() >= {str(tmp_path)}


def test_estimates_come_while_somebody_speaks_and_hold_only_that_turn(tmp_path: Path) -> None:
    events = heard({"a": TURNS}, wave_bundle(tmp_path))
    found = emotions(events)
    assert [event.data.trigger for event in found if not event.data.is_final][:2] == ["first", "refresh"]
    starts = [event.start_sample for event in ends(events)]
    for event in found:
        turn = max((start for start in starts if start <= event.end_sample), default=0)
        assert event.start_sample >= turn - 0.2 * RATE_HZ
    for final, following in itertools.pairwise(found):
        if final.data.is_final:
            assert following.start_sample > final.end_sample, "what the end of a turn has told is not told again"


def test_log_mels_are_those_of_training_and_may_lie_bands_first(tmp_path: Path) -> None:
    events = heard({"a": TURNS}, mel_bundle(tmp_path))
    finals = [event for event in emotions(events) if event.data.is_final]
    assert finals
    for event in finals:
        bands = (logmel_offline(TURNS[event.start_sample : event.end_sample]) + 23.0) / 23.0
        shares = dict(zip(LABELS, softmax(bands.mean(0) @ MEL_MATRIX), strict=True))
        wanted = {"neutral": shares["neu"] + shares["boredom"], "happy": shares["hap"], "sad": shares["sad"]}
        assert {name: event.data.probabilities[name] for name in wanted} == pytest.approx(wanted, abs=5e-4)


@pytest.mark.parametrize("normalise", ["none", "window", "bands"])
def test_every_kind_of_normalisation_runs(tmp_path: Path, normalise: str) -> None:
    folder = mel_bundle(tmp_path, front_end={"kind": "logmel", "normalise": normalise, "stride_s": 0.5})
    (first, *_) = [event for event in emotions(heard({"a": TURNS}, folder)) if event.data.is_final]
    bands = logmel_offline(TURNS[first.start_sample : first.end_sample]).astype(np.float64)
    if normalise != "none":
        axis = 0 if normalise == "bands" else None
        bands = (bands - bands.mean(axis)) / bands.std(axis)
    shares = dict(zip(LABELS, softmax(bands.mean(0) @ MEL_MATRIX), strict=True))
    assert first.data.probabilities["happy"] == pytest.approx(shares["hap"], abs=5e-4)


def test_a_model_of_dimensions_alone_names_no_emotion(tmp_path: Path) -> None:
    final = next(e for e in emotions(heard({"a": TURNS}, vector_bundle(tmp_path))) if e.data.is_final)
    turn = TURNS[final.start_sample : final.end_sample]
    level = np.abs(np.resize(turn, SAMPLES)).mean()  # repeated until the window is full
    assert final.data.label == "unsure"
    assert final.data.probabilities == {}
    assert final.data.arousal == pytest.approx(np.clip(2 * 5 * level - 1, -1, 1), abs=2e-4)
    assert final.data.valence == pytest.approx(2 * level, abs=2e-4)


def test_a_turn_longer_than_the_window_is_the_mean_of_its_windows(tmp_path: Path) -> None:
    events = heard({"a": LONG}, wave_bundle(tmp_path))
    end = max(ends(events), key=lambda event: event.data.speech_s)
    assert end.data.speech_s > 2.5, "the test needs a turn that is longer than two seconds"
    final = next(e for e in emotions(events) if e.data.is_final and e.end_sample == end.end_sample)
    assert final.start_sample <= end.start_sample + 0.2 * RATE_HZ
    last = np.abs(LONG[end.end_sample - SAMPLES : end.end_sample]).mean()
    whole = np.abs(LONG[end.start_sample : end.end_sample]).mean()
    assert abs(final.data.arousal - (4 * whole - 0.5)) < abs(4 * last - 4 * whole)


def test_streams_side_by_side_say_what_each_says_alone_and_twice_the_same(tmp_path: Path) -> None:
    sounds = {"a": TURNS, "b": voice(4.0, 9), "c": LONG}
    folder = wave_bundle(tmp_path)

    def said(events: list[Event], call: str) -> list[Any]:
        return [(e.kind, e.start_sample, e.end_sample, e.data) for e in emotions(events, call)]

    one, other = heard(sounds, folder), heard(sounds, folder)
    for call, sound in sounds.items():
        alone = said(heard({call: sound}, folder), call)
        assert alone
        assert said(one, call) == said(other, call)
        assert [item[:3] for item in said(one, call)] == [item[:3] for item in alone]
        for (*_, data), (*_, wanted) in zip(said(one, call), alone, strict=True):
            assert data.probabilities == pytest.approx(wanted.probabilities, abs=2e-4)


def test_options_shorten_the_window_and_map_labels_and_make_unsure(tmp_path: Path) -> None:
    folder = wave_bundle(tmp_path)
    events = emotions(
        heard({"a": TURNS}, folder, window_s=1.0, labels={"boredom": "calm", "hap": ""}, unsure_below=1.0)
    )
    assert all(event.data.label == "unsure" for event in events)
    assert all(event.data.probabilities["happy"] == 0.0 < event.data.probabilities["calm"] for event in events)


def test_a_graph_run_by_torch_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is an extra")
    folder = wave_bundle(tmp_path)
    ours = emotions(heard({"a": TURNS}, folder, RuntimeOptions(back_end="torch")))
    theirs = emotions(heard({"a": TURNS}, folder))
    assert [e.end_sample for e in ours] == [e.end_sample for e in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.data.probabilities == pytest.approx(other.data.probabilities, abs=2e-4)


WAVE = {"audio": TensorSpec((SAMPLES,)), "mask": TensorSpec((SAMPLES,))}
WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"labels": {"bored": ""}}, "has no label 'bored'"),
    ({}, {"labels": {"hap": "gay"}}, "it means 'gay' by it, which is none of neutral"),
    ({"emotions": {}}, {}, r"label 'boredom': it has a label that is none of .*plugins\.windowed\.labels\.boredom"),
    ({}, {"window_s": 3.0}, r"holds 2 s of audio, but windows of 3 s are asked for"),
    ({}, {"least_s": 2.5}, r"hears 2 s at once, but `least_s` asks for 2\.5 s"),
    ({"front_end": {"kind": "mfcc"}}, {}, "has a `front_end` that is not understood"),
    ({"front_end": {}}, {}, "has a `front_end` that is not understood"),
    ({"front_end": {"kind": "waveform", "normalise": "bands"}}, {}, "normalises bands, but takes a waveform"),
    ({"front_end": {"kind": "waveform", "deviation": 0.0}}, {}, "has the deviation 0"),
    ({"front_end": {"kind": "logmel"}}, {}, r"takes log-mels of shape \[32000\], expected \[frames, 64\]"),
    ({"sample_rate_hz": 8_000}, {}, "takes audio at 8000 Hz, the engine gives 16000 Hz"),
    ({"states": {"past": TensorSpec((3,))}}, {}, r"carries state \(past\)"),
    (
        {"inputs": {**WAVE, "text": TensorSpec((3,))}},
        {},
        r"one input besides `length` and `mask` \(audio, text found\)",
    ),
    ({"inputs": {**WAVE, "mask": TensorSpec((3,))}}, {}, r"takes `mask` of shape \[3\], expected \[32000\]"),
    ({"labels": LABELS[:3], "emotions": {}}, {}, "for 3 labels"),
    ({"outputs": {"arousal": TensorSpec(())}}, {}, "gives neither `logits` nor `probabilities`, nor both"),
    ({"emotions": dict.fromkeys(LABELS, "")}, {}, "leaves out all of its labels"),
]


@pytest.mark.parametrize(("changes", "options", "words"), WRONG)
def test_a_card_that_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    folder = wave_bundle(tmp_path, **changes)
    with pytest.raises(ModelError, match=words) as error:
        heard({"a": TURNS[:160]}, folder, **options)
    assert "\n" not in str(error.value)


def test_without_a_bundle_it_says_what_to_set() -> None:
    with pytest.raises(ModelError, match=r"plugins\.windowed\.bundle is empty; name an installed bundle or a folder"):
        heard({"a": TURNS[:160]}, "")


def test_weights_that_are_not_those_of_the_card_are_a_fault_and_the_file_comes_to_its_end(tmp_path: Path) -> None:
    folder = wave_bundle(tmp_path, sha256="0" * 64)
    events = heard({"a": TURNS}, folder)
    faults = [event.data for event in events if event.kind == "fault"]
    assert faults[-1].action == "given up"
    assert "are not those of its card" in faults[-1].problem
    assert not [event for event in events if isinstance(event.data, Emotion)]
    assert any(event.kind == "stream_end" for event in events)


def played(folder: Path, *between: FakePlugin, after: tuple[FakePlugin, ...] = (), **options: Any) -> list[Event]:
    """Run the plugin behind others in an engine of its own."""
    windowed = registry.make("windowed", {"bundle": str(folder), **options})
    rig = Rig(registry.make("vad"), *between, windowed, *after, live=False, open_store=ModelStore)
    writer = rig.open()
    for at in range(0, len(TURNS), HOP):
        assert writer.write(TURNS[at : at + HOP]) == HOP
        rig.step()
    writer.end("end")
    rig.run_dry()
    rig.engine.stop("test is over")
    return [event for event in rig.all_events("emotion") if event.call]


def test_behind_a_plugin_that_delays_the_audio_a_turn_is_told_at_the_same_place(tmp_path: Path) -> None:
    folder = wave_bundle(tmp_path)
    plain, late = played(folder), played(folder, DelayPlugin(320))
    assert [(e.start_sample, e.end_sample, e.data) for e in late if e.data.is_final] == [
        (e.start_sample, e.end_sample, e.data) for e in plain if e.data.is_final
    ]
    again = played(folder, DelayPlugin(320))
    assert [(e.start_sample, e.end_sample, e.data) for e in again] == [
        (e.start_sample, e.end_sample, e.data) for e in late
    ]


def test_it_listens_to_what_enters_the_chain_or_to_what_leaves_it(tmp_path: Path) -> None:
    folder = wave_bundle(tmp_path)
    heard_at, processed_at = (
        played(folder, GainPlugin(0.25), audio=audio)[-1].data.arousal for audio in ("heard", "processed")
    )
    assert processed_at + 0.5 == pytest.approx((heard_at + 0.5) / 4, abs=1e-3)


def test_marks_show_what_was_told_last(tmp_path: Path) -> None:
    seen: list[float] = []

    class Watching(FakePlugin):
        spec = PluginSpec(name="watching", requires=("windowed.arousal",))

        def make(self, capacity: int) -> FakeProcessor:
            class Watch(FakeProcessor):
                def work(self, block: Block, emit: Emit) -> None:
                    seen.extend(block.marks["windowed.arousal"].tolist())

            return Watch(capacity)

    told = played(wave_bundle(tmp_path), after=(Watching(),))
    assert np.isnan(seen[200])
    assert seen[-1] == pytest.approx(told[-1].data.arousal, abs=1e-3)
