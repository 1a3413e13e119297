"""Scores an emotion bundle on the dev speakers: `python -m bench.quality.emotion.evaluate --data DIR --work DIR`.

Every clip is streamed through the bundle's graph as in a live call (steps of 40 ms, states carried, speech weighed by a
voice activity detector), under every listening condition. Prints tables and writes `results.json`, which
`rtemo_models.systems.merit.export.bundles --emotion` puts into the card.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.quality.emotion.calibrate import calibrate
from bench.quality.emotion.conditions import CONDITIONS, Conditions, speech_weights
from bench.quality.emotion.streams import SHIPPED, Heard, StreamRunner, write_json
from rtemo.api import EMOTIONS
from rtemo.scoring.classes import recalls, uar, uar_interval
from rtemo_models.kit.corpora.caches import Caches, open_caches
from rtemo_models.kit.corpora.clip import Clip, classes_of

MOMENTS_S = {"1s": 1.0, "2s": 2.0, "4s": 4.0, "end": None}
"""Seconds of speech heard; a clip that has less is taken at its end."""
CORPORA = ("ravdess", "nemo", "ased", "rakshak")


def listen(
    runner: StreamRunner, caches: Caches, rows: list[int], conditions: Conditions, condition: str
) -> list[Heard]:
    """Stream clips under a condition."""
    clips = [conditions.apply(caches.audio.samples(i), condition, i) for i in rows]
    return runner.run(clips, [speech_weights(c, len(c) // 160) for c in clips])


def score(clips: list[Clip], heard: list[Heard], known: dict[str, tuple[int, ...]], detail: bool) -> dict[str, Any]:
    """Scores per corpus at every moment: UAR over the corpus' classes and over all eight, intervals, recalls."""
    result: dict[str, Any] = {}
    for corpus in CORPORA:
        rows = [k for k, c in enumerate(clips) if c.corpus == corpus]
        classes = np.array(known[corpus])
        truth = np.array([clips[k].label for k in rows])
        speakers = [clips[k].speaker for k in rows]
        entry: dict[str, Any] = {"clips": len(rows), "speakers": len(set(speakers)), "classes": len(classes)}
        for moment, speech_s in MOMENTS_S.items():
            logits = np.stack([heard[k].logits[heard[k].at(speech_s)] for k in rows])
            said = classes[logits[:, classes].argmax(1)]
            entry[f"uar_{moment}"] = uar(truth, said)
            if moment == "end":
                entry["uar_interval"] = uar_interval(truth, said, speakers)
                entry["uar_all_eight"] = uar(truth, logits.argmax(1))
                if detail:
                    entry["recall"] = {EMOTIONS[c]: r for c, r in recalls(truth, said).items()}
                    entry["confusion"] = {
                        EMOTIONS[c]: {EMOTIONS[d]: int(np.sum(said[truth == c] == d)) for d in classes} for c in classes
                    }
                    entry |= dimensional(clips, heard, rows)
        result[corpus] = entry
    return result


def dimensional(clips: list[Clip], heard: list[Heard], rows: list[int]) -> dict[str, float]:
    """Pearson's correlation of arousal and valence at the end with the circumplex targets of the categories."""
    targets = np.array([clips[k].valence_arousal for k in rows])
    valence = [heard[k].valence[-1] for k in rows]
    arousal = [heard[k].arousal[-1] for k in rows]
    return {
        "valence_r": float(np.corrcoef(valence, targets[:, 0])[0, 1]),
        "arousal_r": float(np.corrcoef(arousal, targets[:, 1])[0, 1]),
    }


