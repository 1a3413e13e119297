"""One step of the listener as an ONNX graph with explicit state, for n streams per call."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from rtemo.api import EMOTIONS
from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_models.kit.export.layers import LayerWriter, array
from rtemo_models.kit.nets.routing import Expert
from rtemo_models.systems.merit.net.listener import TASKS, Listener


def listener_graph(net: Listener, metadata: Mapping[str, str], small_weights: bool = False) -> onnx.ModelProto:
    """Write the graph, with large matrices as bytes if `small_weights`.

    Inputs: `bands` float32 [n, hops, mel_count], `weight` float32 [n, hops], then the states. Outputs: `logits`
    [n, 8], `arousal` [n], `valence` [n], `context` [n, context], `experts` [n, 2] (the indices that the routers of
    emotion and enhancement chose), `words` [n, width] (what the emotion experts say of the step, for networks that
    listen on), then `next_<state>`.
    """
    c = net.config
    g = GraphBuilder(small_weights)
    bands, weight = g.input("bands", (c.hops_per_step, c.mel_count)), g.input("weight", (c.hops_per_step,))
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    now = write.level(bands, net.level, hops_axis=True)
    flat = g.add("Reshape", bands, write.ints("step_shape", 0, c.hops_per_step * c.mel_count))
    write.after["frames"] = write.relative(flat, now, net.level)
    x = write.linear(g.add("Concat", write.states["frames"], write.after["frames"], axis=1), "stem", net.stem)
    for i, block in enumerate(net.blocks):
        x = write.causal_block(i, x, block)
    x = write.norm(x, "norm", net.norm)
    words, chosen = consulted(write, net, x)
    embedded = g.add("Relu", write.linear(words["emotion"], "embed", net.embed))
    hidden = g.add("Relu", write.linear(write.pool(embedded, weight, net.pool), "hidden", net.hidden))
    count = len(EMOTIONS)
    out, bias = array(net.out.weight), array(net.out.bias)
    g.output(g.linear(hidden, "emotions", out[:count], bias[:count]), "logits", (count,))
    circumplex = g.add("Tanh", g.linear(hidden, "circumplex", out[count:], bias[count:]))
    split = g.add("Split", circumplex, write.ints("one_each", 1, 1), outputs=2, axis=1)
    g.output(g.add("Squeeze", split, write.ints("axis_1", 1)), "arousal", ())
    g.output(g.add("Squeeze", f"{split}.1", write.ints("axis_1", 1)), "valence", ())
    g.output(write.linear(words["enhance"], "told", net.told), "context", (c.context,))
    g.output(chosen, "experts", (len(TASKS),))
    g.output(words["emotion"], "words", (c.width,))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("merit-listen", metadata)


def consulted(write: LayerWriter, net: Listener, x: str) -> tuple[dict[str, str], str]:
    """What the experts say to each task, [n, width], and the choices as numbers, [n, 2]."""
    g = write.graph
    if not len(net.routers):
        nothing = g.add("Mul", g.add("ReduceMax", x, axes=[1], keepdims=1), g.scalar(0.0))
        words = g.add("Add", x, spoken(write, net.experts.experts[0], 0, x))
        return dict.fromkeys(TASKS, words), g.add("Concat", nothing, nothing, axis=1)
    shares = {t: g.add("Softmax", write.linear(x, f"{t}.router", net.routers[t].linear), axis=1) for t in TASKS}
    indices = {t: g.add("ArgMax", shares[t], axis=1, keepdims=1) for t in TASKS}
    numbers = [g.add("Cast", index, to=onnx.TensorProto.FLOAT) for index in indices.values()]
    if net.config.gate == "dense":
        said = every(write, net, x, shares)
    else:
        said = grouped(write, net, x, indices)
        if net.config.gate == "top1_scaled":
            tops = {t: g.add("ReduceMax", shares[t], axes=[1], keepdims=1) for t in TASKS}
            said = {t: g.add("Mul", said[t], tops[t]) for t in TASKS}
    return {t: g.add("Add", x, said[t]) for t in TASKS}, g.add("Concat", *numbers, axis=1)


def spoken(write: LayerWriter, expert: Expert, k: int, x: str) -> str:
    """One expert's words."""
    hidden = write.graph.add("Relu", write.linear(x, f"expert_{k}.widen", expert.widen))
    return write.linear(hidden, f"expert_{k}.narrow", expert.narrow)


def every(write: LayerWriter, net: Listener, x: str, shares: dict[str, str]) -> dict[str, str]:
    """All experts, weighed."""
    g, axis = write.graph, write.ints("axis_1", 1)
    words = [g.add("Unsqueeze", spoken(write, e, k, x), axis) for k, e in enumerate(net.experts.experts)]
    side_by_side = g.add("Concat", *words, axis=1)
    last = write.ints("axis_2", 2)
    weighed = {t: g.add("Mul", side_by_side, g.add("Unsqueeze", shares[t], last)) for t in TASKS}
    return {t: g.add("ReduceSum", weighed[t], axis, keepdims=0) for t in TASKS}


def grouped(write: LayerWriter, net: Listener, x: str, indices: dict[str, str]) -> dict[str, str]:
    """The chosen experts only: the rows of both tasks that chose an expert are gathered, heard and put back.

    In a batch that takes half of what computing all experts takes, and alone no more; see `bench/speed/experts.py`.
    """
    g = write.graph
    rows, choice = g.add("Concat", *[x] * len(TASKS), axis=0), g.add("Concat", *indices.values(), axis=0)
    choice = g.add("Squeeze", choice, write.ints("axis_1", 1))
    total = g.add("Mul", rows, g.scalar(0.0))
    for k, expert in enumerate(net.experts.experts):
        mine = g.add("Equal", choice, g.weight(f"is_{k}", np.array(k, np.int64)))
        at = g.add("Transpose", g.add("NonZero", mine), perm=[1, 0])
        total = g.add("ScatterND", total, at, spoken(write, expert, k, g.add("GatherND", rows, at)))
    by_task = g.add("Reshape", total, write.ints("tasks_shape", len(TASKS), -1, net.config.width))
    parts = g.add("Split", by_task, write.ints("one_each", *[1] * len(TASKS)), outputs=len(TASKS), axis=0)
    names = [parts, *(f"{parts}.{t}" for t in range(1, len(TASKS)))]
    return {t: g.add("Squeeze", part, write.ints("axis_0", 0)) for t, part in zip(TASKS, names, strict=True)}


def listener_macs(net: Listener) -> int:
    """Multiply-accumulates of one step of one stream: every matrix once, of the experts those that are asked."""
    matrices = sum(
        m.weight.numel() for n, m in net.named_modules() if isinstance(m, torch.nn.Linear) and "experts" not in n
    )
    matrices -= net.distil.weight.numel()
    taps = sum(b.depthwise.taps.numel() + 2 * net.config.width for b in net.blocks)
    asked = {"shared": 1, "dense": len(net.experts.experts)}.get(net.config.gate, len(TASKS))
    return matrices + taps + 4 * net.config.embedding + 2 * asked * net.experts.experts[0].widen.weight.numel()
