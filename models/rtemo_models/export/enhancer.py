"""One hop of the enhancer as an ONNX graph with explicit state, for n streams per call."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from rtemo_models.export.graph import GraphBuilder
from rtemo_models.export.layers import LayerWriter, array
from rtemo_models.nets.enhancer import Enhancer


def enhancer_graph(net: Enhancer, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `bands` float32 [n, mel_count], `bins` float32 [n, bins], `context` float32 [n, context], then the states.
    Outputs: `gain` float32 [n, bins], then `next_<state>`.
    """
    c = net.config
    g = GraphBuilder()
    bands, bins, context = (
        g.input("bands", (c.mel_count,)),
        g.input("bins", (c.bins,)),
        g.input("context", (c.context,)),
    )
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    low = g.add("Slice", bins, write.ints("zero", 0), write.ints("low_bins", c.low_bins), write.ints("axis_1", 1))
    now = write.level(bands, net.level, hops_axis=False)
    seen = write.relative(g.add("Concat", bands, low, axis=1), now, net.level)
    # What is seen and what was told go through one matrix.
    both = torch.cat([net.stem.weight, net.told.weight], 1)
    x = g.linear(g.add("Concat", seen, context, axis=1), "stem", array(both), array(net.stem.bias))
    for i, block in enumerate(net.blocks):
        x = write.gated_block(i, x, block)
    root = g.add("Sigmoid", write.linear(write.norm(x, "norm", net.norm), "out", net.out))
    g.output(g.add("Mul", root, g.add("Mul", root, root)), "gain", (c.bins,))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("merit-enhance", metadata)


def enhancer_macs(net: Enhancer) -> int:
    """Multiply-accumulates of one hop of one stream."""
    matrices = sum(m.weight.numel() for m in net.modules() if isinstance(m, torch.nn.Linear))
    return matrices + int(np.sum([b.taps.numel() + 2 * net.config.width for b in net.blocks]))
