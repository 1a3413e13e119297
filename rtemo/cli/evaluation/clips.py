"""Clips: recordings with labels, read from a folder or a CSV file."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from rtemo.api import EMOTIONS, ConfigError, emotion_of
from rtemo.api.text import shown
from rtemo.io.sources.audio_file import SUFFIXES

_LABEL_COLUMNS = ("label", "emotion")
_MAX_CELL_CHARS = 1 << 20
MAX_LABEL_CHARS = 32
RESERVED_LABELS = ("unsure", "nothing")
"""What no class may be called: results say it of clips without a label."""


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """One recording and what is known of it.

    Attributes:
        path: Where it lies.
        label: One of the eight emotions, or any name where classes are free; empty when only dimensions or ratings
            are known.
        speaker: Who speaks; empty when unknown.
        corpus: Where it is from; empty when unknown.
        arousal: Rated, -1 to 1; None when unknown.
        valence: Rated, -1 to 1; None when unknown.
        ratings: What each annotator called it; empty when there are none.
    """

    path: Path
    label: str = ""
    speaker: str = ""
    corpus: str = ""
    arousal: float | None = None
    valence: float | None = None
    ratings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its path as text that every encoding holds."""
        return shown(self.path)


class Labelled(msgspec.Struct, kw_only=True):
    """What was read, and what is wrong with the rest: one sentence each."""

    clips: list[Clip]
    problems: list[str]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How labels and ratings are read.

    Attributes:
        labels: Label → emotion, or empty to leave it out.
        split: Only rows of this split, when given.
        root: Folder that paths are relative to; None for that of the file.
        low: What reads -1 on the scale of arousal and valence.
        high: What reads 1.
        is_free: Whether a label may be any name besides the emotions.
    """

    labels: Mapping[str, str] = {}
    split: str = ""
    root: Path | None = None
    low: float = -1.0
    high: float = 1.0
    is_free: bool = False


class _Row(msgspec.Struct, frozen=True):
    """One line of a file, its cells by the name of their column."""

    where: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_clips(source: Path, reading: Reading, ratings: Path | None = None) -> Labelled:
    """Read labelled clips.

    Args:
        source: Folder of folders named by label, or a CSV file with a header.
        reading: How.
        ratings: CSV file with what several annotators called the clips, if that is not in `source`.

    Raises:
        ConfigError: The source cannot be read, or nothing in it can be used.
    """
    problems: list[str] = []
    strange: Counter[str] = Counter()
    if source.is_dir():
        if reading.split:
            raise ConfigError("--split is for a CSV file with a column `split`", "leave it out for a folder")
        clips = _of_folder(source, reading, problems, strange)
    else:
        folder = reading.root or source.parent
        clips = _of_rows(list(_rows(source, "path")), folder, reading, problems, strange)
    if ratings is not None:
        clips = _rated(
            clips,
            _ratings_of(_rows(ratings, "path", "rater"), reading.root or ratings.parent, reading, strange),
            problems,
        )
    for label, count in sorted(strange.items()):
        if reading.is_free:
            problems.append(
                f"the label {label!r} ({count} times) cannot name a class (at most {MAX_LABEL_CHARS} characters, not "
                f"{' or '.join(RESERVED_LABELS)}); call it otherwise with --label '{label}=NAME'"
            )
            continue
        problems.append(
            f"the label {label!r} ({count} times) is none of {', '.join(EMOTIONS)}; say what it means with "
            f"--label {label}=EMOTION, or leave it out with --label {label}="
        )
    if not clips:
        more = f": {problems[0]}" if problems else ""
        raise ConfigError(
            f"{shown(source)} has no clip whose label is known{more}",
            "give folders named by emotion, or a CSV file with the columns path and label",
        )
    return Labelled(clips=clips, problems=problems)


def _of_folder(source: Path, reading: Reading, problems: list[str], strange: Counter[str]) -> list[Clip]:
    clips = []
    sounds = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    loose = 0
    for path in sounds:
        inside = path.relative_to(source).parts
        if any(part.startswith(".") for part in inside):
            continue
        if len(inside) == 1:
            loose += 1
            continue
        label = _emotion(inside[0], reading, strange)
        if label:
            speaker = inside[1] if len(inside) > 2 else ""
            clips.append(Clip(path=path, label=label, speaker=speaker))
    if loose:
        problems.append(f"{loose} sound files lie in {shown(source)} itself, where no folder tells their label")
    return clips


def _of_rows(
    rows: list[_Row], folder: Path, reading: Reading, problems: list[str], strange: Counter[str]
) -> list[Clip]:
    columns = rows[0].cells.keys() if rows else set()
    column = next((name for name in _LABEL_COLUMNS if name in columns), "")
    if rows and not column and not {"arousal", "valence"} & columns:
        raise ConfigError(
            f"{rows[0].where.partition(', line')[0]} has no column label, arousal or valence (columns: "
            f"{', '.join(columns)})",
            "name the column with the emotion `label`",
        )
    rows = _of_split(rows, reading.split)
    if "rater" in columns:
        rated = _ratings_of(rows, folder, reading, strange, column)
        firsts = {(folder / row["path"]): row for row in reversed(rows)}
        unlabelled = [_clip(firsts[path], path, "", reading, problems) for path in rated]
        return _rated([clip for clip in unlabelled if clip], rated, problems)
    clips: dict[Path, Clip] = {}
    bare: list[str] = []
    for row in rows:
        path = folder / row["path"]
        label = _emotion(row[column], reading, strange) if row[column] else ""
        if not label and (row[column] or not (row["arousal"] or row["valence"])):
            if not row[column]:
                bare.append(row.where)
            continue
        clip = _clip(row, path, label, reading, problems)
        if clip is None:
            continue
        if path in clips:
            problems.append(f"{row.where}: {shown(path)} is named twice; the first row counts")
            continue
        clips[path] = clip
    if bare:
        problems.append(f"{bare[0]}: there is no label" + (f", nor in {len(bare) - 1} more" if bare[1:] else ""))
    return list(clips.values())


def _of_split(rows: list[_Row], split: str) -> list[_Row]:
    if not split or not rows:
        return rows
    splits = sorted({row["split"] for row in rows})
    if split not in splits:
        named = ", ".join(filter(None, splits)) or "no column `split`, or an empty one"
        raise ConfigError(f"--split {split}: there is no such split ({named})", "choose another, or leave it out")
    return [row for row in rows if row["split"] == split]


def _clip(row: _Row, path: Path, label: str, reading: Reading, problems: list[str]) -> Clip | None:
    try:
        arousal, valence = (_dimension(name, row[name], reading) for name in ("arousal", "valence"))
    except ValueError as error:
        problems.append(f"{row.where}: {error}")
        return None
    return Clip(path=path, label=label, speaker=row["speaker"], corpus=row["corpus"], arousal=arousal, valence=valence)


def _dimension(name: str, text: str, reading: Reading) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not reading.low <= value <= reading.high:
        raise ValueError(
            f"{name} is {text!r}, expected a number from {reading.low:g} to {reading.high:g}; "
            "name the scale with --scale LOW:HIGH"
        )
    return 2 * (value - reading.low) / (reading.high - reading.low) - 1


def _ratings_of(
    rows: Iterable[_Row], folder: Path, reading: Reading, strange: Counter[str], column: str = ""
) -> dict[Path, list[str]]:
    """Path → what annotators called it; an annotator who rated twice counts once, with the last word."""
    found: dict[Path, dict[str, str]] = {}
    for row in rows:
        given = next((row[name] for name in ((column,) if column else _LABEL_COLUMNS) if row[name]), "")
        label = _emotion(given, reading, strange) if given else ""
        if label and row["path"]:
            found.setdefault(folder / row["path"], {})[row["rater"]] = label
    return {path: list(by.values()) for path, by in found.items()}


def _rated(clips: list[Clip], ratings: Mapping[Path, list[str]], problems: list[str]) -> list[Clip]:
    """Put ratings to clips; who has no label of its own gets that of the majority."""
    from rtemo.scoring.annotators import majority

    numbers = {path: [EMOTIONS.index(label) for label in given] for path, given in ratings.items()}
    tops = dict(zip(numbers, majority(list(numbers.values()), len(EMOTIONS)).tolist(), strict=True)) if numbers else {}
    places = {path.resolve(): path for path in ratings}
    rated, missed = [], 0
    for clip in clips:
        place = places.get(clip.path.resolve())
        if place is None:
            missed += 1
            rated.append(clip)
            continue
        label = clip.label or EMOTIONS[tops[place]]
        rated.append(msgspec.structs.replace(clip, label=label, ratings=tuple(ratings[place])))
    if missed:
        problems.append(f"{missed} clips have no rating of any annotator")
    return rated


def _emotion(text: str, reading: Reading, strange: Counter[str]) -> str:
    """The emotion that a label means; empty, and counted, for one that nobody knows."""
    if reading.is_free:
        return _free_label(text, reading, strange)
    emotion = emotion_of(text, reading.labels)
    if emotion is None:
        strange[text.strip()] += 1
    return emotion or ""


def _free_label(text: str, reading: Reading, strange: Counter[str]) -> str:
    """The emotion that a label means, or its own name; empty for one that is left out, or that can name no class."""
    wanted = {name.strip().casefold(): meant for name, meant in reading.labels.items()}.get(text.strip().casefold())
    name = " ".join((text if wanted is None else wanted).split())
    label = (emotion_of(name) or name) if name else ""
    if label and (not label.isprintable() or len(label) > MAX_LABEL_CHARS or label.casefold() in RESERVED_LABELS):
        strange[name[:MAX_LABEL_CHARS]] += 1
        return ""
    return label


def _rows(path: Path, *needed: str) -> Iterator[_Row]:
    name = shown(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            csv.field_size_limit(_MAX_CELL_CHARS)
            head = file.readline()
            file.seek(0)
            lines = csv.DictReader(file, delimiter="\t" if "\t" in head else ";" if head.count(";") > 1 else ",")
            columns = [str(column).strip().casefold() for column in lines.fieldnames or ()]
            for column in needed:
                if column not in columns:
                    raise ConfigError(
                        f"{name} has no column {column!r} (columns: {', '.join(columns) or 'none'})",
                        "the first line must name the columns, as path,label,speaker",
                    )
            lines.fieldnames = columns
            for line in lines:
                cells = {
                    key: (value or "").strip().replace("\0", "\ufffd")  # which no path may hold
                    for key, value in line.items()
                    if isinstance(key, str)
                }
                if cells.get("path"):
                    yield _Row(f"{name}, line {lines.line_num}", cells)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror})", "give a folder or a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{name} is no CSV file in UTF-8 ({error})", "give a folder or a CSV file") from None
