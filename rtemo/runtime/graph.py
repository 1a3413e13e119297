"""What must be known of an ONNX file before a runtime is let near it, read without parsing tensors.

Only the few protobuf fields that matter are visited, so a damaged or hostile file costs no more than one pass
over its bytes. Field numbers are those of `onnx.proto` (IR version 3 and later).
"""

from collections.abc import Iterator

_MODEL_GRAPH, _MODEL_OPSET, _OPSET_DOMAIN = 7, 8, 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = 5, (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})

_MAX_DEPTH = 32


class GraphError(Exception):
    """The bytes are no ONNX graph that may be loaded; the text completes the sentence 'the weights …'."""


def check_graph(data: bytes) -> None:
    """Refuse bytes that are not a self-contained ONNX model.

    External data would be read from a path that the file names, past the hash in the card; operators of unknown
    domains need code that the card does not vouch for.

    Raises:
        GraphError: The bytes are no protobuf message, hold no graph, or refer to external data or unknown domains.
    """
    model = memoryview(data)
    has_graph = False
    for field, value in _fields(model):
        if field == _MODEL_GRAPH:
            has_graph = True
            _check_graph(_message(value), 0)
        elif field == _MODEL_OPSET:
            for inner, name in _fields(_message(value)):
                domain = bytes(_message(name)).decode("utf-8", "replace") if inner == _OPSET_DOMAIN else ""
                if domain not in _KNOWN_DOMAINS:
                    raise GraphError(f"need operators of the unknown domain {domain!r}")
    if not has_graph:
        raise GraphError("are not an ONNX model")


def _check_graph(graph: memoryview, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise GraphError("nest graphs too deeply")
    for field, value in _fields(graph):
        if field == _GRAPH_INITIALIZER:
            _check_tensor(_message(value))
        elif field == _GRAPH_SPARSE:
            _check_sparse(_message(value))
        elif field == _GRAPH_NODE:
            for inner, attribute in _fields(_message(value)):
                if inner == _NODE_ATTRIBUTE:
                    _check_attribute(_message(attribute), depth)


def _check_attribute(attribute: memoryview, depth: int) -> None:
    for field, value in _fields(attribute):
        if isinstance(value, int):
            continue
        if field in _ATTRIBUTE_TENSORS:
            _check_tensor(value)
        elif field in _ATTRIBUTE_GRAPHS:
            _check_graph(value, depth + 1)
        elif field in _ATTRIBUTE_SPARSE:
            _check_sparse(value)


def _check_sparse(sparse: memoryview) -> None:
    for field, value in _fields(sparse):
        if field in _SPARSE_TENSORS:
            _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> None:
    for field, value in _fields(tensor):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value == 1):
            raise GraphError("keep tensors in external files, which the hash does not cover")


def _message(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise GraphError("are not an ONNX model")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field; lengths are checked, contents are not copied."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield field, number
            continue
        if wire == 2:
            size, at = _varint(message, at)
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
    number = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise GraphError("are not an ONNX model")
