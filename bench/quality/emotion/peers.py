"""The peers on the same clips: `python -m bench.quality.emotion.peers --data DIR --work DIR`.

Trained on the same train speakers, scored on the same dev speakers under the same listening conditions:

- `egemaps_svm`: 88 functionals of eGeMAPSv02 (Eyben et al. 2016; package opensmile), RBF support vector machine.
- `moonshine_probe`: mean and deviation over time of the Moonshine tiny encoder's frames (offline, whole clip), logistic
  regression.

Each is trained twice: per corpus (the kindest to it: it need not know other corpora) and over all corpora at once, with
the answer limited to the corpus' classes as ours is. Training audio is clean; hyperparameters come from five folds
of train speakers. Features are cached in WORK/peers.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.conditions import CONDITIONS, Conditions
from bench.quality.emotion.streams import write_json
from rtemo.scoring.classes import uar, uar_interval
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.progress import progress
from rtemo_models.systems.merit.data.taught import Taught, open_taught
from rtemo_models.systems.merit.data.teacher import MoonshineEncoder

CORPORA = ("ravdess", "nemo", "ased", "rakshak", "baved")
Extractor = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def egemaps() -> Extractor:
    """Functionals of a clip, float32 [88]."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)

    def extract(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        row = smile.process_signal(np.pad(samples, (0, max(0, 8000 - len(samples)))), 16_000).to_numpy()[0]
        return np.nan_to_num(row.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)

    return extract


def mean_and_deviation(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Mean and deviation of the encoder's frames over time, float32 [576]."""
    frames = frames.astype(np.float32)
    return np.concatenate([frames.mean(0), frames.std(0)])


def moonshine(encoder: Path | None) -> Extractor:
    """Statistics of the encoder's frames."""
    teacher = MoonshineEncoder(encoder)
    return lambda samples: mean_and_deviation(teacher.frames(samples))


def features(
    stem: Path, extract: Extractor, caches: Taught, rows: list[int], conditions: Conditions, condition: str
) -> NDArray[np.float32]:
    """Features of clips under a condition, float32 [clips, width], cached; clean teacher frames are reused."""
    path = stem.with_name(f"{stem.name}-{condition}-{len(rows)}.npy")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if stem.name == "moonshine" and condition == "clean":
            made = [mean_and_deviation(caches.teachers["normal"].frames(i)) for i in rows]
        else:
            sounds = (conditions.apply(caches.audio.samples(i), condition, i) for i in progress(rows, path.stem))
            made = [extract(sound) for sound in sounds]
        np.save(path, np.stack(made))
    return np.asarray(np.load(path))


def make_classifier(name: str, x: Any, y: Any, groups: Any) -> Any:
    """Standardise, then classify; the penalty is chosen by five folds over train speakers (two for TESS)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if name == "egemaps_svm":
        model: Any = SVC(class_weight="balanced", cache_size=500)
        grid = {"svc__C": [1.0, 4.0]}
    else:
        model = LogisticRegression(class_weight="balanced", max_iter=400)
        grid = {"logisticregression__C": [0.001, 0.01, 0.1]}
    folds = GroupKFold(min(5, len(set(groups))))
    search = GridSearchCV(make_pipeline(StandardScaler(), model), grid, scoring="recall_macro", cv=folds)
    return search.fit(x, y, groups=groups)


def target(clip: Clip) -> str:
    """What a peer is trained to say: the emotion, or BAVED's level."""
    return clip.emotion or f"level {clip.level}"


def limited(model: Any, x: NDArray[np.float32], allowed: set[str]) -> NDArray[Any]:
    """The best of the allowed classes by the classifier's decision values."""
    values = model.decision_function(x)
    values = np.where(np.isin(model.classes_, list(allowed)), values, -np.inf)
    return np.asarray(model.classes_[values.argmax(1)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of the training caches")
    parser.add_argument("--teacher", type=Path, help="encoder_model.ort; default: from moonshine-voice")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    options = parser.parse_args()
    caches = open_taught(options.data, options.work / "cache", options.teacher, variants=("dry",))
    conditions = Conditions(options.data, caches.noise_audio, caches.noise_split)
    labelled = [i for i, c in enumerate(caches.clips) if c.emotion or c.corpus == "baved"]
    train = [i for i in labelled if caches.clips[i].split == "train"]
    dev = [i for i in labelled if caches.clips[i].split == "dev"]
    results: dict[str, Any] = {}
    for name, extract in (("egemaps_svm", egemaps()), ("moonshine_probe", moonshine(options.teacher))):
        stem = options.work / "peers" / name.split("_")[0]
        x = features(stem, extract, caches, train, conditions, "clean")
        heard = {c: features(stem, extract, caches, dev, conditions, c) for c in options.conditions}
        results[name] = score(name, [caches.clips[i] for i in train], x, [caches.clips[i] for i in dev], heard)
        write_json(options.work / "peers.json", results)
    report(results)


def score(
    name: str, train: list[Clip], x: NDArray[np.float32], dev: list[Clip], heard: dict[str, NDArray[np.float32]]
) -> dict[str, Any]:
    """Train over all corpora and per corpus; UAR per condition and corpus."""
    y = np.array([target(c) for c in train])
    groups = np.array([c.speaker for c in train])
    corpus_of = np.array([c.corpus for c in train])
    emotional = corpus_of != "baved"
    models = {"pooled": make_classifier(name, x[emotional], y[emotional], groups[emotional])}
    for corpus in CORPORA:
        rows = corpus_of == corpus
        models[corpus] = make_classifier(name, x[rows], y[rows], groups[rows])
    results: dict[str, Any] = {}
    for condition, features_dev in heard.items():
        for corpus in CORPORA:
            rows = np.array([c.corpus == corpus for c in dev])
            chosen = [c for c in dev if c.corpus == corpus]
            truth = np.array([target(c) for c in chosen])
            names = sorted(set(truth))
            numbers = np.array([names.index(t) for t in truth])
            for kind in ("own", "pooled"):
                if kind == "pooled" and corpus == "baved":
                    continue
                model = models[corpus if kind == "own" else "pooled"]
                said = limited(model, features_dev[rows], set(names))
                guessed = np.array([names.index(s) for s in said])
                results.setdefault(kind, {}).setdefault(condition, {})[corpus] = {
                    "uar": uar(numbers, guessed),
                    "interval": uar_interval(numbers, guessed, [c.speaker for c in chosen]),
                }
    return results


def report(results: dict[str, Any]) -> None:
    """Print the table."""
    out = sys.stdout
    out.write("\n| peer | trained on | condition | " + " | ".join(CORPORA) + " |\n")
    out.write("|---|---|---|" + "---|" * len(CORPORA) + "\n")
    for name, kinds in results.items():
        for kind, by in kinds.items():
            for condition, corpora in by.items():
                cells = []
                for corpus in CORPORA:
                    entry = corpora.get(corpus)
                    low, high = entry["interval"] if entry else (0, 0)
                    cells.append(f"{entry['uar']:.3f} ({low:.2f}-{high:.2f})" if entry else "")
                out.write(f"| {name} | {kind} | {condition} | " + " | ".join(cells) + " |\n")


if __name__ == "__main__":
    main()
