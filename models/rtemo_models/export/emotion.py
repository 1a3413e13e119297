"""The step of the emotion network as one ONNX graph with explicit state, for n streams per call."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from rtemo.api.events import EMOTIONS
from rtemo_models.export.graph import GraphBuilder
from rtemo_models.nets.emotion import EmotionNet


def array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """A parameter as a NumPy array."""
    return tensor.detach().numpy().astype(np.float32)


class EmotionExport:
    """Writes the graph of a trained network, mirroring `EmotionNet.step` node by node."""

    def __init__(self, net: EmotionNet) -> None:
        self.net = net
        self.graph = GraphBuilder()

    def build(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Build the graph.

        Inputs: `logmel` float32 [n, hops, mel_count], `weight` float32 [n, hops], then the states of
        `EmotionNet.state_shapes`. Outputs: `logits` [n, 8], `arousal` [n], `valence` [n], then `next_<state>`.
        """
        g, net, c = self.graph, self.net, self.net.config
        logmel = g.input("logmel", (c.hops_per_step, c.mel_count))
        weight = g.input("weight", (c.hops_per_step,))
        states = {name: g.input(name, shape) for name, shape in net.state_shapes().items()}
        after: dict[str, str] = {}
        x = self._front(logmel, states, after)
        for i in range(len(c.dilations)):
            x = self._block(i, x, states, after)
        x = self._norm(x, "norm", net.norm)
        x = g.add("Relu", self._linear(x, "embed", net.embed))
        statistics = self._pool(x, weight, states, after)
        hidden = g.add("Relu", self._linear(statistics, "hidden", net.hidden))
        emotions, bias, count = array(net.out.weight), array(net.out.bias), len(EMOTIONS)
        logits = g.linear(hidden, "emotions", emotions[:count], bias[:count])
        circumplex = g.add("Tanh", g.linear(hidden, "circumplex", emotions[count:], bias[count:]))
        split = g.add("Split", circumplex, g.weight("one_each", np.array([1, 1], np.int64)), outputs=2, axis=1)
        last = g.weight("axis_1", np.array([1], np.int64))
        arousal, valence = g.add("Squeeze", split, last), g.add("Squeeze", f"{split}.1", last)
        g.output(logits, "logits", (count,))
        g.output(arousal, "arousal", ())
        g.output(valence, "valence", ())
        for name, shape in net.state_shapes().items():
            g.output(after[name], f"next_{name}", shape)
        return g.model("emotion", metadata)

    def _linear(self, x: str, name: str, layer: torch.nn.Linear) -> str:
        return self.graph.linear(x, name, array(layer.weight), array(layer.bias))

    def _norm(self, x: str, name: str, layer: torch.nn.LayerNorm) -> str:
        scale = self.graph.weight(f"{name}.scale", array(layer.weight))
        bias = self.graph.weight(f"{name}.bias", array(layer.bias))
        return self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=layer.eps)

    def _front(self, logmel: str, states: dict[str, str], after: dict[str, str]) -> str:
        g, net, c = self.graph, self.net, self.net.config
        power = g.add("ReduceMean", g.add("Exp", logmel), axes=[2], keepdims=0)
        amplitude = g.add("Sqrt", power)
        weighted = g.add("Mul", amplitude, g.add("Log", power))
        decay = g.scalar(net.level.decay)
        for name, value in (("level_sum", weighted), ("level_mass", amplitude)):
            kept = g.add("Mul", states[name], decay)
            after[name] = g.add("Add", kept, g.add("ReduceMean", value, axes=[1], keepdims=1))
        level = g.add("Div", after["level_sum"], after["level_mass"])
        shape = g.weight("step_shape", np.array([0, c.hops_per_step * c.mel_count], np.int64))
        relative = g.add("Sub", g.add("Reshape", logmel, shape), level)
        limited = g.add("Clip", relative, g.scalar(net.level.low), g.scalar(net.level.high))
        after["frames"] = g.add("Mul", limited, g.scalar(net.level.scale))
        return self._linear(g.add("Concat", states["frames"], after["frames"], axis=1), "stem", net.stem)

    def _block(self, i: int, x: str, states: dict[str, str], after: dict[str, str]) -> str:
        g, block = self.graph, self.net.blocks[i]
        layer = block.depthwise
        axis = g.weight("axis_1", np.array([1], np.int64))
        line = g.add("Concat", states[f"past_{i}"], g.add("Unsqueeze", x, axis), axis=1)
        one, end = g.weight("one", np.array([1], np.int64)), g.weight("end", np.array([2**31 - 1], np.int64))
        after[f"past_{i}"] = g.add("Slice", line, one, end, axis)
        # Taps between the dilated ones are zero: a product with them costs less than gathering the others.
        taps = np.zeros((layer.context + 1, layer.taps.shape[1]), np.float32)
        taps[:: layer.dilation] = array(layer.taps)
        heard = g.add("ReduceSum", g.add("Mul", line, g.weight(f"taps_{i}", taps)), axis, keepdims=0)
        decay = g.weight(f"decay_{i}", array(layer.decay))
        after[f"memory_{i}"] = g.add("Add", g.add("Mul", states[f"memory_{i}"], decay), x)
        kept = g.add("Mul", after[f"memory_{i}"], g.weight(f"memory_weight_{i}", array(layer.memory_weight())))
        y = g.add("Add", g.add("Add", heard, g.weight(f"bias_{i}", array(layer.bias))), kept)
        y = self._norm(y, f"norm_{i}", block.norm)
        y = g.add("Relu", self._linear(y, f"widen_{i}", block.widen))
        return g.add("Add", x, self._linear(y, f"narrow_{i}", block.narrow))

    def _pool(self, x: str, weight: str, states: dict[str, str], after: dict[str, str]) -> str:
        g, pool, c = self.graph, self.net.pool, self.net.config
        hidden = g.add("Tanh", self._linear(x, "attention", pool.hidden))
        last = g.weight("axis_2", np.array([2], np.int64))
        score = g.add("Unsqueeze", self._linear(hidden, "score", pool.score), last)
        top = after["pool_max"] = g.add("Max", states["pool_max"], score)
        keep = g.add("Exp", g.add("Sub", states["pool_max"], top))
        share = g.add("Unsqueeze", g.add("ReduceMean", weight, axes=[1], keepdims=1), last)
        p = g.add("Mul", g.add("Exp", g.add("Sub", score, top)), share)
        heads = g.weight("head_shape", np.array([0, c.heads, c.embedding // c.heads], np.int64))
        grouped = g.add("Reshape", x, heads)
        gained = g.add("Mul", p, grouped)
        new = {"pool_mass": p, "pool_sum": gained, "pool_square": g.add("Mul", gained, grouped)}
        for name, value in new.items():
            after[name] = g.add("Add", g.add("Mul", states[name], keep), value)
        inverse = g.add("Reciprocal", g.add("Max", after["pool_mass"], g.scalar(1e-20)))
        mean = g.add("Mul", after["pool_sum"], inverse)
        spread = g.add("Sub", g.add("Mul", after["pool_square"], inverse), g.add("Mul", mean, mean))
        deviation = g.add("Sqrt", g.add("Max", spread, g.scalar(1e-5)))
        flat = g.weight("flat_shape", np.array([0, c.embedding], np.int64))
        return g.add("Concat", g.add("Reshape", mean, flat), g.add("Reshape", deviation, flat), axis=1)
