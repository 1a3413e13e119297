"""Bundle: what was fitted, written as a folder with graph and card that any chain can name."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError, ModelCard, TensorSpec
from rtemo.api.text import shown
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.tuning.fit import Fitted
from rtemo.cli.tuning.head import Head
from rtemo.io.whole_file import part_of, write_whole
from rtemo.runtime.graph import check_graph
from rtemo.runtime.graph_head import add_head
from rtemo.runtime.store import CARD_FILE, Bundle, installed

RECIPE = "rtemo tune"
_WEIGHTS = "tuned.onnx"
_LICENCES = ("LICENSE", "NOTICE")
_CALIBRATION_OF_LOGITS = ("temperature", "unsure_below", "ece_", "accuracy_at_")
"""Beginnings of the names of what is found anew; thresholds of what else a bundle tells stay."""


def check_place(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier result, or cannot be made, before an hour of audio is heard.

    Raises:
        ConfigError: It does, it is no folder, or nothing can be written there.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {shown(out)} is a file", "name a folder")
    try:
        there = next(place for place in (out, *out.parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _unwritable(out, error) from None
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    ours = [out / name for name in (CARD_FILE, _WEIGHTS, *_LICENCES)]
    if names - {one.name for path in ours for one in (path, part_of(path))}:
        raise ConfigError(f"--out {shown(out)} holds other files than those of a tuned bundle", "name a new folder")


def tuned_card(
    card: ModelCard,
    name: str,
    graph: bytes,
    classes: Sequence[str],
    learnt: Fitted,
    fitted: Sequence[Clip],
    origin: str,
) -> ModelCard:
    """Describe a fitted bundle; scores and calibration are added when they are known."""
    counts = Counter(clip.label for clip in fitted)
    speakers = len({(clip.corpus, clip.speaker) for clip in fitted if clip.speaker})
    by = f" of {speakers} speakers" if speakers else ""
    told = ", ".join(f"{label} {counts[label]}" for label in classes)
    outputs = {**card.outputs, "logits": TensorSpec((len(classes),))}
    return msgspec.structs.replace(
        card,
        name=name,
        version=f"{card.version}+tuned",
        weights=_WEIGHTS,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        sources=(),
        licence=f"{card.licence}; and what the clips that it was fitted to allow",
        parameters=card.parameters + sum(np.size(part) for part in learnt.head),
        labels=tuple(classes),
        emotions={},
        outputs=outputs,
        training_data=(*card.training_data, f"{origin}: {len(fitted)} clips{by} ({told}), for {learnt.what}"),
        scores={},
        calibration={
            name: value for name, value in card.calibration.items() if not name.startswith(_CALIBRATION_OF_LOGITS)
        },
        limits=(
            f"Fitted from {card.name} {card.version} to {len(fitted)} clips of its user's own: what it is worth on "
            "other voices, rooms and lines is not known.",
            learnt.limit,
            *card.limits,
        ),
        recipe=RECIPE,
    )


def tuned_graph(
    data: bytes, features: str, card: ModelCard, head: Head, weights: Mapping[str, NDArray[np.float32]]
) -> bytes:
    """The bundle's graph with the new last layer, and with new matrices where there are any."""
    if weights:
        from rtemo.cli.tuning.layers import with_weights

        data = with_weights(data, weights)
    others = [name for name in card.outputs if name != "logits"]
    graph = add_head(data, features, others, head.from_features, head.from_logits, head.bias)
    check_graph(graph)
    return graph


def licences_of(bundle: Bundle, called: str) -> dict[str, bytes]:
    """Licence and notice that come with a bundle: in its folder, or with the distribution that brings it.

    Args:
        bundle: Of which.
        called: What the user calls it.
    """
    point = installed().get(called)
    places = [bundle.folder / name for name in _LICENCES]
    if point is not None and point.dist is not None:
        places += [Path(str(file.locate())) for file in point.dist.files or () if file.name in _LICENCES]
    return {path.name: path.read_bytes() for path in reversed(places) if path.is_file()}


def write_bundle(out: Path, card: ModelCard, graph: bytes, others: Mapping[str, bytes]) -> None:
    """Write graph and card, and files beside them, each whole or not at all.

    Raises:
        ConfigError: They cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in (*others.items(), (_WEIGHTS, graph), (CARD_FILE, text)):
            write_whole(out / name, data, 0o666)
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(f"--out {shown(out)} cannot be written ({error.strerror})", "choose another place")


def with_scores(card: ModelCard, scores: Mapping[str, float], calibration: Mapping[str, float]) -> ModelCard:
    """The card with what is known of its worth, figures cut to three places."""
    return msgspec.structs.replace(
        card,
        scores={"held_out": {name: round(value, 3) for name, value in scores.items()}} if scores else {},
        calibration=card.calibration | {name: round(value, 4) for name, value in calibration.items()},
    )
