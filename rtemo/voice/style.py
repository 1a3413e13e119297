"""Styles: a voice as a vector, one of the package's, a mixture of them, or one fitted to a reference."""

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import Consent
from rtemo.voice.errors import VoiceError

_MOST_BYTES = 1 << 20
_MOST_WEIGHT = 4.0
_MOST_BINS = 1024
_LEAST_FORMANTS, _MOST_FORMANTS = 0.5, 2.0


class FittedStyle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A style that was fitted to a recording of somebody, as it is kept in a file (JSON).

    Attributes:
        bundle: Name of the voice model it is for.
        style: The vector.
        consent: By whose word; without it no such file is made.
        pitch_hz: Median pitch of the reference.
        pitch_range_semitones: 10th to 90th percentile of its pitch.
        formants: Factor by which they lie above those that the model gives this style.
        colour_db: What gives its speech the long-term spectrum of the reference, evenly spaced from 0 to 8 kHz.
        similarity: Speaker cosine that was reached, and of the nearest voice of the package.
        reference_s: Speech it was fitted to.
    """

    bundle: str
    style: tuple[float, ...]
    consent: Consent
    pitch_hz: float
    pitch_range_semitones: float
    formants: float = 1.0
    colour_db: tuple[float, ...] = ()
    similarity: dict[str, float] = {}
    reference_s: float = 0.0


class Style:
    """A voice for phrases of any length.

    Args:
        table: float32 [lengths, width], the style for each count of signs; one row serves all.
        name: What the user calls it.
        fitted: What it was fitted to, if it was.

    Attributes:
        pitch_hz: Median pitch that it speaks at; 0 leaves that to the model.
        formants: Factor by which its formants lie above those of the model.
        colour_db: Filter that what it says passes; empty for none.
    """

    def __init__(self, table: NDArray[np.float32], name: str, fitted: FittedStyle | None = None) -> None:
        self.table = np.atleast_2d(np.asarray(table, np.float32))
        self.name = name
        self.fitted = fitted
        self.pitch_hz = fitted.pitch_hz if fitted is not None else 0.0
        self.formants = fitted.formants if fitted is not None else 1.0
        self.colour_db = fitted.colour_db if fitted is not None else ()

    def of(self, signs: int) -> NDArray[np.float32]:
        """Give the vector for a phrase of so many signs, float32 [width]."""
        row: NDArray[np.float32] = self.table[min(max(signs, 1), len(self.table)) - 1]
        return row


def read_style(text: str, voices: Mapping[str, NDArray[np.float32]], bundle: str) -> Style:
    """Find the voice that a user names.

    Args:
        text: Name of a voice; a mixture, as `jf_alpha*0.7+jm_kumo*0.3`; or the path
            of a file that `--save-style` wrote.
        voices: Voices of the model, float32 [lengths, width] each.
        bundle: Name of the model.

    Raises:
        VoiceError: There is no such voice or file, or it is for another model.
    """
    path = Path(text).expanduser()
    if path.suffix == ".json":
        return _read_file(path, voices, bundle)
    total = 0.0
    table: NDArray[np.float32] | None = None
    for part in text.split("+"):
        name, star, weight_text = (piece.strip() for piece in part.partition("*"))
        if name not in voices:
            raise VoiceError(
                f"there is no voice {name!r} (there are: {', '.join(voices)})",
                "name one, a mixture as A*0.7+B*0.3, or the file of a fitted style (.json)",
            )
        try:
            weight = float(weight_text) if star else 1.0
        except ValueError:
            weight = math.nan
        if not 0.0 < weight <= _MOST_WEIGHT:
            raise VoiceError(
                f"the voice {name!r} has the weight {weight_text!r}", "give a number above 0, as A*0.7+B*0.3"
            )
        share = weight * voices[name]
        table = share if table is None else table + share
        total += weight
    assert table is not None
    return Style(table / total, text)


def _read_file(path: Path, voices: Mapping[str, NDArray[np.float32]], bundle: str) -> Style:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        fitted = msgspec.json.decode(data, type=FittedStyle)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise VoiceError(
            f"{path} is no file of a fitted style ({reason})", "make one with `rtemo say --like`"
        ) from error
    width = next(iter(voices.values())).shape[1]
    vector = np.asarray(fitted.style, np.float32)
    colour = np.asarray(fitted.colour_db, np.float64)
    is_sound = (
        _LEAST_FORMANTS <= fitted.formants <= _MOST_FORMANTS
        and np.isfinite(vector).all()
        and np.isfinite(colour).all()
        and colour.size <= _MOST_BINS
    )
    if fitted.bundle != bundle or vector.shape != (width,) or not is_sound:
        raise VoiceError(
            f"the style in {path} is for the voice model {fitted.bundle!r}, not for {bundle!r}",
            "fit one for this model",
        )
    return Style(vector, path.name, fitted)


def write_style(path: Path, fitted: FittedStyle) -> None:
    """Write a fitted style, for its owner's eyes alone: it is a voice."""
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(fitted), indent=1) + b"\n")
