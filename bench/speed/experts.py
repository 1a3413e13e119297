"""Does it pay to compute only the chosen experts? `python -m bench.speed.experts`.

Three graphs with the shapes of the listener's experts (4 of 192 → 192 → 192, two tasks, one expert per row and task),
the same answer, one thread:

- every: the first layers of all experts as one matrix for both tasks, what was not chosen blanked, second layers as one
- picked: each row's own matrices gathered, one small product per row
- grouped: for each expert the rows that chose it gathered, computed and put back, both tasks at once (what is shipped)
"""

import argparse
import time

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto

from rtemo_models.kit.export.graph import GraphBuilder

WIDTH, HIDDEN, EXPERTS, TASKS = 192, 192, 4, 2
COUNTS = (1, 4, 16, 64, 256)
Matrices = tuple[NDArray[np.float32], NDArray[np.float32]]


def matrices() -> Matrices:
    """First and second layers of all experts, [experts, width, hidden] and [experts, hidden, width]."""
    random = np.random.default_rng(0)
    first = random.standard_normal((EXPERTS, WIDTH, HIDDEN)) / np.sqrt(WIDTH)
    second = random.standard_normal((EXPERTS, HIDDEN, WIDTH)) / np.sqrt(HIDDEN)
    return first.astype(np.float32), second.astype(np.float32)


def chosen(g: GraphBuilder, task: int) -> str:
    """Index of the expert of each row, int64 [n]."""
    return g.add("Cast", g.input(f"expert_{task}", ()), to=TensorProto.INT64)


def every(g: GraphBuilder, x: str, first: NDArray[np.float32], second: NDArray[np.float32]) -> list[str]:
    """All experts for all rows."""
    side_by_side = np.ascontiguousarray(first.transpose(1, 0, 2).reshape(WIDTH, -1))
    hidden = g.add("Relu", g.add("MatMul", x, g.weight("first", side_by_side)))
    stacked = g.weight("second", second.reshape(-1, WIDTH))
    masks = g.weight("masks", np.repeat(np.eye(EXPERTS, dtype=np.float32), HIDDEN, 1))
    return [
        g.add("MatMul", g.add("Mul", hidden, g.add("Gather", masks, chosen(g, t), axis=0)), stacked)
        for t in range(TASKS)
    ]


def picked(g: GraphBuilder, x: str, first: NDArray[np.float32], second: NDArray[np.float32]) -> list[str]:
    """Each row's own matrices."""
    row = g.add("Unsqueeze", x, g.weight("axis", np.array([1], np.int64)))
    one, two, out = g.weight("first", first), g.weight("second", second), []
    for t in range(TASKS):
        index = chosen(g, t)
        hidden = g.add("Relu", g.add("MatMul", row, g.add("Gather", one, index, axis=0)))
        said = g.add("MatMul", hidden, g.add("Gather", two, index, axis=0))
        out.append(g.add("Squeeze", said, g.weight("axis", np.array([1], np.int64))))
    return out


def grouped(g: GraphBuilder, x: str, first: NDArray[np.float32], second: NDArray[np.float32]) -> list[str]:
    """Each expert's own rows."""
    rows = g.add("Concat", *[x] * TASKS, axis=0)
    index = g.add("Concat", *(chosen(g, t) for t in range(TASKS)), axis=0)
    total = g.add("Mul", rows, g.scalar(0.0))
    for k in range(EXPERTS):
        mine = g.add("Equal", index, g.weight(f"is_{k}", np.array(k, np.int64)))
        at = g.add("Transpose", g.add("NonZero", mine), perm=[1, 0])
        hidden = g.add("Relu", g.add("MatMul", g.add("GatherND", rows, at), g.weight(f"first_{k}", first[k])))
        total = g.add("ScatterND", total, at, g.add("MatMul", hidden, g.weight(f"second_{k}", second[k])))
    by_task = g.add("Reshape", total, g.weight("shape", np.array([TASKS, -1, WIDTH], np.int64)))
    parts = g.add("Split", by_task, g.weight("each", np.ones(TASKS, np.int64)), outputs=TASKS, axis=0)
    axis = g.weight("axis_0", np.array([0], np.int64))
    return [g.add("Squeeze", name, axis) for name in (parts, *(f"{parts}.{t}" for t in range(1, TASKS)))]


def session(form: object) -> onnxruntime.InferenceSession:
    """A graph of one form, one thread."""
    g = GraphBuilder()
    x = g.input("x", (WIDTH,))
    for t, value in enumerate(form(g, x, *matrices())):  # type: ignore[operator]
        g.output(value, f"said_{t}", (WIDTH,))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(g.model("experts", {}).SerializeToString(), options)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="per form and number of rows")
    options = parser.parse_args()
    sessions = {form.__name__: session(form) for form in (every, picked, grouped)}
    print("| rows | " + " | ".join(f"{name}, us" for name in sessions) + " |")
    print("|---|" + "---|" * len(sessions))
    random = np.random.default_rng(1)
    for n in COUNTS:
        feeds = {"x": random.standard_normal((n, WIDTH)).astype(np.float32)}
        feeds |= {f"expert_{t}": random.integers(EXPERTS, size=n).astype(np.float32) for t in range(TASKS)}
        wanted = sessions["every"].run(None, feeds)
        cells = []
        for running in sessions.values():
            for got, other in zip(running.run(None, feeds), wanted, strict=True):
                np.testing.assert_allclose(got, other, atol=1e-3)
            taken_us = []
            end_s = time.monotonic() + options.seconds
            while time.monotonic() < end_s:
                began_ns = time.perf_counter_ns()
                running.run(None, feeds)
                taken_us.append((time.perf_counter_ns() - began_ns) / 1e3)
            cells.append(f"{np.median(taken_us):.0f}")
        print(f"| {n} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
