"""Trust: what a speech model writes where nobody spoke, told from what was said."""

import zlib

from rtemo.api import Utterance
from rtemo_plugins.transcript.options import TranscriptOptions

_LEAST_COMPRESSED_CHARS = 40
"""A shorter text cannot repeat itself so much that compression would show it."""


def is_said(utterance: Utterance, options: TranscriptOptions) -> bool:
    """Tell whether an utterance is to be believed.

    Whisper writes something for silence, music and noise, too, and may repeat itself; the three signs are those of its
    authors (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 4.5).
    """
    text = utterance.text.strip()
    if not any(char.isalnum() for char in text):
        return False
    if utterance.mean_log_probability < options.log_probability_below:
        return False
    if (
        utterance.no_speech > options.no_speech_above
        and utterance.mean_log_probability < options.log_probability_below / 2
    ):
        return False
    return compression(text) <= options.compression_above


def compression(text: str) -> float:
    """Bytes of a text over its bytes compressed; 1 for one too short to tell."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain)) if len(text) >= _LEAST_COMPRESSED_CHARS else 1.0
