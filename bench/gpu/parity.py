"""Parity: what torch says against ONNX Runtime on a CPU, hop by hop, with rows that come and go."""

import time
from collections.abc import Iterator

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from rtemo.api import ModelCard
from rtemo.runtime.onnx import OnnxHandle
from rtemo.runtime.store import find
from rtemo.runtime.torch import TorchHandle

NETWORKS = ("merit-enhance", "merit-listen", "gem", "ranker")
FLOAT_LIMIT = 1e-4
"""Largest difference of any output of any hop in float32."""
HALF_LIMIT = 0.01
HALF_SHARE = 0.999
"""In half precision: share of all output values that must agree to `HALF_LIMIT`.

Not all of them: a network that chooses an expert by the largest of several numbers chooses another where two are equal
to within the rounding, and what another expert says is another number altogether.
"""
_TURNOVER_STEPS = 50
_LEAST_STEPS = 120
"""So that rows come and go, however little time there is."""

Arrays = dict[str, NDArray[np.generic]]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How far one network was from ONNX Runtime."""

    network: str
    precision: str
    steps: int
    worst: float
    p99: float
    """99th percentile over all output values of all steps."""
    share_within: float
    """Share of the output values within the limit of its precision."""
    limit: float
    agrees: bool


def with_float_products(data: bytes) -> bytes:
    """Let ONNX Runtime multiply 8-bit weights with inputs that are not rounded.

    A rounded input makes parity a matter of luck: two sums that differ in their last bit may fall on either side of a
    step, and an expert is chosen by the largest of such numbers.
    """
    model = onnx.load_from_string(data)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 0
    return bytes(model.SerializeToString())


def drawn(described: ModelCard, count: int, rng: np.random.Generator) -> Arrays:
    """Inputs of the kind that the networks see, [count, ...] each."""
    given: Arrays = {}
    for name, spec in described.inputs.items():
        shape = (count, *spec.shape)
        if name == "weight":
            given[name] = (rng.random(shape) > 0.3).astype(np.float32)
        elif name in ("bands", "bins"):
            given[name] = rng.normal(-6.0, 3.0, shape).astype(np.float32)
        elif name == "gate":
            given[name] = rng.dirichlet(np.ones(spec.shape[-1]), count).astype(np.float32)
        else:
            given[name] = rng.normal(0.0, 1.0, shape).astype(np.float32)
    return given


def walk(
    card: ModelCard, ours: TorchHandle, theirs: OnnxHandle, steps: int, capacity: int = 6
) -> Iterator[tuple[Arrays, Arrays]]:
    """Run both over rows that come and go, and give what each said at every step."""
    our_state, their_state = ours.new_state(capacity), theirs.new_state(capacity)
    rng = np.random.default_rng(7)
    n = 1
    for step in range(steps):
        if step % _TURNOVER_STEPS == _TURNOVER_STEPS - 1:
            if n == capacity or (n > 1 and rng.random() < 0.5):
                row = int(rng.integers(n))
                n -= 1
                our_state.retire(row, n)
                their_state.retire(row, n)
            else:
                our_state.admit(n)
                their_state.admit(n)
                n += 1
        rows = n if rng.random() < 0.5 else rng.permutation(n)[: rng.integers(1, n + 1)].astype(np.int64)
        given = drawn(card, rows if isinstance(rows, int) else len(rows), rng)
        found, wanted = ours.run(given, our_state, rows), theirs.run(given, their_state, rows)
        if found.keys() != wanted.keys():
            raise ValueError(f"{card.name} gives {sorted(found)} by torch and {sorted(wanted)} by ONNX Runtime")
        yield found, wanted


def measure_parity(network: str, device: str, precision: str, steps: int, seconds: float) -> Parity:
    """Compare one network, for so many steps or so many seconds."""
    bundle = find(network)
    data = with_float_products(bundle.read_weights())
    is_half = precision == "half"
    ours = TorchHandle(bundle.card, data, device, half=is_half, exact=False)
    gaps: list[NDArray[np.float64]] = []
    deadline_s = time.monotonic() + seconds
    for found, wanted in walk(bundle.card, ours, OnnxHandle(bundle.card, data), steps):
        gaps.append(np.concatenate([_gap(found[name], wanted[name]) for name in wanted]))
        if len(gaps) >= _LEAST_STEPS and time.monotonic() > deadline_s:
            break
    gap = np.concatenate(gaps)
    limit = HALF_LIMIT if is_half else FLOAT_LIMIT
    share = float(np.mean(gap < limit))
    return Parity(
        network=network,
        precision=precision,
        steps=len(gaps),
        worst=float(gap.max()),
        p99=float(np.percentile(gap, 99)),
        share_within=share,
        limit=limit,
        agrees=share >= HALF_SHARE if is_half else share == 1.0,
    )


def _gap(found: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.abs(found.astype(np.float64) - wanted.astype(np.float64)).ravel()
