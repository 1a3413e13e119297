"""One step of the listener as an ONNX graph with explicit state, for n streams per call."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from rtemo.api.events import EMOTIONS
from rtemo_models.export.graph import GraphBuilder
from rtemo_models.export.layers import LayerWriter, array
from rtemo_models.nets.listener import TASKS, Listener


def listener_graph(net: Listener, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `bands` float32 [n, hops, mel_count], `weight` float32 [n, hops], then the states. Outputs: `logits`
    [n, 8], `arousal` [n], `valence` [n], `context` [n, context], `experts` [n, 2] (the indices that the routers of
    emotion and enhancement chose), then `next_<state>`.
    """
    c = net.config
    g = GraphBuilder()
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
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("merit-listen", metadata)


def consulted(write: LayerWriter, net: Listener, x: str) -> tuple[dict[str, str], str]:
    """What the chosen experts say to each task, [n, width], and the choices, [n, 2].

    All experts' first layers are one matrix that both tasks share; what was not chosen is blanked in between. For a
    batch that is faster than picking the matrices of each row, see `bench/speed/experts.py`.
    """
    g, experts = write.graph, net.experts.experts
    first = np.concatenate([array(e.widen.weight) for e in experts])
    hidden = g.add("Relu", g.linear(x, "widen", first, np.concatenate([array(e.widen.bias) for e in experts])))
    second = np.concatenate([array(e.narrow.weight) for e in experts], 1)
    bias = np.stack([array(e.narrow.bias) for e in experts])
    spread = np.repeat(np.eye(len(experts), dtype=np.float32), experts[0].widen.out_features, 1)
    words, chosen = {}, []
    for task in TASKS:
        weights, index = routed(write, net, task, x)
        chosen.append(index)
        kept = g.add("Mul", hidden, g.add("MatMul", weights, g.weight("spread", spread)))
        said = g.add("MatMul", kept, g.weight("narrow", np.ascontiguousarray(second.T)))
        words[task] = g.add("Add", x, g.add("Add", said, g.add("MatMul", weights, g.weight("narrow_bias", bias))))
    return words, g.add("Concat", *chosen, axis=1)


def routed(write: LayerWriter, net: Listener, task: str, x: str) -> tuple[str, str]:
    """Weights of the experts [n, experts] and the index of the chosen one as a number, [n, 1]."""
    g = write.graph
    if not len(net.routers):
        nothing = g.add("Mul", g.add("ReduceMax", x, axes=[1], keepdims=1), g.scalar(0.0))
        return g.add("Add", nothing, g.scalar(1.0)), nothing
    router = net.routers[task]
    weights = g.add("Softmax", write.linear(x, f"{task}.router", router.linear), axis=1)
    index = g.add("Cast", g.add("ArgMax", weights, axis=1, keepdims=1), to=onnx.TensorProto.FLOAT)
    if router.gate != "dense":
        top = g.add("ReduceMax", weights, axes=[1], keepdims=1)
        hard = g.add("Cast", g.add("Equal", weights, top), to=onnx.TensorProto.FLOAT)
        weights = g.add("Mul", weights, hard) if router.gate == "top1_scaled" else hard
    return weights, index


def listener_macs(net: Listener) -> tuple[int, int]:
    """Multiply-accumulates of one step of one stream: with chosen experts only, and as the graph computes them."""
    matrices = sum(
        m.weight.numel() for n, m in net.named_modules() if isinstance(m, torch.nn.Linear) and "experts" not in n
    )
    matrices -= net.distil.weight.numel()
    taps = sum(b.depthwise.taps.numel() + 2 * net.config.width for b in net.blocks)
    other = matrices + taps + 4 * net.config.embedding
    one, count = net.experts.experts[0].widen.weight.numel(), len(net.experts.experts)
    return other + 2 * len(TASKS) * one, other + (1 + len(TASKS)) * count * one
