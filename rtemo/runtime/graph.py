"""What must be known of an ONNX file before a runtime is let near it, read without parsing tensors.

Only the few protobuf fields that matter are visited, so a damaged or hostile file costs no more than one pass over its
bytes. Field numbers are those of `onnx.proto` (IR version 3 and later).

The bytes are read more strictly than protobuf reads them, so that there is one way to read them: what protobuf would
cut to 32 bits, or take in a longer form than it writes itself, is refused.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_DECLARED_DOMAINS = _KNOWN_DOMAINS | {
    *("ai.onnx.training", "ai.onnx.preview.training", "com.microsoft.experimental", "com.microsoft.nchwc"),
    "org.pytorch.aten",
}
"""What a graph may declare without using it: ONNX Runtime declares all of these in every graph that it has saved."""

_MAX_DEPTH = 64
_MAX_FIELDS = 2_000_000
_MAX_TAG = (1 << 32) - 1
_MAX_LENGTH = (1 << 31) - 1
_ORT_FORMAT = b"ORTM"
_MODEL_GRAPH = 7
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14


class GraphError(Exception):
    """The bytes are no ONNX graph that may be loaded; the text completes the sentence 'the weights …'."""


class _Kind(NamedTuple):
    """A type of message: field → type of the messages in it, and the field that names a domain of operators."""

    name: str
    parts: Mapping[int, str]
    domain: int = 0


_KINDS = {
    kind.name: kind
    for kind in (
        _Kind("model", {_MODEL_GRAPH: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"}),
        _Kind("training", {1: "graph", 2: "graph"}),
        _Kind("function", {7: "node", 9: "opset", 11: "attribute"}, domain=10),
        _Kind("graph", {1: "node", 5: "tensor", 15: "sparse"}),
        _Kind("node", {5: "attribute"}, domain=7),
        _Kind(
            "attribute",
            {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        ),
        _Kind("sparse", {1: "tensor", 2: "tensor"}),
        _Kind("opset", {}, domain=1),
        _Kind("tensor", {}),
        _Kind("entry", {}),
    )
}


def check_graph(data: bytes) -> None:
    """Refuse bytes that are not a self-contained ONNX model.

    External data would be read from a path that the file names, past the hash in the card; operators of unknown
    domains need code that the card does not vouch for. Functions, training graphs and graphs within nodes are visited
    too.

    Raises:
        GraphError: The bytes are no protobuf message, hold no graph, are written in a way that could be read in two
            ways, are of another format, or refer to external data, unknown domains or settings of the runtime.
    """
    if data[4:8] == _ORT_FORMAT:
        raise GraphError("are in the format of one runtime, which cannot be checked")
    model, left = memoryview(data), [_MAX_FIELDS]
    _check(model, _KINDS["model"], 0, left)
    if not any(field == _MODEL_GRAPH for field, _ in _fields(model, left)):
        raise GraphError("are not an ONNX model")


def read_fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field of a message; lengths are checked, contents are not copied.

    Raises:
        GraphError: It is no protobuf message.
    """
    return _fields(message, [_MAX_FIELDS])


def _check(message: memoryview, kind: _Kind, depth: int, left: list[int]) -> None:
    """Check a message and all in it."""
    if depth > _MAX_DEPTH:
        raise GraphError("nest graphs too deeply")
    for field, value in _fields(message, left):
        if kind.name == "tensor":
            is_external = field == _TENSOR_LOCATION and isinstance(value, int) and value & 0xFFFF_FFFF
            if field == _TENSOR_EXTERNAL or is_external:
                raise GraphError("keep tensors in external files, which the hash does not cover")
        elif kind.name == "entry":
            if field == 1 and bytes(_message(value)) == b"ort_config":
                raise GraphError("bring settings of the runtime with them")
        elif field == kind.domain:
            domain = bytes(_message(value)).decode("utf-8", "replace")
            if domain not in (_DECLARED_DOMAINS if kind.name == "opset" else _KNOWN_DOMAINS):
                raise GraphError(f"need operators of the unknown domain {domain!r}")
        if field in kind.parts:
            _check(_message(value), _KINDS[kind.parts[field]], depth + 1, left)


def _message(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise GraphError("are not an ONNX model")
    return value


def _fields(message: memoryview, left: list[int]) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field; lengths are checked, contents are not copied."""
    at, end = 0, len(message)
    while at < end:
        left[0] -= 1
        if left[0] < 0:
            raise GraphError(f"have more than {_MAX_FIELDS} parts")
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if not field:
            raise GraphError("are not an ONNX model")
        if key > _MAX_TAG:
            raise GraphError("have a field number that protobuf would read as another")
        if wire == 0:
            number, at = _varint(message, at)
            yield field, number
            continue
        if wire == 2:
            size, at = _varint(message, at)
            if size > _MAX_LENGTH:
                raise GraphError("are cut short")
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise GraphError("are not an ONNX model")
        if at + size > end:
            raise GraphError("are cut short")
        if wire == 2:
            yield field, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a number in the one form in which protobuf writes it: of 64 bits, without empty bytes at its end."""
    number = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and not byte) or number >> 64:
                raise GraphError("have a number in a form that protobuf does not write")
            return number, at
        shift += 7
    raise GraphError("are not an ONNX model")
