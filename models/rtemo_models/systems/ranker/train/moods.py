"""Fits the moods of the ranker: `python -m rtemo_models.systems.ranker.train.moods`.

A mood is where a voice stands in the few directions of the listener's words in which it moves when its mood changes,
and in which it hardly moves while it does not: linear discriminants (Fisher, "The use of multiple measurements in
taxonomic problems", Annals of Eugenics 7, 1936) within each speaker. Clips of a training speaker and an emotion are
strung together and their words pooled as at run time. What pooled words do within a string is noise; from the mean of
one emotion's string to that of another's is signal. Axes are scaled such that the noise has a standard deviation of 1.
`rtemo_models.systems.ranker.export.moods` puts them into the bundle.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.command import PATH, data_option, task, work_option
from rtemo_models.kit.corpora.clip import CIRCUMPLEX, Clip
from rtemo_models.systems.ranker.data.words import STEP_HOPS, WordCache

STEPS_PER_S = 100 / STEP_HOPS
MEMORY_S = 2.0
"""Speech after which a step counts 1/e: the sooner it is forgotten, the sooner a change shows."""

AXES = 5
_SHRINK = 0.9  # towards equal noise in all directions: there are fewer clips than would fill 192 dimensions
_CLEAR_STEP = 0.5
_SAMPLE_STEPS = 12
_LEAST_SAMPLES = 8
_SKIP_S = 4.0


def string(clips: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], memory_s: float) -> NDArray[np.float64]:
    """Words of clips in a row, pooled as at run time, at every half second of speech, float64 [samples, width]."""
    total: NDArray[np.float64] | float = 0.0
    mass = spoken = 0.0
    samples = []
    due = _SKIP_S * STEPS_PER_S
    for words, speech in clips:
        for said, share in zip(words.astype(np.float64), speech.astype(np.float64), strict=True):
            if share <= 0:
                continue
            keep = np.exp(-share / (memory_s * STEPS_PER_S))
            total = share * said + keep * total
            mass = share + keep * mass
            spoken += share
            if spoken >= due:
                due += _SAMPLE_STEPS
                samples.append(total / mass)
    return np.array(samples)


def discriminants(
    strings: Sequence[dict[str, NDArray[np.float64]]], axes: int = AXES, shrink: float = _SHRINK
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions in which moods differ, given the strings of each speaker by emotion.

    Returns:
        float64 [axes, width], and the signal along each, in variances of the noise.
    """
    width = next(iter(strings[0].values())).shape[1]
    noise, signal = np.zeros((width, width)), np.zeros((width, width))
    samples = pairs = 0
    for moods in strings:
        means = {}
        for mood, string_of in moods.items():
            means[mood] = string_of.mean(axis=0)
            noise += (string_of - means[mood]).T @ (string_of - means[mood])
            samples += len(string_of) - 1
        for one in means:
            for other in means:
                if one < other and _step(one, other) >= _CLEAR_STEP:
                    step = means[other] - means[one]
                    signal += np.outer(step, step)
                    pairs += 1
    noise, signal = noise / samples, signal / max(pairs, 1)
    floor = shrink * np.trace(noise) / width
    inverse = np.linalg.inv(np.linalg.cholesky((1 - shrink) * noise + floor * np.eye(width)))
    values, vectors = np.linalg.eigh(inverse @ signal @ inverse.T)
    best = np.argsort(values)[::-1][:axes]
    directions = vectors[:, best].T @ inverse
    scale = np.sqrt(np.einsum("aw,wv,av->a", directions, noise, directions))
    return directions / scale[:, None], values[best]


def strings_of(
    clips: Sequence[Clip], caches: Sequence[WordCache], memory_s: float, seed: int = 0
) -> list[dict[str, NDArray[np.float64]]]:
    """Strings of every training speaker with two moods or more, one such set per version of the clips."""
    rows: dict[str, dict[str, list[int]]] = {}
    for i, clip in enumerate(clips):
        if clip.split == "train" and clip.emotion in CIRCUMPLEX:
            rows.setdefault(clip.speaker, {}).setdefault(clip.emotion, []).append(i)
    found = []
    for number, cache in enumerate(caches):
        for speaker, moods in sorted(rows.items()):
            random = np.random.default_rng((seed, number, *map(ord, speaker)))
            strings = {
                mood: string((cache.clip(int(i)) for i in random.permutation(members)), memory_s)
                for mood, members in moods.items()
            }
            strings = {mood: samples for mood, samples in strings.items() if len(samples) >= _LEAST_SAMPLES}
            if len(strings) > 1:
                found.append(strings)
    return found


def _step(one: str, other: str) -> float:
    return max(abs(a - b) for a, b in zip(CIRCUMPLEX[one], CIRCUMPLEX[other], strict=True))


@task(
    __doc__,
    data_option,
    work_option,
    click.option("--out", type=PATH, required=True, help="JSON file that gets the directions."),
    click.option("--calibration-of", "before", type=PATH, help="JSON file whose calibration, set by hand, is kept."),
)
def main(data: Path, work: Path, out: Path, before: Path | None) -> None:
    """Command line."""
    from rtemo_models.systems.ranker.train.run import open_rank_corpus

    torch.set_num_threads(1)
    corpus = open_rank_corpus(data, work)
    axes, signal = discriminants(strings_of(corpus.clips, list(corpus.words.values()), MEMORY_S))
    made = {"memory_s": MEMORY_S, "axes": axes.round(6).tolist()}
    if before is not None:
        made["calibration"] = json.loads(before.read_text(encoding="utf-8")).get("calibration", {})
    out.write_text(json.dumps(made), encoding="utf-8")
    print("signal over noise, by axis:", " ".join(f"{value:.1f}" for value in signal))


if __name__ == "__main__":
    main()
