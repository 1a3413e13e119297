"""Layers of the streaming networks as ONNX nodes, mirroring their `step` in torch node by node."""

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_models.kit.nets.gated import GatedBlock
from rtemo_models.kit.nets.streaming import AttentivePool, CausalBlock, RunningLevel

Names = dict[str, str]
"""State name → value in the graph."""


def array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """A parameter as a NumPy array."""
    return tensor.detach().numpy().astype(np.float32)


class LayerWriter:
    """Writes layers into a graph; `states` are the inputs that carry state, `after` collects what becomes of them."""

    def __init__(self, graph: GraphBuilder, states: Names) -> None:
        self.graph, self.states = graph, states
        self.after: Names = {}

    def ints(self, name: str, *values: int) -> str:
        """An int64 constant, for axes and shapes."""
        return self.graph.weight(name, np.array(values, np.int64))

    def linear(self, x: str, name: str, layer: torch.nn.Linear) -> str:
        """A fully connected layer."""
        bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
        return self.graph.linear(x, name, array(layer.weight), array(bias))

    def norm(self, x: str, name: str, layer: torch.nn.LayerNorm) -> str:
        """A layer norm over the last axis."""
        scale = self.graph.weight(f"{name}.scale", array(layer.weight))
        bias = self.graph.weight(f"{name}.bias", array(layer.bias))
        return self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=layer.eps)

    def level(self, bands: str, level: RunningLevel, hops_axis: bool) -> str:
        """The running level [n, 1] after a step of bands [n, mel_count], or [n, hops, mel_count]."""
        g = self.graph
        band_axis = 2 if hops_axis else 1
        power = g.add("ReduceMean", g.add("Exp", bands), axes=[band_axis], keepdims=0 if hops_axis else 1)
        amplitude = g.add("Sqrt", power)
        weighted = g.add("Mul", amplitude, g.add("Log", power))
        decay = g.scalar(level.decay)
        for name, value in (("level_sum", weighted), ("level_mass", amplitude)):
            mean = g.add("ReduceMean", value, axes=[1], keepdims=1) if hops_axis else value
            self.after[name] = g.add("Add", g.add("Mul", self.states[name], decay), mean)
        return g.add("Div", self.after["level_sum"], self.after["level_mass"])

    def relative(self, logs: str, now: str, level: RunningLevel) -> str:
        """Logs [n, values] relative to the level, limited and scaled."""
        g = self.graph
        limited = g.add("Clip", g.add("Sub", logs, now), g.scalar(level.low), g.scalar(level.high))
        return g.add("Mul", limited, g.scalar(level.scale))

    def line(self, x: str, name: str) -> str:
        """The last steps and this one, [n, context + 1, width]; the oldest falls out of the state."""
        g = self.graph
        axis = self.ints("axis_1", 1)
        line = g.add("Concat", self.states[name], g.add("Unsqueeze", x, axis), axis=1)
        self.after[name] = g.add("Slice", line, self.ints("one", 1), self.ints("end", 2**31 - 1), axis)
        return line

    def taps(self, line: str, name: str, taps: NDArray[np.float32]) -> str:
        """Weighted sum over the steps of a line."""
        g = self.graph
        return g.add("ReduceSum", g.add("Mul", line, g.weight(name, taps)), self.ints("axis_1", 1), keepdims=0)

    def causal_block(self, i: int, x: str, block: CausalBlock) -> str:
        """`CausalBlock.step`."""
        g, layer = self.graph, block.depthwise
        # Taps between the dilated ones are zero: a product with them costs less than gathering the others.
        taps = np.zeros((layer.context + 1, layer.taps.shape[1]), np.float32)
        taps[:: layer.dilation] = array(layer.taps)
        heard = self.taps(self.line(x, f"past_{i}"), f"taps_{i}", taps)
        memory = f"memory_{i}"
        self.after[memory] = g.add(
            "Add", g.add("Mul", self.states[memory], g.weight(f"decay_{i}", array(layer.decay))), x
        )
        kept = g.add("Mul", self.after[memory], g.weight(f"memory_weight_{i}", array(layer.memory_weight())))
        y = g.add("Add", g.add("Add", heard, g.weight(f"bias_{i}", array(layer.bias))), kept)
        y = g.add("Relu", self.linear(self.norm(y, f"norm_{i}", block.norm), f"widen_{i}", block.widen))
        return g.add("Add", x, self.linear(y, f"narrow_{i}", block.narrow))

    def gated_block(self, i: int, x: str, block: GatedBlock) -> str:
        """`GatedBlock.step`."""
        g, width = self.graph, block.out.out_features
        y = self.taps(self.line(self.norm(x, f"norm_{i}", block.norm), f"past_{i}"), f"taps_{i}", array(block.taps))
        parts = g.add(
            "Split", self.linear(y, f"gates_{i}", block.gates), self.ints("thirds", *[width] * 3), outputs=3, axis=1
        )
        forget = g.add("Sigmoid", parts)
        # forget · memory + (1 - forget) · value, with one product less
        change = g.add("Mul", forget, g.add("Sub", self.states[f"memory_{i}"], f"{parts}.1"))
        memory = self.after[f"memory_{i}"] = g.add("Add", f"{parts}.1", change)
        shown = g.add("Mul", f"{parts}.2", g.add("Sigmoid", f"{parts}.2"))
        return g.add("Add", x, self.linear(g.add("Mul", memory, shown), f"out_{i}", block.out))

    def pool(self, x: str, weight: str, pool: AttentivePool) -> str:
        """`AttentivePool.step` of embedded steps [n, width] with weights [n, hops]: statistics [n, 2 · width]."""
        g, width = self.graph, pool.hidden.in_features
        hidden = g.add("Tanh", self.linear(x, "attention", pool.hidden))
        last = self.ints("axis_2", 2)
        score = g.add("Unsqueeze", self.linear(hidden, "score", pool.score), last)
        top = self.after["pool_max"] = g.add("Max", self.states["pool_max"], score)
        keep = g.add("Exp", g.add("Sub", self.states["pool_max"], top))
        share = g.add("Unsqueeze", g.add("ReduceMean", weight, axes=[1], keepdims=1), last)
        p = g.add("Mul", g.add("Exp", g.add("Sub", score, top)), share)
        grouped = g.add("Reshape", x, self.ints("head_shape", 0, pool.heads, width // pool.heads))
        gained = g.add("Mul", p, grouped)
        new = {"pool_mass": p, "pool_sum": gained, "pool_square": g.add("Mul", gained, grouped)}
        for name, value in new.items():
            self.after[name] = g.add("Add", g.add("Mul", self.states[name], keep), value)
        inverse = g.add("Reciprocal", g.add("Max", self.after["pool_mass"], g.scalar(1e-20)))
        mean = g.add("Mul", self.after["pool_sum"], inverse)
        spread = g.add("Sub", g.add("Mul", self.after["pool_square"], inverse), g.add("Mul", mean, mean))
        deviation = g.add("Sqrt", g.add("Max", spread, g.scalar(1e-5)))
        flat = self.ints("flat_shape", 0, width)
        return g.add("Concat", g.add("Reshape", mean, flat), g.add("Reshape", deviation, flat), axis=1)
