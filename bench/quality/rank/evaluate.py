"""Scores a ranker on the dev speakers: `python -m bench.quality.rank.evaluate --data DIR --work DIR --run RUN`.

Order in the four tasks under every listening condition and after every amount of speech; how steady a score is against
microphone, line, room, noise and gain; how far it errs. Prints tables and writes `RUN/results.json`, from which
`rtemo_models.systems.ranker.export.bundle --results` takes the card's scores and the spread.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.conditions import CONDITIONS, speech_weights
from bench.quality.emotion.streams import write_json
from bench.quality.rank.heard import Dev, open_dev, scores_and_speech
from bench.quality.rank.metrics import Mean, bootstrap, mean_of
from bench.quality.rank.spread import error_of, promised
from bench.quality.rank.tasks import CLEAR_GAP, TASKS, Task
from rtemo_models.kit.corpora.caches import open_caches
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.ranker.data.words import Ear, open_words
from rtemo_models.systems.ranker.net import ATTRIBUTES, Ranker, load_ranker

MOMENTS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
MOMENT_NAMES = ("0.25 s", "0.5 s", "1 s", "2 s", "4 s", "end")
CALL_CONDITIONS = ("clean", "telephone", "noise_10db", "room")
"""What the spread answers for; at 0 dB a score errs further."""
GAPS = (0.25, CLEAR_GAP, 0.5, 0.9)
GAINS_DB = (-20.0, 10.0)


def measure(
    task: Task, clips: Sequence[Clip], scores: NDArray[np.float32], corpora: Sequence[str], gap: float | None = None
) -> tuple[Mean, Mean]:
    """Tau-b and pair accuracy over corpora, scores float32 [clips, 3]."""
    values, weights = [], []
    for corpus in corpora:
        found = task.speakers(clips, scores, corpus, gap)
        values.append(np.array([[o.tau for o in found.values()], [o.accuracy for o in found.values()]]))
        weights.append(np.array([o.clips for o in found.values()], float))
    value, drawn = bootstrap(values, weights)
    return mean_of(value[0], drawn[:, 0]), mean_of(value[1], drawn[:, 1])


def key_of(task: Task) -> str:
    """The task's name as the card writes it."""
    return task.name.lower().replace(" ", "_")


