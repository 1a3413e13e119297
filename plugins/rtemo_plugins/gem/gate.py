"""Gate: which expert is asked, from what is known of the emotion."""

from typing import Any

import numpy as np

from rtemo.api import EMOTIONS, EXPERT_OF, EXPERTS, GATE_POWER
from rtemo.dsp.kernel import kernel

UNIFORM = 1.0 / len(EXPERTS)
"""Share of each expert as long as the emotion is not known."""

_KEPT = np.float32(0.7)
_POWER = np.float32(GATE_POWER)
_EXPERT_OF = np.array([EXPERTS.index(EXPERT_OF[emotion]) for emotion in EMOTIONS])


@kernel
def move_gate(posterior: Any, gate: Any) -> None:
    """Move one stream's gate toward what the emotions say, in place.

    Args:
        posterior: float32 [8] in the order of `EMOTIONS`; NaN, or nothing at all, is unknown.
        gate: float32 [4], sums to 1.
    """
    known = np.float32(0.0)
    for emotion in range(posterior.size):
        known += posterior[emotion]
    is_known = known > 0.0  # false for NaN too
    for expert in range(gate.size):
        gate[expert] *= _KEPT
        if not is_known:
            gate[expert] += (np.float32(1.0) - _KEPT) * np.float32(UNIFORM)
    if is_known:
        for emotion in range(posterior.size):
            gate[_EXPERT_OF[emotion]] += (np.float32(1.0) - _KEPT) * posterior[emotion] / known


@kernel
def sharpen_gate(gate: Any, sharp: Any) -> None:
    """Write one stream's gate as experts are mixed by it: its shares to the power `GATE_POWER`, scaled to sum to 1.

    Args:
        gate: float32 [4], sums to 1.
        sharp: float32 [4], written.
    """
    total = np.float32(0.0)
    for expert in range(gate.size):
        sharp[expert] = gate[expert] ** _POWER
        total += sharp[expert]
    for expert in range(gate.size):
        sharp[expert] /= total
