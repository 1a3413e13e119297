"""A speaking model is loaded in three parts, and what it plans can be changed on the way."""

import msgspec
import numpy as np
import onnx
import pytest

from rtemo.api import ModelError
from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.graph_cut import cut_graph
from rtemo.runtime.store import ModelStore
from rtemo.runtime.voice import OnnxVoice
from tests.fakes.bundles import summing_card, summing_model, write_bundle
from tests.fakes.speaking import (
    FRAME_SAMPLES,
    FRAMES_PER_SIGN,
    notes_voice,
    voice_card,
    voice_files,
    voice_graph,
    write_voice,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def voice():
    return notes_voice()


def test_a_part_of_a_graph_holds_no_more_than_it_needs():
    part = onnx.load_from_string(cut_graph(voice_graph(), {"context_frames": 3}, ("pitch",)))
    assert [node.op_type for node in part.graph.node] == ["Concat", "Mul", "Add", "Flatten"]
    assert [given.name for given in part.graph.input] == ["context_frames"]
    assert {tensor.name for tensor in part.graph.initializer} == {"zero", "hz"}


def test_a_part_passes_the_check_that_the_whole_has_passed():
    check_graph(cut_graph(voice_graph(), {}, ("durations", "text")))


def test_a_tensor_that_is_made_nowhere_cannot_be_cut_at():
    with pytest.raises(GraphError, match="no tensor 'melody'"):
        cut_graph(voice_graph(), {}, ("melody",))


def test_a_graph_with_graphs_inside_is_not_cut():
    inner = onnx.helper.make_graph([], "inner", [], [])
    node = onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = onnx.helper.make_graph([node], "g", [], [])
    with pytest.raises(GraphError, match="graphs within nodes"):
        cut_graph(onnx.helper.make_model(graph).SerializeToString(), {}, ("y",))


def test_durations_tell_where_signs_end(voice):
    samples, ends = voice.say("abc", voice.voices["low"][3])
    assert ends.tolist() == [FRAMES_PER_SIGN * FRAME_SAMPLES * (k + 1) for k in range(5)]
    assert len(samples) == ends[-1]


def test_twice_the_speed_takes_half_the_time(voice):
    assert voice.plan("abc", voice.voices["low"][3], speed=2.0).durations_frames.tolist() == [2] * 5


def test_a_changed_pitch_is_heard_and_nothing_else(voice):
    plan = voice.plan("abc", voice.voices["low"][3])
    plain = voice.render(plan)
    pitch_hz = plan.pitch_hz.copy()
    pitch_hz[10:12] *= 2
    changed = voice.render(msgspec.structs.replace(plan, pitch_hz=pitch_hz))
    differs = np.flatnonzero(changed != plain)
    assert differs.min() == 10 * FRAME_SAMPLES // 2
    assert differs.max() == 12 * FRAME_SAMPLES // 2 - 1


def test_durations_of_ones_own_are_kept(voice):
    plan = voice.plan("ab", voice.voices["low"][2], durations_frames=[1, 7, 2, 1])
    assert plan.durations_frames.tolist() == [1, 7, 2, 1]
    assert len(voice.render(plan)) == 11 * FRAME_SAMPLES


def test_signs_that_it_does_not_know_are_left_out(voice):
    assert voice.plan("aжb", voice.voices["low"][2]).signs == "ab"


@pytest.mark.parametrize(
    ("signs", "options", "problem"),
    [
        ("жж", {}, "no sign"),
        ("a" * 201, {}, "at most 200"),
        ("ab", {"speed": 9.0}, "a speed of 9"),
        ("ab", {"durations_frames": [1, 2]}, "2 durations were given"),
        ("ab", {"durations_frames": [1, 3000, 1, 1]}, "at most 2400"),
    ],
)
def test_what_cannot_be_said_is_named(voice, signs, options, problem):
    with pytest.raises(ValueError, match=problem):
        voice.plan(signs, voice.voices["low"][2], **options)


def test_a_curve_of_another_length_is_refused(voice):
    plan = voice.plan("ab", voice.voices["low"][2])
    with pytest.raises(ValueError, match="expected 32 finite values"):
        voice.render(msgspec.structs.replace(plan, pitch_hz=plan.pitch_hz[1:]))


def test_a_model_without_seams_says_but_does_not_plan():
    whole = notes_voice(can_plan=False)
    assert not whole.can_plan
    samples, ends = whole.say("abc", whole.voices["low"][3])
    assert ends[-1] == len(samples)
    assert len(ends) == 5
    with pytest.raises(ModelError, match="does not tell how it plans"):
        whole.plan("abc", whole.voices["low"][3])


def test_seams_that_the_graph_has_not_are_named_with_the_card():
    card = voice_card()
    wrong = msgspec.structs.replace(card, front_end=card.front_end | {"tensor_pitch": "melody"})
    with pytest.raises(ModelError, match="names seams that its graph has not"):
        OnnxVoice(wrong, voice_files())


def test_a_store_lends_a_voice_once(tmp_path):
    models = ModelStore(places={"notes": str(write_voice(tmp_path / "notes"))})
    assert models.voice("notes") is models.voice("notes")
    assert "notes" in models.hashes


def test_what_does_not_speak_is_no_voice(tmp_path):
    folder = write_bundle(tmp_path / "toy", summing_model(), summing_card())
    with pytest.raises(ModelError, match="does not speak"):
        ModelStore().voice(str(folder))


def test_domains_that_a_graph_only_declares_do_no_harm():
    model = onnx.load_from_string(voice_graph())
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft.nchwc", 1))
    check_graph(model.SerializeToString())
    model.graph.node[0].domain = "com.microsoft.nchwc"
    with pytest.raises(GraphError, match="unknown domain"):
        check_graph(model.SerializeToString())
