"""Does enhancement keep the emotion? `python -m bench.quality.enhancement.emotion --data DIR --peers DIR --work DIR`.

Dev clips of acted emotion, clean and in the noises of the evaluation set, are enhanced by every system and heard by
one emotion recogniser: recall on the enhanced audio against recall on what came in. A system that takes away what the
emotion was heard by falls below `unprocessed`, however clean it sounds.
"""

import argparse
import importlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.conditions import speech_weights
from bench.quality.emotion.streams import SHIPPED, StreamRunner, write_json
from bench.quality.enhancement.kept import Kept
from bench.quality.enhancement.mixtures import (
    KINDS,
    LEVEL_RANGE_DB,
    SEED,
    SNRS_DB,
    SPEECH_DBFS,
    Mixture,
    Surroundings,
    manifest,
    mix,
    read,
)
from bench.quality.enhancement.systems import DEFAULT, UNPROCESSED, System, open_system
from rtemo.api import EMOTIONS, RtemoError
from rtemo.scoring.bootstrap import interval
from rtemo.scoring.classes import uar

Sound = NDArray[np.float32]
Recogniser = Callable[[list[Sound]], NDArray[np.float32]]
"""From clips at 16 kHz to logits, float32 [clips, 8], in the order of `EMOTIONS`; `version` names what it runs."""

CORPORA = ("ravdess", "nemo", "ased")
CLEAN = math.inf
CONDITIONS_DB = (CLEAN, *sorted(SNRS_DB, reverse=True))
_BATCH_CLIPS = 16
_DRAWS = 1000


def emotional_mixtures(data: Path, clips: int, *, seed: int = SEED) -> Iterator[Mixture]:
    """Dev clips of every corpus, emotions in turn and talkers in turn within each, under every condition.

    Args:
        data: Folder of the corpora.
        clips: Per corpus.
        seed: Of the choice.
    """
    surroundings = Surroundings(data, "dev")
    rows = [row for row in manifest(data, "emotion") if row["split"] == "dev"]
    number = 0
    for place, corpus in enumerate(CORPORA):
        random = np.random.default_rng((seed, place))
        for turn, row in enumerate(_in_turn([r for r in rows if r["corpus"] == corpus], random)[:clips]):
            random = np.random.default_rng((seed, place, turn))  # a longer set begins with the shorter one
            speech = read(data / row["path"])
            kind = KINDS[turn % len(KINDS)]
            turns = turn // len(KINDS)
            noise, noise_class = surroundings.piece(kind, turns, speech.size, row["speaker"], random)
            level_db = SPEECH_DBFS + random.uniform(-LEVEL_RANGE_DB, LEVEL_RANGE_DB)
            for snr_db in CONDITIONS_DB:
                clean, noisy = mix(speech, noise, snr_db, level_db)
                yield Mixture(
                    number,
                    corpus,
                    row["language"],
                    row["speaker"],
                    row["emotion"],
                    kind,
                    noise_class,
                    "dev",
                    snr_db,
                    clean,
                    noisy,
                )
            number += 1


def _in_turn(rows: list[dict[str, str]], random: np.random.Generator) -> list[dict[str, str]]:
    """Order rows so that emotions alternate, and talkers within each emotion."""
    shuffled = [rows[i] for i in random.permutation(len(rows))]
    seen: dict[tuple[str, str], int] = {}
    ranked = []
    for row in shuffled:
        key = (row["emotion"], row["speaker"])
        seen[key] = seen.get(key, 0) + 1
        ranked.append((seen[key], row))
    ranked.sort(key=lambda pair: pair[0])  # the first clip of each talker, then the second
    count: dict[str, int] = {}
    ordered = []
    for _, row in ranked:
        count[row["emotion"]] = count.get(row["emotion"], 0) + 1
        ordered.append((count[row["emotion"]], row))
    ordered.sort(key=lambda pair: (pair[0], pair[1]["emotion"]))
    return [row for _, row in ordered]


