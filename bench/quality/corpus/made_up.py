"""Writes clips of made-up voices, for a smoke run: `python -m bench.quality.corpus.made_up --data D`.

A detector takes them for speech, which it does not of every buzz. D gets the manifests `emotion`, `clean` and `noise`.
Nothing that is measured on them means anything.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.quality.corpus.strung import RATE_HZ
from rtemo.testing.voice import voice

_SPEAKERS, _CLIPS, _CLIP_S = 3, 5, 4.0
_MOODS = ("neutral", "happy", "sad", "angry")


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    clips = []
    for corpus in ("ravdess", "nemo"):
        for speaker in range(_SPEAKERS):
            for clip in range(_CLIPS):
                path = f"emotion/{corpus}/{speaker}-{clip}.wav"
                sound = voice(_CLIP_S, seed=len(clips))
                who = {"corpus": corpus, "speaker": f"{corpus}-{speaker}", "gender": "M", "split": "dev"}
                clips.append(_written(data, path, sound) | who | {"emotion": _MOODS[clip % len(_MOODS)]})
    hiss = 0.05 * np.random.default_rng(0).standard_normal(3 * RATE_HZ)
    tables = {
        "emotion": clips,
        "clean": [row | {"corpus": "none"} for row in clips[:1]],
        "noise": [_written(data, "noise/hiss.wav", hiss) | {"kind": "hiss", "split": "dev"}],
    }
    for name, rows in tables.items():
        _table(data / name / "manifest.csv", rows)


def _written(data: Path, path: str, sound: NDArray[np.floating]) -> dict[str, str]:
    (data / path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(data / path, sound, RATE_HZ)
    return {"path": path}


def _table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
