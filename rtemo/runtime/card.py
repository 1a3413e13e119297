"""What a card may ask for: checked before anything is allocated for it."""

import math
import re
from urllib.parse import urlsplit

import numpy as np

from rtemo.api import FromFile, FromParts, FromUrl, ModelCard, TensorSpec, WeightsSource

_DTYPES = ("float32", "float64", "float16", "int64", "int32", "uint8", "bool")
_MOST_TENSORS = 512
_MOST_AXES = 8
_MOST_ROW_ITEMS = 1 << 20
"""Items of one row of a tensor; a table holds as many rows as the engine has streams."""
_MOST_STATE_ITEMS = 1 << 21
_MOST_CONSTANT_ITEMS = 1 << 24
_LONGEST_S = 60.0
_MOST_RATE_HZ = 768_000
_MOST_FILES = 64
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
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
    problem = _fault_of_files(card)
    if problem:
        return problem
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


def _fault_of_files(card: ModelCard) -> str:
    weights = card.weights.rpartition(":")[2].rpartition("/")[2]
    if card.files and card.runtime == "onnx" and card.task != "voice":
        return f"names files besides the weights ({next(iter(card.files))[:80]!r}), which a graph must not have"
    sources = list(card.sources)
    for name, file in card.files.items():
        if not _FILE_NAME.fullmatch(name) or name == weights:
            return f"names a file {name[:80]!r}, expected a plain name, once"
        if not _SHA256.fullmatch(file.sha256):
            return f"states {file.sha256[:80]!r} as sha256 of {name!r}, expected 64 hexadecimal digits"
        sources += file.sources
    if len(card.files) > _MOST_FILES or len(sources) > _MOST_FILES:
        return f"names more than {_MOST_FILES} files, or sources of them"
    return next(filter(None, map(_fault_of_source, sources)), "")


def _fault_of_source(source: WeightsSource) -> str:
    if isinstance(source, FromUrl):
        try:
            parts = urlsplit(source.url)
            is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        except ValueError:
            is_good = False
        is_good = is_good and source.url.isascii() and source.url.isprintable() and " " not in source.url
        return "" if is_good else f"gives the address {source.url[:80]!r}, expected http:// or https:// and a file"
    if isinstance(source, FromFile):
        return ""  # whether it leaves its folder is seen where it is looked for
    files = source.parts if isinstance(source, FromParts) else (source.file,)
    if not 1 <= len(files) <= _MOST_FILES:
        return f"joins {len(files)} parts, expected 1 to {_MOST_FILES}"
    for file in files:
        if not all(map(str.isidentifier, file.package.split("."))):
            return f"names the package {file.package[:80]!r}, expected a name that can be imported"
        if not _DISTRIBUTION.fullmatch(file.to_install):
            return f"names the distribution {file.to_install[:80]!r}, expected a name that can be installed"
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
