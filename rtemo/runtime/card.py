"""What a card may ask for: checked before anything is allocated for it."""

import math
import re

import numpy as np

from rtemo.api import ModelCard, TensorSpec

_DTYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool")
_MOST_TENSORS = 512
_MOST_AXES = 8
_MOST_ROW_ITEMS = 1 << 20
"""Items of one row of a tensor; a table holds as many rows as the engine has streams."""
_MOST_STATE_ITEMS = 1 << 21
_MOST_CONSTANT_ITEMS = 1 << 24
_LONGEST_S = 60.0
_MOST_RATE_HZ = 768_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def fault_of(card: ModelCard) -> str:
    """Tell what is impossible about a card, completing the sentence 'the card …'; empty when nothing is."""
    if not (card.name and card.name.isprintable()):
        return "has no name that can be shown"
    if not _SHA256.fullmatch(card.sha256):
        return f"states {card.sha256[:80]!r} as sha256, expected 64 hexadecimal digits"
    if not (1 <= card.sample_rate_hz <= _MOST_RATE_HZ):
        return f"states a rate of {card.sample_rate_hz} Hz, expected 1 to {_MOST_RATE_HZ}"
    longest_samples = round(_LONGEST_S * card.sample_rate_hz)
    for field, least in (("hop_samples", 1), ("hops_per_step", 1), ("lookahead_samples", 0), ("latency_samples", 0)):
        value = getattr(card, field)
        if not least <= value <= longest_samples:
            return f"states {field} {value}, expected {least} to {longest_samples}"
    groups = {"input": card.inputs, "state": card.states, "output": card.outputs, "constant": card.constants}
    if sum(map(len, groups.values())) > _MOST_TENSORS:
        return f"names more than {_MOST_TENSORS} tensors"
    for group, specs in groups.items():
        most = _MOST_CONSTANT_ITEMS if group == "constant" else _MOST_ROW_ITEMS
        for name, spec in specs.items():
            problem = _fault_of_tensor(spec, most)
            if problem:
                return f"gives {group} {name[:80]!r} {problem}"
    for group in ("state", "constant"):
        items = sum(math.prod(spec.shape) for spec in groups[group].values())
        most = _MOST_CONSTANT_ITEMS if group == "constant" else _MOST_STATE_ITEMS
        if items > most:
            return f"wants {items} items of {group} in all, at most {most} are given"
    return ""


def _fault_of_tensor(spec: TensorSpec, most_items: int) -> str:
    if spec.dtype not in _DTYPES:
        return f"the type {spec.dtype[:80]!r}, expected one of {', '.join(_DTYPES)}"
    if len(spec.shape) > _MOST_AXES or any(size < 0 for size in spec.shape) or math.prod(spec.shape) > most_items:
        shape = str(list(spec.shape))[:80]
        return f"the shape {shape}, expected at most {_MOST_AXES} axes and {most_items} items"
    if not 0 <= spec.batch_axis <= len(spec.shape):
        return f"the batch axis {spec.batch_axis}, expected 0 to {len(spec.shape)}"
    if spec.dtype.startswith("float"):
        return ""
    low, high = (0, 1) if spec.dtype == "bool" else (np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max)
    if not (math.isfinite(spec.fill) and low <= spec.fill <= high and spec.fill == int(spec.fill)):
        return f"the fill {spec.fill}, which {spec.dtype} cannot hold"
    return ""
