"""Reconstruction: what somebody meant to say, clearly pronounced, in their voice, pitch and manner.

After ChiReSSD (Rosero et al., arXiv:2509.19231): pronunciation comes from the text alone; timbre and prosody come from
the reference. Of each half of a style a part may be that of a clear speaker (alpha of timbre, beta of prosody), since a
reference brings its disorder along. Here a style is fitted and not encoded, and the melody is taken from the reference.
"""

import contextlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.watermark import add_watermark
from rtemo.voice.errors import VoiceError
from rtemo.voice.imitation import Imitator, Sentence, stretched_contour, with_pitch
from rtemo.voice.manner import VOICED_HZ
from rtemo.voice.reference import melody_of
from rtemo.voice.service import VoiceService
from rtemo.voice.speaker import SpeakerEmbedder, cosine
from rtemo.voice.style import Style

ALPHA, BETA = 0.3, 0.5
"""Shares of the clear speaker in timbre and prosody."""

_LOWEST_HZ, _HIGHEST_HZ = 55.0, 700.0


class Reconstruction(NamedTuple):
    """A phrase that was said again.

    Attributes:
        samples: float32 [k] at 16 kHz, with the watermark.
        similarity: Speaker cosine to the reference; NaN where one is too short to tell.
        semitones: How far the median pitch lies from that of the reference.
    """

    samples: NDArray[np.float32]
    similarity: float
    semitones: float


def mixed_style(fitted: Style, clear: NDArray[np.float32], half: int, alpha: float, beta: float) -> Style:
    """Mix a fitted style with that of a clear speaker.

    Args:
        fitted: Of the reference.
        clear: float32 [width], of the clear speaker.
        half: Where the part of the manner begins.
        alpha: Share of the clear speaker in the sound.
        beta: Share of the clear speaker in the manner.
    """
    own = fitted.table
    table = np.concatenate(
        [alpha * clear[:half] + (1 - alpha) * own[:, :half], beta * clear[half:] + (1 - beta) * own[:, half:]], axis=1
    )
    return Style(table, fitted.name, fitted.fitted)


def reconstruct(
    reference: NDArray[np.float32],
    text: str,
    service: VoiceService,
    style: Style,
    *,
    clear: NDArray[np.float32] | None = None,
    alpha: float = ALPHA,
    beta: float = BETA,
    language: str = "en-us",
    embedder: SpeakerEmbedder | None = None,
) -> Reconstruction:
    """Say a text as the reference would, if it were pronounced clearly.

    Args:
        reference: Disordered speech of the same text, float32 [k] at 16 kHz.
        text: What was meant.
        service: What speaks.
        style: Fitted to the speaker.
        clear: Style of a clear speaker, float32 [width]; the model's first voice when None.
        alpha: Share of the clear speaker in the timbre.
        beta: Share of the clear speaker in the prosody, and of the model's melody in that of the reference.
        language: Of the text.
        embedder: Tells how alike the voices are; without one it is not told.

    Raises:
        VoiceError: There is nothing to say in the text.
    """
    voice = service.voice
    half = int(voice.card.front_end.get("manner_from", style.table.shape[1] // 2))
    if clear is None:
        clear = Style(next(iter(voice.voices.values())), "clear").of(len(text))
    imitator = Imitator(service, mixed_style(style, clear, half, alpha, beta), reference, text, language)
    sentence = with_melody(imitator, imitator.planned(text), 1.0 - beta)
    samples = imitator.spoken(sentence)
    if service.has_watermark:
        samples = add_watermark(samples)
    made = melody_of(samples)
    semitones = (
        12.0 * float(np.log2(made.median_hz / imitator.melody.median_hz))
        if made.median_hz > 0 and imitator.melody.median_hz > 0
        else 0.0
    )
    similarity = float("nan")
    if embedder is not None:
        with contextlib.suppress(VoiceError):  # too short to tell
            similarity = cosine(embedder.embed(samples), embedder.embed(reference))
    return Reconstruction(samples, similarity, semitones)


def with_melody(imitator: Imitator, sentence: Sentence, share: float) -> Sentence:
    """Give a sentence so much of the melody of the reference, stretched over its length."""
    pitch_hz = sentence.plan.pitch_hz.copy()
    is_voiced = pitch_hz > VOICED_HZ
    if imitator.melody.median_hz <= 0 or is_voiced.sum() < 3:
        return sentence
    voiced = np.flatnonzero(is_voiced)
    middle = np.log2(imitator.melody.median_hz)
    planned = 12.0 * (np.log2(pitch_hz[is_voiced]) - middle)
    contour = stretched_contour(imitator.melody.pitch_hz, voiced[-1] - voiced[0] + 1)[voiced - voiced[0]]
    moved = middle + ((1.0 - share) * planned + share * contour) / 12.0
    moved += middle - np.median(moved)
    pitch_hz[is_voiced] = np.clip(2.0**moved, _LOWEST_HZ, _HIGHEST_HZ)
    return with_pitch(sentence, pitch_hz.astype(np.float32))
