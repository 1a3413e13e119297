"""The shipped emotion bundle, as ONNX Runtime sees it; needs neither torch nor data."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest

import rtemo_models.bundles
from rtemo.api import EMOTIONS, ModelCard
from rtemo.dsp.logmel import LogMel, logmel_offline

pytestmark = pytest.mark.unit

FOLDER = Path(rtemo_models.bundles.__file__).parent / "emotion"


class Streams:
    """n streams through the graph, states carried by hand."""

    def __init__(self, n: int) -> None:
        self.card = msgspec.json.decode((FOLDER / "card.json").read_bytes(), type=ModelCard)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(FOLDER / self.card.weights)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]
        self.n = n
        self.state = self.fresh()

    def fresh(self) -> dict[str, np.ndarray]:
        return {k: np.full((self.n, *s.shape), s.fill, s.dtype) for k, s in self.card.states.items()}

    def step(self, logmel: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
        feeds = {"logmel": logmel.astype(np.float32), "weight": weight.astype(np.float32), **self.state}
        out = dict(zip(self.names, self.session.run(None, feeds), strict=True))
        self.state = {k: out[f"next_{k}"] for k in self.state}
        return {k: out[k] for k in ("logits", "arousal", "valence")}

    def hear(self, logmel: np.ndarray, weight: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Run frames [n, frames, mel_count]; outputs [n, steps, ...]."""
        hops = self.card.hops_per_step
        weight = np.ones(logmel.shape[:2]) if weight is None else weight
        said = [
            self.step(logmel[:, k : k + hops], weight[:, k : k + hops])
            for k in range(0, logmel.shape[1] - hops + 1, hops)
        ]
        return {k: np.stack([s[k] for s in said], 1) for k in said[0]}


def voice(duration_s: float, seed: int, level: float = 0.1) -> np.ndarray:
    """A buzz with syllables and a wandering pitch: not speech, but as lively."""
    random = np.random.default_rng(seed)
    time_s = np.arange(int(16_000 * duration_s)) / 16_000
    pitch_hz = random.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time_s))
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch_hz) / 16_000))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 6) * time_s), 0.02, 1)
    return (level * buzz * syllables + 1e-3 * random.standard_normal(len(time_s))).astype(np.float32)


def test_card_names_the_eight_emotions_in_the_order_of_the_events() -> None:
    assert tuple(Streams(1).card.labels) == EMOTIONS


def test_card_carries_the_hash_and_size_of_its_weights() -> None:
    card = Streams(1).card
    data = (FOLDER / card.weights).read_bytes()
    assert hashlib.sha256(data).hexdigest() == card.sha256
    assert len(data) == card.weights_bytes


def test_card_says_that_the_weights_are_for_research_only_and_why() -> None:
    card = Streams(1).card
    assert "non-commercial research use" in card.licence
    assert any("RAVDESS" in line for line in card.training_data)
    assert card.limits


def test_front_end_of_the_card_makes_the_frames_that_the_graph_takes() -> None:
    card = Streams(1).card
    front = LogMel(1, **card.front_end)
    assert card.inputs["logmel"].shape == (card.hops_per_step, front.mel_count)
    assert front.hop_samples == card.hop_samples


def test_graph_says_about_itself_what_the_card_says() -> None:
    streams = Streams(1)
    facts = streams.session.get_modelmeta().custom_metadata_map
    assert facts["licence"] == streams.card.licence
    assert facts["labels"].split(",") == list(EMOTIONS)


def test_every_state_of_the_card_is_an_input_with_a_next_output_of_its_shape() -> None:
    streams = Streams(1)
    inputs = {i.name: i.shape for i in streams.session.get_inputs()}
    outputs = {o.name: o.shape for o in streams.session.get_outputs()}
    for name, spec in streams.card.states.items():
        assert inputs[name] == outputs[f"next_{name}"] == ["n", *spec.shape]
    assert set(inputs) == {*streams.card.inputs, *streams.card.states}


def test_streams_in_one_batch_say_what_each_says_alone() -> None:
    frames = np.stack([logmel_offline(voice(2.0, seed)) for seed in range(5)])
    together = Streams(5).hear(frames)
    for row in range(5):
        alone = Streams(1).hear(frames[row : row + 1])
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][row], values[0], atol=2e-4)


def test_frames_without_weight_leave_the_estimate_as_it_is() -> None:
    streams = Streams(1)
    before = streams.hear(logmel_offline(voice(1.0, 1))[None])
    frames = logmel_offline(voice(0.4, 2, 0.02))[None]
    after = streams.hear(frames, np.zeros(frames.shape[:2]))
    np.testing.assert_allclose(after["logits"][0, -1], before["logits"][0, -1], atol=1e-5)


def test_fresh_pooling_forgets_the_last_turn_but_not_the_room() -> None:
    first, second = logmel_offline(voice(1.0, 3))[None], logmel_offline(voice(1.0, 4))[None]
    kept, renewed = Streams(1), Streams(1)
    for streams in (kept, renewed):
        streams.hear(first)
    renewed.state |= {k: v for k, v in renewed.fresh().items() if k.startswith("pool_")}
    mixed, alone = kept.hear(second), renewed.hear(second)
    assert np.abs(mixed["logits"][0, 0] - alone["logits"][0, 0]).max() > 1e-3
    np.testing.assert_array_equal(kept.state["past_0"], renewed.state["past_0"])


def test_a_louder_voice_gets_nearly_the_same_answer() -> None:
    soft, loud = (Streams(1).hear(logmel_offline(voice(3.0, 5) * gain)[None]) for gain in (0.3, 2.0))
    assert np.abs(soft["logits"][0, -1] - loud["logits"][0, -1]).max() < 0.5


@pytest.mark.parametrize("kind", ["silence", "full scale", "noise", "one click"])
def test_answers_stay_finite_and_in_range(kind: str) -> None:
    sounds = {
        "silence": np.zeros(64_000, np.float32),
        "full scale": np.sign(np.sin(np.arange(64_000) * 0.1)).astype(np.float32),
        "noise": np.random.default_rng(0).uniform(-1, 1, 64_000).astype(np.float32),
        "one click": np.eye(1, 64_000, 32_000, dtype=np.float32)[0],
    }
    said = Streams(1).hear(logmel_offline(sounds[kind])[None])
    assert np.isfinite(said["logits"]).all()
    assert np.abs(said["arousal"]).max() <= 1
    assert np.abs(said["valence"]).max() <= 1


def test_ten_minutes_in_one_turn_neither_overflow_nor_freeze() -> None:
    streams = Streams(1)
    frames = logmel_offline(voice(6.0, 6))[None]
    for _ in range(100):
        streams.hear(frames)
    before = streams.step(frames[:, :4], np.ones((1, 4)))
    assert all(np.isfinite(v).all() for v in streams.state.values())
    assert np.isfinite(before["logits"]).all()
