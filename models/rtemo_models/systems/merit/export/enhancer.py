"""One hop of the enhancer as an ONNX graph with explicit state, for n streams per call."""

from collections.abc import Mapping

import onnx
import torch

from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_models.kit.export.layers import LayerWriter, array
from rtemo_models.systems.merit.net.enhancer import Enhancer
from rtemo_models.systems.merit.net.local import GROUP_BINS, LOCAL_BINS, RISE, VIEWS, LocalGains


def enhancer_graph(net: Enhancer, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `bands` float32 [n, mel_count], `bins` float32 [n, bins], `context` float32 [n, context], then the states.
    Outputs: `gain` float32 [n, bins], then `next_<state>`.
    """
    c = net.config
    g = GraphBuilder()
    bands, bins = g.input("bands", (c.mel_count,)), g.input("bins", (c.bins,))
    context = g.input("context", (c.context,))
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    axis = write.ints("axis_1", 1)
    now = write.level(bands, net.level, hops_axis=False)
    low = g.add("Slice", bins, write.ints("zero", 0), write.ints("low_bins", c.low_bins), axis)
    seen = write.relative(g.add("Concat", bands, low, axis=1), now, net.level)
    # What is seen and what was told go through one matrix.
    both = torch.cat([net.stem.weight, net.told.weight], 1)
    x = g.linear(g.add("Concat", seen, context, axis=1), "stem", array(both), array(net.stem.bias))
    for i, block in enumerate(net.blocks):
        x = write.gated_block(i, x, block)
    x = write.norm(x, "norm", net.norm)
    wanted = write.linear(x, "out", net.out)
    if net.local is not None:
        inner = g.add("Slice", bins, write.ints("zero", 0), write.ints("local_bins", LOCAL_BINS), axis)
        near = local_share(write, net.local, write.relative(inner, now, net.level), x)
        wanted = g.add("Add", wanted, g.add("Pad", near, write.ints("one_more_bin", 0, 0, 0, 1)))
    root = g.add("Sigmoid", wanted)
    g.output(g.add("Mul", root, g.add("Mul", root, root)), "gain", (c.bins,))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("merit-enhance", metadata)


def local_share(write: LayerWriter, local: LocalGains, logs: str, whole: str) -> str:
    """`LocalGains.step` and its weighted sum, [n, 256], from scaled logs [n, 256]."""
    g, states, after = write.graph, write.states, write.after
    axis = write.ints("axis_1", 1)
    around = g.add("Pad", logs, write.ints("two_on_both_sides", 0, 2, 0, 2))

    def moved(by: int) -> str:
        begin, end = write.ints(f"from_{by}", 2 + by), write.ints(f"to_{by}", 2 + by + LOCAL_BINS)
        return g.add("Slice", around, begin, end, axis)

    after["bins_before"] = g.add("Identity", logs)
    risen = g.add("Add", states["bins_floor"], g.scalar(RISE))
    floor = after["bins_floor"] = g.add("Min", logs, risen)
    now = g.add("Unsqueeze", logs, axis)
    pace = g.weight("pace", (1 - array(local.decays))[:, None])
    moves = g.add("Mul", g.add("Sub", now, states["bins_means"]), pace)
    means = after["bins_means"] = g.add("Add", states["bins_means"], moves)
    views = [
        logs,
        states["bins_before"],
        g.add("Add", moved(-1), moved(1)),
        g.add("Add", moved(-2), moved(2)),
        g.add("Sub", logs, floor),
    ]
    views = [g.add("Unsqueeze", view, axis) for view in views]
    every = g.add("Concat", *views, g.add("Sub", now, means), axis=1)
    shape = write.ints("grouped", 0, VIEWS, local.groups, GROUP_BINS)
    weights = write.linear(whole, "weigh", local.weigh)
    weights = g.add("Reshape", weights, write.ints("weights_shape", 0, VIEWS, local.groups, 1))
    weights = g.add("Add", weights, g.weight("own", array(local.own).reshape(VIEWS, local.groups, GROUP_BINS)))
    total = g.add("ReduceSum", g.add("Mul", g.add("Reshape", every, shape), weights), axis, keepdims=0)
    return g.add("Reshape", total, write.ints("bins_shape", 0, LOCAL_BINS))


def enhancer_macs(net: Enhancer) -> int:
    """Multiply-accumulates of one hop of one stream."""
    matrices = sum(m.weight.numel() for m in net.modules() if isinstance(m, torch.nn.Linear))
    local = 2 * VIEWS * LOCAL_BINS if net.local is not None else 0
    return matrices + local + sum(b.taps.numel() + 2 * net.config.width for b in net.blocks)
