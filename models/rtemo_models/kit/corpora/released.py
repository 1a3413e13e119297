"""A corpus read from the folder it was released in, and what the readers of such folders share."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtemo.api.errors import AudioInputError
from rtemo_models.kit.corpora.clip import Clip, refuse_leaks


@dataclass(frozen=True, slots=True)
class ReleasedCorpus:
    """Clips of a released corpus, their paths absolute, and how many clips were left out for which reason."""

    name: str
    clips: list[Clip]
    left_out: Counter[str] = field(default_factory=Counter)

    def checked(self) -> "ReleasedCorpus":
        """Return self once it is fit for training.

        Raises:
            AudioInputError: If no clip is left.
            ValueError: If a speaker is in two splits.
        """
        if not self.clips:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items()) or "no rows"
            raise AudioInputError(f"{self.name} has no usable clip ({reasons})", "give the folder as it was released")
        refuse_leaks(self.clips)
        return self


def need(root: Path, candidates: Sequence[str], corpus: str) -> Path:
    """The first of `candidates` (relative to `root`, may hold wildcards) that exists.

    Raises:
        AudioInputError: If none does, naming them.
    """
    for candidate in candidates:
        found = sorted(root.glob(candidate))
        if found:
            return found[0]
    raise AudioInputError(
        f"{root} holds no {' or '.join(candidates)}", f"give the folder that {corpus} was released as, unpacked"
    )


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file.

    Raises:
        AudioInputError: If a column is missing, naming it.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [c for c in columns if c not in (reader.fieldnames or ())]
        if missing:
            raise AudioInputError(
                f"{path.name} has no column {', '.join(missing)}; found {', '.join(reader.fieldnames or ())}",
                "give the table as it was released",
            )
        return list(reader)


def scaled(value: str | float, low: float, high: float) -> float:
    """A rating on a scale from `low` to `high`, moved to [-1, 1]; NaN for an empty cell."""
    number = float(value) if value not in ("", None) else float("nan")
    return max(-1.0, min(1.0, 2 * (number - low) / (high - low) - 1)) if number == number else number


def duration_s(path: Path) -> float:
    """Duration of an audio file, from its header."""
    import soundfile

    found = soundfile.info(path)
    return float(found.frames / found.samplerate)
