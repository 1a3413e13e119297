"""No way of writing an ONNX file gets a runtime to read another file, and no card gets memory that nobody has."""

import contextlib
import os
import random
import subprocess
import sys

import msgspec
import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rtemo.api import ModelError
from rtemo.runtime import ModelStore
from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.store import Bundle
from tests.fakes.bundles import convolving_model, onnx_bytes, summing_card, summing_model, write_bundle

pytestmark = pytest.mark.unit


def varint(number: int, least_bytes: int = 1) -> bytes:
    """Write a number in at least so many bytes: in a longer form than needed when more."""
    out = bytearray()
    while number >= 0x80 or len(out) + 1 < least_bytes:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes, tag_bytes: int = 1, above: int = 0, length_bytes: int = 1) -> bytes:
    """Write a message field; `above` is put into the bits of the tag that protobuf cuts off."""
    tag = number << 3 | 2 | above << 32
    return varint(tag, tag_bytes) + varint(len(payload), length_bytes) + payload


ENTRY = b"\x0a\x08location\x12\x06secret"
EXTERNAL = {
    "plain": field(13, ENTRY),
    "long tag": field(13, ENTRY, tag_bytes=5),
    "tag above 32 bits": field(13, ENTRY, above=1),
    "tag with all bits above": field(13, ENTRY, above=0x7FFFFFF),
    "long length": field(13, ENTRY, length_bytes=4),
}
LOCATION = {
    "plain": b"\x70\x01",
    "long value": b"\x70\x81\x80\x00",
    "value above 32 bits": b"\x70" + varint(1 | 1 << 32),
    "long tag": varint(14 << 3, 3) + b"\x01",
    "tag above 32 bits": varint(14 << 3 | 1 << 35) + b"\x01",
    "negative": b"\x70" + varint((1 << 64) - (1 << 32) + 1),
}


def tensor(evil: bytes) -> bytes:
    return b"\x08\x03\x10\x01\x42\x01w" + evil  # dims [3], float, name w


def within(evil: bytes) -> dict[str, bytes]:
    """The tensor in every place of a model where one can stand; each part is appended to a whole model."""
    node = field(5, b"\x0a\x01a" + field(5, evil))
    branch = field(6, field(5, evil))
    return {
        "initializer": field(7, field(5, evil)),
        "attribute": field(7, field(1, node)),
        "list of tensors": field(7, field(1, field(5, field(10, evil)))),
        "branch of a node": field(7, field(1, field(5, branch))),
        "list of graphs": field(7, field(1, field(5, field(11, field(5, evil))))),
        "branch of a branch": field(7, field(1, field(5, field(6, field(1, field(5, branch)))))),
        "sparse initializer": field(7, field(15, field(1, evil))),
        "sparse attribute": field(7, field(1, field(5, field(22, field(2, evil))))),
        "function": field(25, field(7, node)),
        "default of a function": field(25, field(11, field(5, evil))),
        "training": field(20, field(1, field(5, evil))),
        "training algorithm": field(20, field(2, field(5, evil))),
    }


EVASIONS = {
    **{f"{where}, {how}": part for how, evil in EXTERNAL.items() for where, part in within(tensor(evil)).items()},
    **{
        f"{where}, location {how}": part
        for how, evil in LOCATION.items()
        for where, part in within(tensor(evil)).items()
    },
    "graph with a long tag": field(7, field(5, tensor(EXTERNAL["plain"])), tag_bytes=5),
    "graph above 32 bits": field(7, field(5, tensor(EXTERNAL["plain"])), above=3),
    "group": b"\x3b" + field(5, tensor(EXTERNAL["plain"])) + b"\x3c",
    "domain of a node": field(7, field(1, field(7, b"evil"))),
    "settings of the runtime": field(14, b"\x0a\x0aort_config\x12\x02{}"),
    "too deep": b"",
}
deep = b""
for _ in range(200):
    deep = field(1, field(5, field(6, deep)))
EVASIONS["too deep"] = field(7, deep)


@pytest.mark.parametrize("evasion", EVASIONS)
def test_no_form_of_external_data_or_foreign_code_is_let_through(evasion) -> None:
    check_graph(summing_model())
    with pytest.raises(GraphError):
        check_graph(summing_model() + EVASIONS[evasion])


def test_protobuf_would_have_read_what_is_refused() -> None:
    """The evasions are real: the library that runtimes use finds the external data in them."""
    for how in ("tag above 32 bits", "long tag", "plain"):
        part = field(7, field(5, tensor(EXTERNAL[how] + LOCATION["value above 32 bits"])))
        try:
            model = onnx.load_from_string(summing_model() + part)
        except DecodeError:
            continue  # this version of the library is strict where others are not
        (found,) = (one for one in model.graph.initializer if one.name == "w")
        assert found.data_location == TensorProto.EXTERNAL
        assert how == "tag above 32 bits" or len(found.external_data) == 1


def test_format_of_one_runtime_is_refused() -> None:
    with pytest.raises(GraphError, match="format of one runtime"):
        check_graph(b"\x08\x00\x00\x00ORTM" + bytes(100))


def test_endless_number_of_parts_is_refused_in_bounded_time() -> None:
    with pytest.raises(GraphError, match="more than"):
        check_graph(b"\x08\x01" * 3_000_000)


_LOAD_UNCHECKED = """
from pathlib import Path
from rtemo.api import ModelError, TensorSpec
from rtemo.runtime.onnx import OnnxHandle
from tests.fakes.bundles import card

try:
    made = card(inputs={"x": TensorSpec((3,))}, states={}, outputs={"y": TensorSpec((3,))})
    OnnxHandle(made, Path("evil.onnx").read_bytes())
    print("loaded")
except ModelError as error:
    print("refused", error)
"""