def levels(
    clips: list[Clip], heard: list[Heard], train: list[Clip], heard_train: list[Heard]
) -> dict[str, float | tuple[float, float]]:
    """BAVED, three levels of activation, which the model does not name.

    `uar_end` is of a logistic probe on the pooled statistics, fitted on BAVED's train speakers as the peers are;
    `uar_arousal` of cutting the arousal output by two thresholds found there; `arousal_rho` is Spearman's correlation
    of arousal with the level, with nothing fitted.
    """
    from scipy.stats import spearmanr
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def pairs(of: list[Clip], said: list[Heard]) -> tuple[Any, Any, Any, list[str]]:
        rows = [k for k, c in enumerate(of) if c.corpus == "baved"]
        arousal = np.array([said[k].arousal[-1] for k in rows])
        pooled = np.stack([said[k].pooled for k in rows])
        return arousal, pooled, np.array([int(of[k].level) for k in rows]), [of[k].speaker for k in rows]

    x, pooled, y, _ = pairs(train, heard_train)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=500)).fit(pooled, y)
    cuts = np.quantile(x, np.linspace(0.05, 0.95, 31))
    low, high = max(
        ((a, b) for a in cuts for b in cuts if a < b),
        key=lambda ab: uar(y, np.digitize(x, np.array(ab)).astype(np.int64)),
    )
    x, pooled, y, speakers = pairs(clips, heard)
    said = probe.predict(pooled)
    return {
        "clips": len(x),
        "uar_end": uar(y, said),
        "uar_interval": uar_interval(y, said, speakers),
        "uar_arousal": uar(y, np.digitize(x, [low, high]).astype(np.int64)),
        "arousal_rho": float(spearmanr(x, y).statistic),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of the training caches")
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--out", type=Path, help="default: WORK/results.json")
    options = parser.parse_args()
    runner = StreamRunner(options.bundle)
    caches = open_caches(options.data, options.work / "cache")
    conditions = Conditions(options.data, caches.noise_audio, caches.noise_split)
    known = classes_of(caches.clips)
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.corpus in (*CORPORA, "baved")]
    clips = [caches.clips[i] for i in dev]
    words = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus == "baved"]
    heard = {c: listen(runner, caches, dev, conditions, c) for c in CONDITIONS}
    scores = {c: score(clips, heard[c], known, c == "clean") for c in CONDITIONS}
    heard_words = listen(runner, caches, words, conditions, "clean")
    for c in CONDITIONS:
        scores[c]["baved"] = levels(clips, heard[c], [caches.clips[i] for i in words], heard_words)
    calibration = calibrate(clips, heard, known)
    flat = {c: flatten(scores[c]) for c in CONDITIONS}
    result = {"sha256": runner.card.sha256, "calibration": calibration["card"], "scores": flat}
    result |= {"detail": scores, "calibration_detail": calibration["detail"]}
    write_json(options.out or options.work / "results.json", result)
    report(scores, calibration["detail"])


def flatten(scores: dict[str, Any]) -> dict[str, float]:
    """What the card keeps of a condition: UAR at the end per corpus."""
    return {f"{corpus}_uar": round(entry["uar_end"], 3) for corpus, entry in scores.items()}


def report(scores: dict[str, Any], calibration: dict[str, Any]) -> None:
    """Print the tables."""
    out = sys.stdout
    corpora = (*CORPORA, "baved")
    out.write("\nUAR at the end of the clip, 95 % interval by speaker\n")
    out.write("| condition | " + " | ".join(corpora) + " |\n|---|" + "---|" * len(corpora) + "\n")
    for condition, by in scores.items():
        cells = [
            f"{by[c]['uar_end']:.3f} ({by[c]['uar_interval'][0]:.2f}-{by[c]['uar_interval'][1]:.2f})" for c in corpora
        ]
        out.write(f"| {condition} | " + " | ".join(cells) + " |\n")
    out.write("\nUAR after seconds of speech (clean), over the corpus' classes; last: over all eight at the end\n")
    out.write("| corpus | " + " | ".join(MOMENTS_S) + " | all eight |\n|---|" + "---|" * (len(MOMENTS_S) + 1) + "\n")
    for corpus in CORPORA:
        entry = scores["clean"][corpus]
        cells = [f"{entry['uar_' + m]:.3f}" for m in MOMENTS_S] + [f"{entry['uar_all_eight']:.3f}"]
        out.write(f"| {corpus} | " + " | ".join(cells) + " |\n")
    out.write("\nRecall per emotion (clean, end) and correlation with the circumplex targets\n")
    out.write("| corpus | " + " | ".join(EMOTIONS) + " | arousal r | valence r |\n|---|" + "---|" * 10 + "\n")
    for corpus in CORPORA:
        entry = scores["clean"][corpus]
        cells = [f"{entry['recall'][e]:.2f}" if e in entry["recall"] else "" for e in EMOTIONS]
        cells += [f"{entry['arousal_r']:.2f}", f"{entry['valence_r']:.2f}"]
        out.write(f"| {corpus} | " + " | ".join(cells) + " |\n")
    rho = {c: round(by["baved"]["arousal_rho"], 3) for c, by in scores.items()}
    cut = {c: round(by["baved"]["uar_arousal"], 3) for c, by in scores.items()}
    out.write(f"\nBAVED: UAR above is of a probe; by cutting arousal {cut}; Spearman's rho of arousal {rho}\n")
    out.write("\nCalibration (all eight emotions, temperature cross-fitted over two halves of the speakers)\n")
    for name, value in calibration.items():
        out.write(f"  {name}: {value}\n")


if __name__ == "__main__":
    main()