class BundleRecogniser:
    """An emotion bundle run as in a live call: steps, states, speech weighed by a voice activity detector.

    Args:
        bundle: Folder with its card.
    """

    def __init__(self, bundle: Path = SHIPPED) -> None:
        self._runner = StreamRunner(bundle)
        self.version = self._runner.card.sha256[:12]

    def __call__(self, clips: list[Sound]) -> NDArray[np.float32]:
        """Give the logits at the end of each clip, float32 [clips, 8]."""
        heard = self._runner.run(clips, [speech_weights(c, len(c) // 160) for c in clips])
        return np.stack([h.logits[-1] for h in heard])


def open_recogniser(name: str | None) -> Recogniser:
    """Open a bundle by its folder (the shipped one by default), or a function by `module:function`."""
    if name and ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
        except (ImportError, AttributeError) as error:
            raise RtemoError(f"{name} cannot be imported ({error})", "give module:function or a folder") from None
    return BundleRecogniser(Path(name) if name else SHIPPED)


def hear_all(system: System, recogniser: Recogniser, batch: list[Mixture], work: Path | None) -> NDArray[np.float32]:
    """Enhance every mixture and hear it, float32 [mixtures, 8]; what is known is not done again."""
    version = str(getattr(recogniser, "version", ""))
    is_kept = bool(version and system.fingerprint)
    kept = Kept(work if is_kept else None, f"emotion-{system.name}-{system.fingerprint}-{version}")
    unknown = [m for m in batch if not kept.get(m.digest)]
    for begin in range(0, len(unknown), _BATCH_CLIPS):
        some = unknown[begin : begin + _BATCH_CLIPS]
        logits = recogniser([system.enhance(m.noisy) for m in some])
        for mixture, row in zip(some, logits, strict=True):
            kept.add(mixture.digest, {"logits": [round(float(x), 4) for x in row]})
        if sys.stderr.isatty():
            print(f"\r{system.name}: {begin + len(some)}/{len(unknown)}", end="", file=sys.stderr, flush=True)
    return np.array([kept.get(m.digest)["logits"] for m in batch], np.float32)


class Recall:
    """What one system leaves of the emotions: said and true classes of each clip under each condition."""

    def __init__(self, batch: list[Mixture], logits: NDArray[np.float32]) -> None:
        self.corpus = np.array([m.corpus for m in batch])
        self.snr_db = np.array([m.snr_db for m in batch])
        self.truth = np.array([EMOTIONS.index(m.emotion) for m in batch])
        self.said = np.empty(len(batch), np.int64)
        for corpus in np.unique(self.corpus):
            rows = self.corpus == corpus
            classes = np.unique(self.truth[rows])
            self.said[rows] = classes[logits[rows][:, classes].argmax(1)]

    def uar(self, corpus: str, snr_db: float, picks: NDArray[np.int64] | None = None) -> float:
        """Unweighted average recall; `picks` are places among the clips of the corpus."""
        rows = np.flatnonzero((self.corpus == corpus) & (self.snr_db == snr_db))
        rows = rows if picks is None else rows[picks]
        return uar(self.truth[rows], self.said[rows])

    def mean(self, conditions_db: tuple[float, ...], picks: dict[str, NDArray[np.int64]] | None = None) -> float:
        """Mean over corpora and conditions."""
        corpora = [c for c in CORPORA if c in self.corpus]
        return float(np.mean([self.uar(c, s, picks and picks[c]) for c in corpora for s in conditions_db]))


def difference(mine: Recall, its: Recall, conditions_db: tuple[float, ...]) -> tuple[float, float, float]:
    """Mean difference in recall with its 95 % bootstrap interval; both systems meet the same drawn clips."""
    random = np.random.default_rng(0)
    counts = {c: int(np.sum((mine.corpus == c) & (mine.snr_db == conditions_db[0]))) for c in np.unique(mine.corpus)}
    draws = []
    for _ in range(_DRAWS):
        picks = {c: random.integers(n, size=n) for c, n in counts.items()}
        draws.append(mine.mean(conditions_db, picks) - its.mean(conditions_db, picks))
    low, high = interval(np.asarray(draws))
    return mine.mean(conditions_db) - its.mean(conditions_db), float(low), float(high)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="default: RTEMO_DATA")
    parser.add_argument("--peers", type=Path, help="folder of the peers' graphs")
    parser.add_argument("--system", "--systems", dest="systems", nargs="+", default=DEFAULT)
    parser.add_argument("--config", type=Path, help="configuration of `merit`")
    parser.add_argument("--recogniser", help="folder of a bundle, or module:function; default: the shipped bundle")
    parser.add_argument("--clips", type=int, default=56, help="per corpus")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--work", type=Path, help="folder in which results are kept for the next run")
    parser.add_argument("--out", type=Path, help="results as JSON")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the folder of the corpora with --data or RTEMO_DATA")
    os.nice(max(0, 15 - os.nice(0)))  # yields, but no more than asked for when it was started so
    try:
        recogniser = open_recogniser(options.recogniser)
        names = dict.fromkeys((UNPROCESSED, *options.systems))
        systems = [open_system(name, options.peers, options.config) for name in names]
        batch = list(emotional_mixtures(options.data, options.clips, seed=options.seed))
        recalls = {s.name: Recall(batch, hear_all(s, recogniser, batch, options.work)) for s in systems}
    except RtemoError as error:
        sys.exit(str(error))
    result = summarise(recalls)
    report(result, options.clips)
    if options.out:
        write_json(options.out, result)


def summarise(recalls: dict[str, Recall]) -> dict[str, Any]:
    """Recall per corpus and condition, and what each system changes."""
    base = recalls[UNPROCESSED]
    result: dict[str, Any] = {}
    for name, recall in recalls.items():
        entry: dict[str, Any] = {
            corpus: {label(s): recall.uar(corpus, s) for s in CONDITIONS_DB}
            for corpus in CORPORA
            if corpus in recall.corpus
        }
        entry["mean"] = {label(s): recall.mean((s,)) for s in CONDITIONS_DB}
        if name != UNPROCESSED:
            entry["minus_unprocessed"] = {
                "noise": difference(recall, base, CONDITIONS_DB[1:]),
                "clean": difference(recall, base, CONDITIONS_DB[:1]),
            }
        result[name] = entry
    return result


def label(snr_db: float) -> str:
    """Name of a condition."""
    return "clean" if snr_db == CLEAN else f"{snr_db:g}"


def report(result: dict[str, Any], clips: int) -> None:
    """Print the tables."""
    columns = [label(s) for s in CONDITIONS_DB]
    print(f"\nUAR over the classes of each corpus, up to {clips} clips per corpus; columns: SNR in dB\n")
    print("| corpus | system | " + " | ".join(columns) + " |\n|---|---|" + "---|" * len(columns))
    groups = [key for key in result[UNPROCESSED] if key != "mean"]
    for group in (*groups, "mean"):
        for name, entry in result.items():
            print(f"| {group} | {name} | " + " | ".join(f"{entry[group][c]:.3f}" for c in columns) + " |")
    print("\nminus unprocessed, mean over corpora (and SNRs), 95 % bootstrap interval over clips\n")
    print("| system | in noise | clean |\n|---|---|---|")
    for name, entry in result.items():
        if "minus_unprocessed" in entry:
            cells = [f"{d:+.3f} ({low:+.3f} to {high:+.3f})" for d, low, high in entry["minus_unprocessed"].values()]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
