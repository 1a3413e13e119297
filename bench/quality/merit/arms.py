"""The arms of Sparse MERIT side by side: `python -m bench.quality.merit.arms --data D --work W ARM=RUN[+FRONT] …`.

Every arm hears the same dev speakers in the same noise, clean and at 10, 5, 0 and -5 dB, with noise recordings that
were trained on (seen) and that were not (unseen). Emotion: macro-F1 over each corpus' own classes at the end of the
clip, mean over corpora. Enhancement: segmental SNR and SI-SDR of the enhanced clip. Intervals are 95 % bootstraps over
speakers (emotion) and clips (enhancement); relative differences are paired.

An arm is a run's name under W; `RUN+FRONT` puts the enhancer of FRONT before the listener of RUN.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.quality.enhancement.metrics import segmental_snr_db, si_sdr_db
from rtemo.scoring.bootstrap import interval
from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.spectra import Spectra
from rtemo_models.kit.corpora.caches import Caches, open_caches
from rtemo_models.kit.corpora.clip import classes_of
from rtemo_models.systems.merit.data.mixing import active_power
from rtemo_models.systems.merit.net.enhancer import cube
from rtemo_models.systems.merit.net.merit import Merit, load_merit
from rtemo_models.systems.merit.train.check import enhance_clip

SNRS_DB = (None, 10.0, 5.0, 0.0, -5.0)
SPLITS = {"seen": "train", "unseen": "dev"}
CORPORA = ("ravdess", "nemo", "ased", "rakshak")
HOPS, HOP_SAMPLES = 4, 160
DRAWS = 1000


def in_noise(
    caches: Caches, samples: NDArray[np.float32], snr_db: float | None, split: str, seed: int
) -> NDArray[np.float32]:
    """A clip with a noise recording of a split at an SNR against its active speech; the same seed, the same noise."""
    if snr_db is None:
        return samples
    random = np.random.default_rng((11, seed))
    rows = [i for i, s in enumerate(caches.noise_split) if s == split]
    noise = caches.noise_audio.samples(rows[random.integers(len(rows))])
    noise = noise[(np.arange(len(samples)) + random.integers(len(noise))) % len(noise)]
    power = float(np.mean(noise.astype(np.float64) ** 2)) + 1e-12
    return samples + noise * np.float32(np.sqrt(active_power(samples) / power) * 10 ** (-snr_db / 20))


@dataclass(slots=True)
class Arm:
    """A trained network, and the one whose enhancer stands before it."""

    name: str
    net: Merit
    front: Merit | None
    hears: bool
    cleans: Merit | None
    """What enhances: the network itself, or what stands before it."""

    def cleaned(self, spectra: Spectra, heard: torch.Tensor) -> torch.Tensor:
        """Spectra after the front."""
        if self.front is None:
            return heard
        bands, bins = spectra.logs(heard)
        _, said = self.front.listen(bands)
        return heard * cube(self.front.enhance(bands, bins, said.context))


@torch.no_grad()
def answers(
    arm: Arm, spectra: Spectra, caches: Caches, dev: list[int], snr_db: float | None, split: str
) -> NDArray[np.int64]:
    """What the arm calls each clip, among its corpus' classes."""
    known = classes_of(caches.clips)
    said = np.zeros(len(dev), np.int64)
    order = np.argsort([caches.audio.offsets[i + 1] - caches.audio.offsets[i] for i in dev])
    for begin in range(0, len(order), 32):
        group = order[begin : begin + 32]
        clean = [caches.audio.samples(dev[k]) for k in group]
        steps = [len(c) // (HOPS * HOP_SAMPLES) for c in clean]
        x, y = np.zeros((2, len(group), max(steps) * HOPS * HOP_SAMPLES), np.float32)
        for b, (k, samples) in enumerate(zip(group, clean, strict=True)):
            count = steps[b] * HOPS * HOP_SAMPLES
            x[b, :count] = in_noise(caches, samples, snr_db, split, dev[k])[:count]
            y[b, :count] = samples[:count]
        bands, _ = spectra.logs(arm.cleaned(spectra, spectra.analyse(torch.from_numpy(x))))
        active = active_frames(spectra.logs(spectra.analyse(torch.from_numpy(y)))[0])
        _, heard = arm.net.listen(bands)
        statistics = arm.net.listener.statistics(heard.emotion, active.unflatten(1, (-1, HOPS)))
        logits, _, _ = arm.net.listener.heads(statistics[torch.arange(len(group)), torch.tensor(steps) - 1])
        for b, k in enumerate(group):
            classes = known[caches.clips[dev[k]].corpus]
            said[k] = classes[int(logits[b, list(classes)].argmax())]
    return said


def macro_f1(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Mean over the classes of the truth of 2 TP / (2 TP + FP + FN)."""
    scores = []
    for c in np.unique(truth):
        hits = np.sum((truth == c) & (said == c))
        scores.append(2 * hits / (np.sum(truth == c) + np.sum(said == c)))
    return float(np.mean(scores))


def emotion_scores(truth: NDArray[np.int64], said: NDArray[np.int64], rows: list[NDArray[np.int64]]) -> float:
    """Mean over corpora of macro-F1; `rows` are the clips of each corpus."""
    return float(np.mean([macro_f1(truth[r], said[r]) for r in rows]))


def resampled(caches: Caches, dev: list[int], random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Clips of each corpus with its speakers drawn anew."""
    rows = []
    for corpus in CORPORA:
        by: dict[str, list[int]] = {}
        for k, i in enumerate(dev):
            if caches.clips[i].corpus == corpus:
                by.setdefault(caches.clips[i].speaker, []).append(k)
        speakers = list(by)
        rows.append(np.concatenate([by[speakers[d]] for d in random.integers(len(speakers), size=len(speakers))]))
    return rows


def rounded_interval(values: NDArray[np.float64]) -> list[float]:
    """95 % of the draws."""
    return [round(v, 4) for v in interval(np.asarray(values))]


def hear_all(arms: list[Arm], caches: Caches, every: int) -> dict[str, dict[str, object]]:
    """Macro-F1 of each arm per condition, with draws that are the same for all."""
    spectra = Spectra()
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.corpus in CORPORA and c.label >= 0][::every]
    truth = np.array([caches.clips[i].label for i in dev])
    random = np.random.default_rng(0)
    draws = [resampled(caches, dev, random) for _ in range(DRAWS)]
    whole = [np.array([k for k, i in enumerate(dev) if caches.clips[i].corpus == c]) for c in CORPORA]
    found: dict[str, dict[str, object]] = {}
    for arm in arms:
        if not arm.hears:
            continue
        for snr_db in SNRS_DB:
            for kind, split in SPLITS.items():
                if snr_db is None and kind == "seen":
                    continue
                said = answers(arm, spectra, caches, dev, snr_db, split)
                condition = "clean" if snr_db is None else f"{snr_db:g} dB {kind}"
                values = np.array([emotion_scores(truth, said, rows) for rows in draws])
                found.setdefault(condition, {})[arm.name] = {
                    "macro_f1": round(emotion_scores(truth, said, whole), 4),
                    "interval": rounded_interval(values),
                    "draws": values,
                }
                print(arm.name, condition, found[condition][arm.name]["macro_f1"], flush=True)  # type: ignore[index]
    return found


def enhance_all(arms: list[Arm], caches: Caches, count: int) -> dict[str, dict[str, object]]:
    """Segmental SNR and SI-SDR of each arm per condition, clip by clip."""
    spectra = Spectra()
    dev = [
        i
        for i, c in enumerate(caches.clips)
        if c.split == "dev" and c.duration_s > 3 and c.corpus not in ("baved", "rakshak")
    ]
    picked = np.random.default_rng(4).permutation(dev)[:count]
    found: dict[str, dict[str, object]] = {}
    for snr_db in SNRS_DB[1:]:
        for kind, split in SPLITS.items():
            condition = f"{snr_db:g} dB {kind}"
            scores: dict[str, list[tuple[float, float]]] = {}
            for i in picked:
                clean = caches.audio.samples(int(i))
                clean = clean * np.float32(0.05 / np.sqrt(active_power(clean)))
                noisy = in_noise(caches, clean, snr_db, split, int(i))
                scores.setdefault("noisy", []).append((segmental_snr_db(clean, noisy), si_sdr_db(clean, noisy)))
                for arm in arms:
                    if arm.cleans is not None:
                        out = enhance_clip(arm.cleans, spectra, noisy)
                        scores.setdefault(arm.name, []).append((segmental_snr_db(clean, out), si_sdr_db(clean, out)))
            random = np.random.default_rng(0)
            rows = random.integers(count, size=(DRAWS, count))
            found[condition] = {}
            for name, values in scores.items():
                table = np.array(values)
                draws = table[rows].mean(1)
                found[condition][name] = {
                    "ssnr_db": round(float(table[:, 0].mean()), 3),
                    "ssnr_interval": rounded_interval(draws[:, 0]),
                    "si_sdr_db": round(float(table[:, 1].mean()), 3),
                    "draws": draws[:, 0],
                }
                print(name, condition, found[condition][name]["ssnr_db"], flush=True)  # type: ignore[index]
    return found


def differences(found: dict[str, dict[str, object]], key: str, of: str) -> dict[str, dict[str, object]]:
    """How much `of` gains on each other arm, per condition, in points and relative, with paired intervals."""
    out: dict[str, dict[str, object]] = {}
    for condition, by in found.items():
        if of not in by:
            continue
        ours = by[of]
        for name, other in by.items():
            if name == of:
                continue
            gap = ours["draws"] - other["draws"]  # type: ignore[index]
            out.setdefault(condition, {})[name] = {
                "points": round(ours[key] - other[key], 4),  # type: ignore[index]
                "interval": rounded_interval(gap),
                "relative": round(ours[key] / other[key] - 1, 4) if other[key] else None,  # type: ignore[index]
            }
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arms", nargs="+", metavar="ARM=RUN[+FRONT]")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--of", default="merit", help="arm whose gain over the others is given")
    parser.add_argument("--clips", type=int, default=40, help="clips per condition of the enhancement")
    parser.add_argument("--every", type=int, default=2, help="every so many dev clips of the emotion")
    parser.add_argument("--parts", nargs="+", choices=("emotion", "enhancement"), default=("emotion", "enhancement"))
    parser.add_argument("--out", type=Path, help="default: WORK/arms.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    caches = open_caches(options.data, options.work / "cache")
    arms = []
    for text in options.arms:
        name, _, runs = text.partition("=")
        run, _, front = runs.partition("+")
        net = load_merit(options.work / run / "average.pt")
        other = load_merit(options.work / front / "average.pt") if front else None
        log = [json.loads(line) for line in (options.work / run / "log.jsonl").read_text().splitlines()]
        arms.append(Arm(name, net, other, "masked" in log[-1], net if "phase" in log[-1] else other))
    emotion = hear_all(arms, caches, options.every) if "emotion" in options.parts else {}
    enhancement = enhance_all(arms, caches, options.clips) if "enhancement" in options.parts else {}
    result = {
        "macro_f1": emotion,
        "ssnr_db": enhancement,
        "gain_macro_f1": differences(emotion, "macro_f1", options.of),
        "gain_ssnr_db": differences(enhancement, "ssnr_db", options.of),
    }
    for table in (emotion, enhancement):
        for by in table.values():
            for entry in by.values():
                del entry["draws"]  # type: ignore[attr-defined]
    (options.out or options.work / "arms.json").write_text(json.dumps(result, indent=1))
    print(json.dumps({k: result[k] for k in ("gain_macro_f1", "gain_ssnr_db")}, indent=1))


if __name__ == "__main__":
    main()
