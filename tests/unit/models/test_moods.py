"""The moods of the ranker: found where a voice moves, and the same in the graph as in the formula."""

import json

import msgspec
import numpy as np
import pytest

from rtemo.api import ModelCard
from rtemo.runtime import ModelStore
from rtemo_models.systems.ranker.export import estimates, moods
from rtemo_models.systems.ranker.train.moods import discriminants, string
from tests.fakes.ranker import ranker_bundle

pytestmark = pytest.mark.unit

WIDTH, MEMORY_S = 192, 2.0


def test_axes_are_where_moods_differ_and_the_voice_itself_does_not_move():
    random = np.random.default_rng(0)
    noise = np.ones(8)
    noise[1] = 10.0  # moods differ here too, but so does everything else
    strings = []
    for _ in range(30):
        voice = 20 * random.standard_normal(8)
        place = {"angry": 3.0, "sad": -3.0}
        strings.append(
            {
                mood: voice + noise * random.standard_normal((40, 8)) + at * np.eye(8)[:2].sum(0)
                for mood, at in place.items()
            }
        )
    axes, signal = discriminants(strings, axes=2, shrink=0.01)
    assert abs(axes[0, 0]) > 20 * np.abs(np.delete(axes[0], 0)).max()
    assert signal[0] > 10 * signal[1]
    assert abs(axes[0, 0]) == pytest.approx(1.0, rel=0.1)  # such that the noise has a deviation of 1


def test_a_string_forgets_by_speech_not_by_time():
    words = np.random.default_rng(1).standard_normal((400, 4))
    speech = np.ones(400)
    gaps = np.zeros(800)
    gaps[::2] = 1.0
    one = string([(words, speech)], MEMORY_S)
    other = string([(np.repeat(words, 2, axis=0), gaps)], MEMORY_S)
    np.testing.assert_allclose(one, other)
    assert len(one) == 1 + (400 - 100) // 12


@pytest.fixture
def made(tmp_path):
    """A bundle before and after the command line has given it moods, and the axes."""
    plain, bundle = ranker_bundle(tmp_path / "plain", seed=1), ranker_bundle(tmp_path / "bundle", seed=1)
    axes = np.random.default_rng(2).standard_normal((5, WIDTH)).astype(np.float32)
    file = tmp_path / "moods.json"
    file.write_text(json.dumps({"memory_s": MEMORY_S, "axes": axes.tolist(), "calibration": {"change_z": 2.5}}))
    moods.main.main(["--bundle", bundle, "--moods", str(file)], standalone_mode=False)
    return ModelStore().load(plain), ModelStore().load(bundle), axes


def test_graph_pools_as_the_training_does_and_gives_what_it_gave_before(made):
    plain, model, axes = made
    random = np.random.default_rng(3)
    words = random.standard_normal((60, 3, WIDTH)).astype(np.float32)
    weight = random.integers(1, 5, (60, 3)).astype(np.float32) / 4
    state, plain_state = model.new_state(3), plain.new_state(3)
    total, mass = np.zeros((3, WIDTH)), np.zeros((3, 1))
    for said, share in zip(words, weight, strict=True):
        given = {"words": said, "weight": share}
        got = {name: values.copy() for name, values in model.run(given, state, 3).items()}
        before = plain.run(given, plain_state, 3)
        keep = np.exp(-0.04 * share[:, None] / MEMORY_S)
        total, mass = keep * total + share[:, None] * said, keep * mass + share[:, None]
        np.testing.assert_allclose(got["mood"], total / mass @ axes.T, rtol=1e-3, atol=1e-4)
        for name in ("scores", "spread"):
            np.testing.assert_array_equal(got[name], before[name])


def test_the_card_tells_of_the_moods_and_keeps_the_rest(made):
    plain, model, _ = made
    assert model.card.outputs["mood"].shape == (5,)
    assert model.card.calibration == plain.card.calibration | {"change_z": 2.5}
    assert model.card.sha256 != plain.card.sha256
    assert isinstance(model.card, ModelCard)
    assert (
        msgspec.structs.replace(
            model.card,
            sha256=plain.card.sha256,
            weights_bytes=plain.card.weights_bytes,
            parameters=plain.card.parameters,
            macs_per_s=plain.card.macs_per_s,
            states=plain.card.states,
            outputs=plain.card.outputs,
            calibration=plain.card.calibration,
        )
        == plain.card
    )


def test_moods_are_not_added_twice(tmp_path):
    bundle = ranker_bundle(tmp_path, seed=1)
    axes = np.zeros((2, WIDTH), np.float32)
    moods.add_moods(tmp_path, axes, MEMORY_S, {})
    with pytest.raises(ValueError, match="has moods already: export it anew first"):
        moods.add_moods(tmp_path, axes, MEMORY_S, {})
    assert bundle


def test_constants_of_estimates_go_into_the_card_and_the_graph_stays(tmp_path):
    name = ranker_bundle(tmp_path, seed=1)
    before = ModelStore().load(name).card
    after = estimates.add_estimates(tmp_path, {"estimate_valence_gain": 2.0}, "1.2.3")
    assert after.calibration == before.calibration | {"estimate_valence_gain": 2.0}
    assert (after.sha256, after.version) == (before.sha256, "1.2.3")
    assert ModelStore().load(name).card == after
    with pytest.raises(ValueError, match="nothing is to be told by 'estimate_joy_gain'"):
        estimates.add_estimates(tmp_path, {"estimate_joy_gain": 2.0})
