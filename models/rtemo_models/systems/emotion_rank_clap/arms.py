"""Arms side by side: order against plain CLIP, on the same features, captions and draws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.emotion_rank_clap import metrics
from rtemo_models.systems.emotion_rank_clap.net import Clap
from rtemo_models.systems.emotion_rank_clap.train import Settings, train

ARMS = {
    "order (V and A)": Settings(),
    "CLIP": Settings(order_weight=0.0),
    "half order, half CLIP": Settings(order_weight=1.0),
    "order (V alone)": Settings(labels="v"),
    "order (A alone)": Settings(labels="a"),
}
PROMPTS = ("someone who sounds {}", "a person sounding {}", "a {} voice")
_WORDS = ("neutral", "calm", "happy", "sad", "angry", "afraid", "disgusted", "surprised")


class Table(NamedTuple):
    """Clips with everything that is known of them.

    Attributes:
        clips: n of them.
        audio: float32 [n, prefixes, width].
        texts: float32 [n, captions, 384].
        valence_arousal: float32 [n, 2].
    """

    clips: list[Clip]
    audio: NDArray[np.float32]
    texts: NDArray[np.float32]
    valence_arousal: NDArray[np.float32]

    def take(self, rows: Sequence[int]) -> "Table":
        """Some of them."""
        index = np.asarray(rows)
        return Table([self.clips[i] for i in rows], self.audio[index], self.texts[index], self.valence_arousal[index])


def train_arm(table: Table, settings: Settings, seed: int) -> Clap:
    """Train one arm on a table."""
    groups = [f"{clip.corpus}/{clip.emotion}" for clip in table.clips]
    return train(table.audio[:, -1], table.texts, table.valence_arousal, groups, settings, seed)


class Points(NamedTuple):
    """Where things lie in the space, each of length one: float64 [n, width]."""

    voices: NDArray[np.float64]
    descriptions: NDArray[np.float64]


def place(model: Clap, table: Table, prefix: int = -1) -> Points:
    """Voices after a prefix, and the first caption of each."""
    with torch.no_grad():
        u, t = model(torch.from_numpy(table.audio[:, prefix]), torch.from_numpy(table.texts[:, 0]))
    return Points(u.numpy().astype(np.float64), t.numpy().astype(np.float64))


def figures(model: Clap, dev: Table, prompts: NDArray[np.float32]) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures of an arm on speakers it never heard; and taus of every voice, for intervals by speaker."""
    voices, descriptions = place(model, dev)
    kinds = np.array([EMOTIONS.index(clip.emotion) for clip in dev.clips])
    found: dict[str, float] = {
        "MMD": metrics.mmd(voices, descriptions),
        "Wasserstein": metrics.wasserstein(voices, descriptions),
        "gap": metrics.gap(voices, descriptions),
    }
    each: dict[str, Any] = {}
    for name, column in (("V", 0), ("A", 1)):
        of = dev.valence_arousal[:, column].astype(np.float64)
        each[name] = metrics.taus(voices, descriptions, of, of)
        back = metrics.taus(descriptions, voices, of, of)
        found[f"tau {name}"] = float(np.nanmean(each[name]))
        found[f"tau {name}, text to voice"] = float(np.nanmean(back))
    for k in (1, 5):
        found[f"recall@{k}"] = metrics.recall(voices, descriptions, kinds, kinds, k)
    found["zero-shot UAR"] = zero_shot(model, dev, prompts)
    return found, each


def zero_shot(model: Clap, dev: Table, prompts: NDArray[np.float32]) -> float:
    """UAR of the nearest prompt, among the emotions that a corpus has, averaged over corpora.

    Args:
        model: Trained.
        dev: Clips.
        prompts: float32 [8, prompts, 384], see `prompt_texts`.
    """
    with torch.no_grad():
        points = model.text(torch.from_numpy(prompts.reshape(-1, prompts.shape[-1]))).numpy()
    means = points.reshape(*prompts.shape[:2], -1).mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    voices, _ = place(model, dev)
    kinds = np.array([EMOTIONS.index(clip.emotion) for clip in dev.clips])
    corpora = np.array([clip.corpus for clip in dev.clips])
    recalls = []
    for corpus in sorted(set(corpora.tolist())):
        rows = corpora == corpus
        known = np.unique(kinds[rows])
        said = known[(voices[rows] @ means[known].T).argmax(1)]
        recalls.append(metrics.uar(said, kinds[rows]))
    return float(np.mean(recalls))


def prompt_texts() -> list[str]:
    """Prompts of every emotion in turn."""
    return [form.format(word) for word in _WORDS for form in PROMPTS]


def by_speaker(
    one: NDArray[np.float64], other: NDArray[np.float64], clips: Sequence[Clip]
) -> tuple[float, float, float]:
    """Mean difference of two arms over voices, and its middle 95 % over speakers drawn again."""
    speakers = np.array([f"{clip.corpus}/{clip.speaker}" for clip in clips])
    names = sorted(set(speakers.tolist()))
    difference = one - other
    sums = np.array([np.nansum(difference[speakers == name]) for name in names])
    counts = np.array([np.isfinite(difference[speakers == name]).sum() for name in names])
    drawn = np.random.default_rng(0).integers(len(names), size=(2000, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return float(np.nanmean(difference)), float(low), float(high)
