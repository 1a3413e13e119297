"""Phones as they sound: consonants of a recording by a recogniser that knows no words.

The package `hama` (PyPI, Apache-2.0; `pip install hama==1.7.0`) carries a small CTC network from the wave to phones. It
has no list of words to guess from; which phones follow each other, as its training has taught it, is what is left of
context.
"""

from functools import cache
from typing import Any

from bench.quality.speech_scores import Samples

RATE_HZ = 16_000

# Its phones → signs of the voice (`rtemo.voice.phonemes`).
_SIGNS = {"t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "g": "ɡ", "ɝ": "ɜɹ", "ɚ": "əɹ", "r": "ɹ", "ɾ": "t", "ʔ": "t"}  # noqa: RUF001
_SAME = str.maketrans({"ɾ": "t", "ʔ": "t"})  # noqa: RUF001


@cache
def recogniser() -> Any:
    try:
        from hama.asr import ASRModel
    except ImportError as error:
        raise SystemExit("phones are heard by the package hama, which is missing: pip install hama==1.7.0") from error
    return ASRModel()


def heard_signs(samples: Samples) -> str:
    """Signs of what is heard, float32 [k] at 16 kHz; a flap is a t."""
    return "".join(_SIGNS.get(phone, phone) for phone in recogniser()(samples, RATE_HZ).phonemes)


def as_heard(signs: str) -> str:
    """Signs of a text as `heard_signs` can give them: without what this recogniser does not tell apart."""
    return signs.translate(_SAME)
