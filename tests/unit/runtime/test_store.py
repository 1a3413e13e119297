"""Bundles are found, proved and refused with a sentence."""

import sys
from importlib.metadata import EntryPoint

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rtemo import extensions
from rtemo.api import ModelError
from rtemo.runtime.store import ModelStore
from tests.fakes.bundles import onnx_bytes, summing_card, summing_model, write_bundle

pytestmark = pytest.mark.unit


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "toy", summing_model(), summing_card())


def refusal(name, places=None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ModelStore(places).load(str(name))
    assert "\n" not in str(caught.value)
    assert caught.value.mend
    return caught.value


def test_bundle_loads_from_the_path_of_its_folder(bundle):
    handle = ModelStore().load(str(bundle))
    state = handle.new_state(2)
    out = handle.run({"x": np.ones((2, 3), np.float32)}, state, 2)
    assert out["y"].tolist() == [[1.0, 1.0, 1.0]] * 2


def test_bundle_loads_through_its_entry_point(bundle, tmp_path, monkeypatch):
    (bundle / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(extensions, "entry_points", lambda group: [EntryPoint("toy-model", "toy", group)])
    models = ModelStore()
    assert models.load("toy-model").card.name == "toy"
    assert models.hashes == {"toy-model": models.load("toy-model").card.sha256}
    assert "toy" not in sys.modules


def test_two_callers_share_one_handle(bundle):
    models = ModelStore(places={"toy": str(bundle)})
    assert models.load("toy") is models.load("toy")


def test_unknown_bundle_names_the_known_ones_and_the_nearest(monkeypatch):
    monkeypatch.setattr(extensions, "entry_points", lambda group: [EntryPoint("emotion", "x", group)])
    error = refusal("emotoin")
    assert "installed: emotion" in error.problem
    assert "did you mean 'emotion'" in error.mend


def test_folder_without_card_is_no_bundle(tmp_path):
    assert "is not a model bundle" in refusal(tmp_path / "nothing").problem


def test_card_that_is_no_json_is_refused(bundle):
    (bundle / "card.json").write_text("{'name': ")
    assert "is not valid" in refusal(bundle).problem


def test_card_that_is_nested_without_end_is_refused(bundle):
    (bundle / "card.json").write_text('{"x": ' + "[" * 50_000)
    assert "is not valid" in refusal(bundle).problem


def test_card_without_a_field_names_the_field(bundle):
    fields = msgspec.json.decode((bundle / "card.json").read_bytes())
    del fields["licence"]
    (bundle / "card.json").write_bytes(msgspec.json.encode(fields))
    assert "licence" in refusal(bundle).problem


def test_missing_weights_are_named(bundle):
    (bundle / "toy.onnx").unlink()
    assert "toy.onnx: No such file" in refusal(bundle).problem


def test_truncated_weights_are_told_from_wrong_ones(tmp_path):
    model = summing_model()
    folder = write_bundle(tmp_path, model, summing_card(weights_bytes=len(model)))
    (folder / "toy.onnx").write_bytes(model[:-20])
    problem = refusal(folder).problem
    assert "damaged" in problem
    assert str(len(model) - 20) in problem


def test_empty_weights_are_damaged(bundle):
    (bundle / "toy.onnx").write_bytes(b"")
    assert "has 0 bytes" in refusal(bundle).problem


def test_weights_with_one_changed_bit_are_refused(bundle):
    data = bytearray((bundle / "toy.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "toy.onnx").write_bytes(data)
    assert "are not those of its card" in refusal(bundle).problem


def test_weights_may_not_leave_their_folder(tmp_path):
    write_bundle(tmp_path / "other", summing_model(), summing_card())
    folder = write_bundle(tmp_path / "toy", summing_model(), summing_card(weights="../other/toy.onnx"))
    assert "outside its folder" in refusal(folder).problem


def test_weights_come_from_another_package_without_importing_it(bundle, tmp_path, monkeypatch):
    package = tmp_path / "toy_package"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data" / "toy.onnx").write_bytes(summing_model())
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = write_bundle(bundle, summing_model(), summing_card(weights="toy_package:data/toy.onnx"))
    assert ModelStore().load(str(folder)).card.name == "toy"
    assert "toy_package" not in sys.modules


def test_missing_weights_package_is_a_plain_request_to_install_it(tmp_path):
    folder = write_bundle(tmp_path, summing_model(), summing_card(weights="no_such_package:toy.onnx"))
    assert "pip install --no-deps no-such-package" in refusal(folder).mend


def test_external_data_is_refused_even_inside_a_branch(tmp_path):
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "b")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    tensor.ClearField("raw_data")
    branch = helper.make_graph([helper.make_node("Identity", ["b"], ["z"])], "branch", [], [], [tensor])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    folder = write_bundle(tmp_path, onnx_bytes([node], {}, {"y": [3]}), summing_card())
    assert "external files" in refusal(folder).problem


def test_operators_of_an_unknown_domain_are_refused(tmp_path):
    folder = write_bundle(
        tmp_path,
        onnx_bytes([helper.make_node("Y", ["x"], ["y"])], {"x": [1]}, {"y": [1]}, None, "evil"),
        summing_card(),
    )
    assert "unknown domain 'evil'" in refusal(folder).problem


@pytest.mark.parametrize("data", [b"not a model at all", b"\x80\x02}q\x00.", b"\x3a\xff\xff\xff\xff\x0f", bytes(1000)])
def test_bytes_that_are_no_model_are_refused(tmp_path, data):
    problem = refusal(write_bundle(tmp_path, data, summing_card())).problem
    assert "are not an ONNX model" in problem or "are cut short" in problem
