"""Fitting a style to a reference: a search among what the voices of a model span, judged by how alike it sounds.

Both halves of a style are searched by themselves: what colours the sound, and how it is said (StyleTTS 2 keeps them
apart). A candidate is a mixture of the model's voices, each of which may count a little more than all of it or less
than nothing, with formants moved by a factor, since a voice may be larger or smaller than all of them. A separable
evolution strategy (Ros & Hansen 2008) moves and narrows the mixtures; each candidate says one short phrase, at the
pitch and with the long-term spectrum of the reference, and its embedding is compared.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Consent, VoiceHandle
from rtemo.voice.colour import colour_between, coloured, spectrum_of
from rtemo.voice.errors import VoiceError
from rtemo.voice.formants import rendered
from rtemo.voice.manner import at_median
from rtemo.voice.reference import RATE_HZ, check_reference, melody_of
from rtemo.voice.speaker import SpeakerEmbedder, cosine, without_silence
from rtemo.voice.style import FittedStyle, Style

PROBE = "ðə bˈɜɹʧ kənˈu slˈɪd ˌɔn ðə smˈuð plˈæŋks."
"""What candidates say, in signs: a sentence of the Harvard list with every kind of sound, 2 s."""

_ROW_SIGNS = 40
_POPULATION, _PARENTS = 8, 3
_FIRST_SPREAD = 0.25
_LOW, _HIGH = -0.6, 1.6
_FORMANTS = (0.88, 1.1, 0.8, 1.2)
_FORMANT_SCALE = 0.2
_LOWEST_FORMANTS, _HIGHEST_FORMANTS = float(np.log(0.75)), float(np.log(1.35))
_COLOUR_STEP = 4


def fit_style(
    voice: VoiceHandle,
    samples: NDArray[np.float32],
    embedder: SpeakerEmbedder,
    consent: Consent,
    *,
    tries: int = 80,
    seed: int = 0,
    on_progress: Callable[[int, float], None] | None = None,
) -> FittedStyle:
    """Fit a style to a recording of one speaker.

    Args:
        voice: The model; its plans must be visible.
        samples: The reference, float32 [k] at 16 kHz.
        embedder: What judges.
        consent: By whose word; it is kept in the style.
        tries: Phrases that are said; each takes about half a second.
        seed: Of the search.
        on_progress: Told after each phrase how many were said and the best cosine so far.

    Raises:
        VoiceError: Nothing can be taken from the reference, or the model does not plan.
    """
    check_reference(samples, embedder)
    if not voice.can_plan:
        raise VoiceError(f"{voice.card.name!r} does not tell how it plans, so no style can be fitted", "use another")
    target = embedder.embed(samples)
    wanted = spectrum_of(without_silence(samples))
    melody = melody_of(samples)
    rows = np.stack([Style(table, name).of(_ROW_SIGNS) for name, table in voice.voices.items()])
    half = int(voice.card.front_end.get("manner_from", rows.shape[1] // 2))
    random = np.random.default_rng(seed)
    said = 0
    best = -1.0

    def judge(found: NDArray[np.float64]) -> float:
        nonlocal said, best
        made = _probe(voice, mixed(rows, found[:-1], half), melody.median_hz, float(np.exp(found[-1])))
        score = cosine(embedder.embed(coloured(made, spectrum_of(without_silence(made)), wanted)), target)
        said += 1
        best = max(best, score)
        if on_progress is not None:
            on_progress(said, best)
        return score

    count = len(rows)
    corners = [np.append(np.tile(np.eye(count)[index], 2), 0.0) for index in range(count)]
    scores = [judge(corner) for corner in corners]
    nearest = max(scores)
    shares = np.exp(12.0 * (np.array(scores) - nearest))
    kept, kept_score = corners[int(np.argmax(scores))], nearest
    for formants in _FORMANTS[: max(tries - said, 0)]:
        moved = np.append(kept[:-1], np.log(formants))
        score = judge(moved)
        if score > kept_score:
            kept, kept_score = moved, score
    mean = np.append(np.tile(shares / shares.sum(), 2), kept[-1])
    scale = np.append(np.ones(2 * count), _FORMANT_SCALE)
    spread = np.full(2 * count + 1, _FIRST_SPREAD)
    low, high = (
        np.append(np.full(2 * count, end), limit)
        for end, limit in ((_LOW, _LOWEST_FORMANTS), (_HIGH, _HIGHEST_FORMANTS))
    )
    while said + _POPULATION <= tries:
        found = [
            np.clip(mean + spread * scale * random.standard_normal(len(mean)), low, high) for _ in range(_POPULATION)
        ]
        judged = [judge(candidate) for candidate in found]
        order = np.argsort(judged)[::-1]
        if judged[order[0]] > kept_score:
            kept, kept_score = found[order[0]], judged[order[0]]
        parents = np.stack([kept, *(found[index] for index in order[:_PARENTS])])
        moved = parents.mean(axis=0)
        steps = np.abs(parents - mean).mean(axis=0) / scale
        spread = np.clip(0.7 * spread + 0.3 * steps * 1.2, 0.03, _FIRST_SPREAD)
        mean = moved
    best_style, factor = mixed(rows, kept[:-1], half), round(float(np.exp(kept[-1])), 4)
    own = spectrum_of(without_silence(_probe(voice, best_style, melody.median_hz, factor)))
    return FittedStyle(
        bundle=voice.card.name,
        style=tuple(float(value) for value in best_style),
        colour_db=tuple(round(float(value), 2) for value in colour_between(own, wanted)[::_COLOUR_STEP]),
        consent=consent,
        pitch_hz=melody.median_hz,
        pitch_range_semitones=melody.range_semitones,
        formants=factor,
        similarity={"fitted": kept_score, "nearest_voice": nearest},
        reference_s=len(samples) / RATE_HZ,
    )


def mixed(rows: NDArray[np.float32], weights: NDArray[np.float64], half: int) -> NDArray[np.float32]:
    """Mix styles, float32 [voices, width], with weights [2 voices]: of sound, then of manner, each of sum 1."""
    sound, manner = weights[: len(rows)], weights[len(rows) :]
    parts = []
    for share, part in ((sound, rows[:, :half]), (manner, rows[:, half:])):
        total = float(share.sum())
        parts.append((share / total if abs(total) > 0.2 else np.full(len(rows), 1 / len(rows))) @ part)
    return np.concatenate(parts).astype(np.float32)


def _probe(
    voice: VoiceHandle, style: NDArray[np.float32], median_hz: float, formants: float = 1.0
) -> NDArray[np.float32]:
    return rendered(voice, at_median(voice.plan(PROBE, style, speed=1.0 / formants), median_hz), formants)
