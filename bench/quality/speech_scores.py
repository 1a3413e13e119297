"""What benches of synthetic speech have in common: words, voices, intervals."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import SpeechHandle
from rtemo.voice.edits import error_rate, words_of

Samples = NDArray[np.float32]


def heard_text(speech: SpeechHandle, samples: Samples) -> str:
    return speech.transcribe([samples], language="en", words=False)[0].text


def word_error(text: str, heard: str) -> float:
    return error_rate([word.lower() for word in words_of(text)], [word.lower() for word in words_of(heard)])


def char_error(text: str, heard: str) -> float:
    return error_rate(" ".join(words_of(text.lower())), " ".join(words_of(heard.lower())))


def interval(values: Sequence[float], draws: int = 2000, seed: int = 0) -> str:
    """Mean and 95 % of a bootstrap over items, as text; NaN is left out."""
    given = np.array([value for value in values if np.isfinite(value)])
    if not len(given):
        return "      -        "
    random = np.random.default_rng(seed)
    means = given[random.integers(0, len(given), (draws, len(given)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{given.mean():6.2f} [{low:5.2f}, {high:5.2f}]"


class Kept:
    """What was measured, line by line in a file, so that a run that was stopped goes on."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def get(self, **key: object) -> dict[str, Any] | None:
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), None)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