def test_runtime_reads_no_file_even_when_the_check_is_left_out(tmp_path) -> None:
    """The second wall: a model whose weights lie in the working directory finds no file there."""
    values = np.arange(3, dtype=np.float32)
    values.tofile(tmp_path / "secret")
    one = numpy_helper.from_array(values, "w")
    one.ClearField("raw_data")
    one.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret"), ("offset", "0"), ("length", "12")):
        one.external_data.add(key=key, value=value)
    model = onnx.load_from_string(
        onnx_bytes([helper.make_node("Add", ["x", "w"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    )
    model.graph.initializer.append(one)
    (tmp_path / "evil.onnx").write_bytes(model.SerializeToString())
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    env = os.environ | {"PYTHONPATH": root}
    command = [sys.executable, "-c", _LOAD_UNCHECKED]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("refused"), done.stdout


def has_external(model: onnx.ModelProto) -> bool:
    """Look through everything that protobuf has read, without knowing where tensors may stand."""
    waiting = [model]
    while waiting:
        message = waiting.pop()
        if isinstance(message, TensorProto) and (message.data_location or message.external_data):
            return True
        for descriptor, value in message.ListFields():
            if descriptor.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)
    return False


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change a model at random: bytes, pieces of hostile encodings, cuts and repetitions."""
    pieces = [*EXTERNAL.values(), *LOCATION.values(), *EVASIONS.values(), b"\xff" * 9, b"\x80" * 4, b"\x00"]
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(4):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                out[at:at] = chance.choice(pieces)
            case 2:
                del out[at : at + chance.randint(1, 20)]
            case 3:
                out[at:at] = out[at : at + chance.randint(1, 40)]
    return bytes(out)


def fuzz(rounds: int, seed: int) -> int:
    """Hold check and protobuf against each other; gives how many models both took."""
    chance = random.Random(seed)
    whole = [summing_model(), convolving_model(1)]
    models = whole + [summing_model() + part for part in EVASIONS.values() if len(part) < 200]
    taken = 0
    for _ in range(rounds):
        data = mutate(chance.choice(whole) if chance.random() < 0.7 else chance.choice(models), chance)
        try:
            check_graph(data)
        except GraphError:
            continue
        try:
            model = onnx.load_from_string(data)
        except DecodeError:
            continue
        taken += 1
        assert not has_external(model), data.hex()
    return taken


def test_what_the_check_lets_through_has_no_external_data_for_protobuf_either() -> None:
    assert fuzz(3_000, seed=1) > 100


@pytest.mark.attack
@pytest.mark.timeout(900)
def test_what_the_check_lets_through_has_no_external_data_at_length() -> None:
    assert fuzz(400_000, seed=2) > 10_000


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_refused_with_a_word(data) -> None:
    with contextlib.suppress(GraphError):
        check_graph(data)


HUGE = 1 << 40
CARDS = {
    "a constant of terabytes": {"constants": {"c": {"shape": [HUGE]}}},
    "constants of gigabytes in all": {"constants": {f"c{k}": {"shape": [1 << 24]} for k in range(64)}},
    "a shape that overflows": {"constants": {"c": {"shape": [1 << 40, 1 << 40, 1 << 40]}}},
    "a negative shape": {"constants": {"c": {"shape": [-1]}}},
    "a state of gigabytes": {"states": {"total": {"shape": [1 << 30]}}},
    "an input of gigabytes": {"inputs": {"x": {"shape": [1 << 30]}}},
    "too many axes": {"inputs": {"x": {"shape": [1] * 1000}}},
    "a type that is none": {"inputs": {"x": {"shape": [3], "dtype": "object"}}},
    "a type with escapes": {"inputs": {"x": {"shape": [3], "dtype": "\x1b[2J"}}},
    "a batch axis that is none": {"inputs": {"x": {"shape": [3], "batch_axis": 7}}},
    "a fill that does not fit": {"constants": {"c": {"shape": [3], "dtype": "uint8", "fill": 300.0}}},
    "a fraction as a whole number": {"constants": {"c": {"shape": [3], "dtype": "int64", "fill": 0.5}}},
    "more tensors than anybody needs": {"inputs": {f"x{k}": {"shape": [1]} for k in range(5_000)}},
    "no rate": {"sample_rate_hz": 0},
    "a hop of years": {"hop_samples": 1 << 50},
    "a delay before the beginning": {"latency_samples": -1},
    "a name with escapes": {"name": "toy\x1b[2J"},
    "a hash that is none": {"sha256": "../../etc/passwd"},
}


@pytest.mark.parametrize("attack", CARDS)
def test_card_that_asks_for_the_impossible_is_refused_before_anything_is_made_for_it(tmp_path, attack) -> None:
    folder = write_bundle(tmp_path, summing_model(), summing_card())
    fields = msgspec.json.decode((folder / "card.json").read_bytes()) | CARDS[attack]
    (folder / "card.json").write_bytes(msgspec.json.encode(fields))
    with pytest.raises(ModelError) as caught:
        ModelStore().load(str(folder))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


@given(st.dictionaries(st.sampled_from(sorted(summing_card().__struct_fields__)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
), max_size=4))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_card_is_read_or_refused_with_a_word(tmp_path_factory, changes) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder, summing_model(), summing_card())
    fields = msgspec.json.decode((folder / "card.json").read_bytes()) | changes
    (folder / "card.json").write_bytes(msgspec.json.encode(fields))
    with contextlib.suppress(ModelError):
        Bundle(folder).read_weights()