def steadiness(scores: dict[str, NDArray[np.float32]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and deviation of what a condition changes in the score at the end, against clean."""
    changed = {c: s[:, -1] - scores["clean"][:, -1] for c, s in scores.items() if c != "clean"}
    return {
        c: {name: (float(d[:, a].mean()), float(d[:, a].std())) for a, name in enumerate(ATTRIBUTES)}
        for c, d in changed.items()
    }


def gain_drift(net: Ranker, data: Path, work: Path, rows: Sequence[int]) -> dict[str, dict[str, float]]:
    """Root mean square of what gain changes in the score at the end, over some clips."""
    audio, ear = open_caches(data, work / "cache").audio, Ear()

    def heard(gain_db: float) -> NDArray[np.float32]:
        def hear(i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            samples = audio.samples(i)
            bands = ear.bands(samples * np.float32(10 ** (gain_db / 20)))
            return bands, speech_weights(samples, len(bands))

        words = open_words(work / "cache" / f"words-gain{gain_db:+.0f}", ear, len(audio), rows, hear)
        return scores_and_speech(net, words, rows, ())[0][:, 0]

    plain = heard(0.0)
    return {
        f"{gain_db:+.0f} dB": {
            name: float(np.sqrt(np.mean((heard(gain_db) - plain)[:, a] ** 2))) for a, name in enumerate(ATTRIBUTES)
        }
        for gain_db in GAINS_DB
    }


def evaluate(net: Ranker, dev: Dev) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """All figures that need no new sound, and the scores they are of."""
    both = {c: scores_and_speech(net, dev.words[c], dev.rows, MOMENTS_S) for c in dev.words}
    scores = {c: s for c, (s, _) in both.items()}
    result: dict[str, Any] = {"conditions": {}, "moments": {}, "corpora": {}, "gaps": {}}
    for task in TASKS:
        for c, s in scores.items():
            result["conditions"].setdefault(c, {})[task.name] = measure(task, dev.clips, s[:, -1], task.corpora)
        for k, moment in enumerate(MOMENT_NAMES):
            result["moments"].setdefault(moment, {})[task.name] = measure(
                task, dev.clips, scores["clean"][:, k], task.corpora
            )
        for corpus in task.corpora:
            found = measure(task, dev.clips, scores["clean"][:, -1], (corpus,))
            result["corpora"].setdefault(task.name, {})[corpus] = found
    for task in TASKS[2:]:
        for gap in GAPS:
            corpora = [c for c in task.corpora if task.speakers(dev.clips, scores["clean"][:, -1], c, gap)]
            _, accuracy = measure(task, dev.clips, scores["clean"][:, -1], corpora, gap)
            result["gaps"].setdefault(task.name, {})[f"> {gap:.2f}"] = accuracy
    chosen = [c for c in CALL_CONDITIONS if c in both]
    error, share = error_of(dev.clips, [both[c][0] for c in chosen], [both[c][1] for c in chosen])
    result["steadiness"] = steadiness(scores)
    result["error"], result["within_share"] = error, share
    result["promised"] = {c: promised(dev.clips, *both[c], error, share) for c in ("clean", "telephone") if c in both}
    return result, scores


def card_results(result: dict[str, Any]) -> dict[str, Any]:
    """What the exporter takes over."""
    scores = {
        condition: {
            f"{key_of(task)}_{kind}": round(by[task.name][k].value, 3)
            for task in TASKS
            for k, kind in enumerate(("tau", "pair_accuracy"))
        }
        for condition, by in result["conditions"].items()
    }
    clear = result["gaps"]["arousal order"][f"> {CLEAR_GAP:.2f}"]
    scores["clean"]["arousal_clear_gap_pair_accuracy"] = round(clear.value, 3)
    return {
        "error": {name: [round(v, 5) for v in pair] for name, pair in result["error"].items()},
        "calibration": {f"within_share_{name}": round(v, 3) for name, v in result["within_share"].items()},
        "scores": scores,
    }


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    out = sys.stdout
    names = [task.name for task in TASKS]

    def table(title: str, first: str, rows: dict[str, list[str]], columns: Sequence[str]) -> None:
        out.write(f"\n{title}\n| {first} | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|\n")
        for name, cells in rows.items():
            out.write(f"| {name} | " + " | ".join(cells) + " |\n")

    for title, part in (("End of the clip", "conditions"), ("Clean, after seconds of speech", "moments")):
        for k, kind in enumerate(("Kendall's tau-b", "pair accuracy")):
            rows = {n: [str(by[t][k]) for t in names] for n, by in result[part].items()}
            table(f"{title}: {kind}, 95 % interval by speaker", part[:-1], rows, names)
    for task, by in result["corpora"].items():
        rows = {n: [str(tau), str(accuracy)] for n, (tau, accuracy) in by.items()}
        table(f"{task} per corpus, clean", "corpus", rows, ("tau-b", "pair accuracy"))
    rows = {n: [str(v) for v in by.values()] for n, by in result["gaps"].items()}
    table("Pair accuracy by gap of the labels, clean", "task", rows, list(result["gaps"]["arousal order"]))
    rows = {c: [f"{by[a][0]:+.2f} ± {by[a][1]:.2f}" for a in ATTRIBUTES] for c, by in result["steadiness"].items()}
    table("What a condition changes in the score, mean and deviation", "condition", rows, ATTRIBUTES)
    rows = {g: [f"{by[a]:.3f}" for a in ATTRIBUTES] for g, by in result.get("gain", {}).items()}
    table("What gain changes, root mean square", "gain", rows, ATTRIBUTES)
    rows = {}
    for a in ATTRIBUTES:
        stays, step = result["error"][a]
        rows[a] = [f"{np.sqrt(stays + step / n):.2f}" for n in (12.5, 25, 50, 100)]
        rows[a].append(f"{result['within_share'][a]:.2f}")
    table("Spread", "attribute", rows, ("0.5 s", "1 s", "2 s", "4 s", "share within a speaker"))
    for c, by in result["promised"].items():
        rows = {a: [f"{p:.2f} → {k:.2f} ({n})" for p, k, n in bins] for a, bins in by.items()}
        table(f"Promised and kept share of right orders (pairs), {c}", "attribute", rows, [""] * 5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of caches and runs")
    parser.add_argument("--run", default="run", help="name of the run's folder under --work")
    options = parser.parse_args()
    net = load_ranker(options.work / options.run / "average.pt")
    dev = open_dev(options.data, options.work, CONDITIONS)
    result, _ = evaluate(net, dev)
    result["gain"] = gain_drift(net, options.data, options.work, dev.rows[::20])
    write_json(options.work / options.run / "results.json", card_results(result))
    report(result)


if __name__ == "__main__":
    main()
