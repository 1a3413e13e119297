"""Cutting a part out of an ONNX graph by the names of tensors, without the package onnx.

A model that speaks is one graph from signs to sound, but what it plans half-way (durations, pitch, energy) is what one
wants to see and to change. So it is loaded in parts. The bytes have passed `check_graph`.
"""

from collections.abc import Iterator, Mapping, Sequence

from rtemo.runtime.graph import GraphError, read_fields

_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_TENSOR_NAME = 8
_FLOAT = 1


def cut_graph(data: bytes, inputs: Mapping[str, int], outputs: Sequence[str]) -> bytes:
    """Cut out what leads from some tensors to others.

    Args:
        data: An ONNX model.
        inputs: Tensors that are given from outside → their number of axes, float32; inputs of the whole graph are
            inputs of the part too, where it needs them.
        outputs: Tensors that it gives, float32.

    Returns:
        An ONNX model of the nodes that are needed for it.

    Raises:
        GraphError: A tensor is made nowhere, or there are graphs within nodes, which may refer to anything.
    """
    graph = graph_of(data)
    nodes: list[tuple[memoryview, list[str], list[str]]] = []
    tensors: dict[str, memoryview] = {}
    given: dict[str, memoryview] = {}
    for field, value in parts(graph):
        if field == _NODE:
            nodes.append((value, *node_names(value)))
        elif field == _INITIALIZER:
            tensors[text_field(value, _TENSOR_NAME)] = value
        elif field == _INPUT:
            given[text_field(value, 1)] = value
    maker = {name: index for index, (_, _, made) in enumerate(nodes) for name in made}
    needed: set[int] = set()
    used: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if not name or name in used:
            continue
        used.add(name)
        if name in inputs:
            continue
        if name in maker:
            if maker[name] not in needed:
                needed.add(maker[name])
                waiting += nodes[maker[name]][1]
        elif name not in tensors and name not in given:
            raise GraphError(f"have no tensor {name!r}")
    part = bytearray()
    for index in sorted(needed):
        part += packed(_NODE, bytes(nodes[index][0]))
    part += packed(2, b"part")
    for name in sorted(used & tensors.keys()):
        part += packed(_INITIALIZER, bytes(tensors[name]))
    for name in sorted(used & given.keys() - tensors.keys() - inputs.keys()):
        part += packed(_INPUT, bytes(given[name]))
    for name, axes in inputs.items():
        part += packed(_INPUT, value_info(name, axes))
    for name in outputs:
        part += packed(_OUTPUT, value_info(name, None))
    whole = bytearray()
    for field, found in read_fields(memoryview(data)):
        if field != _MODEL_GRAPH:
            whole += varint_field(field, found) if isinstance(found, int) else packed(field, bytes(found))
    return bytes(whole + packed(_MODEL_GRAPH, bytes(part)))


def input_names(data: bytes) -> list[str]:
    """Name the inputs of an ONNX model."""
    return [text_field(value, 1) for field, value in parts(graph_of(data)) if field == _INPUT]


def graph_of(data: bytes) -> memoryview:
    """The one graph of a model; where two files were joined, its pieces are one message, as protobuf reads them."""
    graphs = [value for field, value in parts(memoryview(data)) if field == _MODEL_GRAPH]
    if not graphs:
        raise GraphError("are not an ONNX graph")
    return graphs[0] if len(graphs) == 1 else memoryview(b"".join(graphs))


def parts(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of the fields of a message that are texts or messages."""
    for field, value in read_fields(message):
        if isinstance(value, memoryview):
            yield field, value


def node_names(node: memoryview) -> tuple[list[str], list[str]]:
    """What a node needs and what it makes."""
    needs: list[str] = []
    makes: list[str] = []
    for field, value in parts(node):
        if field == _NODE_INPUT:
            needs.append(str(value, "utf-8"))
        elif field == _NODE_OUTPUT:
            makes.append(str(value, "utf-8"))
        elif field == _NODE_ATTRIBUTE and any(
            inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS) for inner, _ in parts(value)
        ):
            raise GraphError("have graphs within nodes, which cannot be cut")
    return needs, makes


def text_field(message: memoryview, wanted: int) -> str:
    """The text of a field."""
    for field, value in parts(message):
        if field == wanted:
            return str(value, "utf-8")
    raise GraphError("have a tensor without a name")


def value_info(name: str, axes: int | None) -> bytes:
    """Write name and type, float32; of an input also how many axes it has, each of any size."""
    tensor = varint_field(1, _FLOAT)
    if axes is not None:
        dimensions = b"".join(packed(1, packed(2, f"{name}_{axis}".encode())) for axis in range(axes))
        tensor += packed(2, dimensions)
    return packed(1, name.encode()) + packed(2, packed(1, tensor))


def packed(field: int, value: bytes) -> bytes:
    """A field that is a text or a message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def varint_field(field: int, value: int) -> bytes:
    """A field that is a number."""
    return _varint(field << 3) + _varint(value)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
