"""Parts: which clips a bundle is fitted to, and which are kept from it to tell what it is worth."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError
from rtemo.cli.evaluation.clips import Clip

LEAST_CLIPS = 8
"""Of every class: with fewer, what is learnt of it and what is measured of it is chance."""
HELD_OUT = 0.25
"""Share of the clips that is kept from fitting, more or less: speakers are not divided."""
LARGEST = 0.34
"""Share of what is kept apart that one speaker may have, where others can be had."""


class Parts(NamedTuple):
    """Clips by what they are for."""

    fitted: list[Clip]
    held_out: list[Clip]
    is_by_speaker: bool
    """Whether no speaker is in both."""


def class_names(clips: Sequence[Clip], order: Sequence[str]) -> tuple[str, ...]:
    """Name the classes of clips: those of `order` first, others by name.

    Raises:
        ConfigError: There are fewer than two, or one of them has hardly any clips.
    """
    counts = Counter(clip.label for clip in clips if clip.label)
    if len(counts) < 2:
        only = f"all {len(clips)} clips are called {next(iter(counts))!r}" if counts else "no clip has a label"
        raise ConfigError(f"{only}, so there is nothing to tell apart", "give clips of two classes or more")
    few = {name: count for name, count in counts.items() if count < LEAST_CLIPS}
    if few:
        named = ", ".join(f"{name} {count}" for name, count in sorted(few.items()))
        raise ConfigError(
            f"every class needs {LEAST_CLIPS} clips or more, too few are of: {named}",
            "add clips, call two classes by one name with --label NAME=OTHER, or leave one out with --label NAME=",
        )
    return (*(name for name in order if name in counts), *sorted(counts.keys() - set(order)))


def divide(clips: Sequence[Clip], split: str = "", of_split: Sequence[Clip] = ()) -> Parts:
    """Keep about a quarter from fitting, whole speakers where there are two or more, else clips of every class.

    Args:
        clips: All clips.
        split: What the clips that are kept from fitting are called, where the user says which they are.
        of_split: Those clips.

    Raises:
        ConfigError: The user's choice leaves nothing to fit to, or divides speakers.
    """
    if split:
        kept = {clip.key for clip in of_split}
        parts = Parts([c for c in clips if c.key not in kept], list(of_split), True)
        both = {_voice(c) for c in parts.fitted if c.speaker} & {_voice(c) for c in parts.held_out if c.speaker}
        if both:
            raise ConfigError(
                f"{len(both)} speakers are in the split {split!r} and outside of it ({sorted(both)[0]!r}), so that "
                "what is measured would be too good",
                "give each speaker one split",
            )
        if not parts.fitted:
            raise ConfigError(f"all clips are of the split {split!r}, so there is none to fit to", "name another")
        return Parts(parts.fitted, parts.held_out, all(c.speaker for c in clips))
    is_by_speaker = len({_voice(clip) for clip in clips}) > 1 and all(clip.speaker for clip in clips)
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(_voice(clip) if is_by_speaker else clip.key, []).append(clip)
    chosen = _chosen(groups)
    held = {clip.key for group in chosen for clip in groups[group]}
    return Parts([c for c in clips if c.key not in held], [c for c in clips if c.key in held], is_by_speaker)


def _chosen(groups: dict[str, list[Clip]]) -> set[str]:
    """Take groups, the same every time, until a quarter of every class is there, as long as some of each is left.

    One group that makes up much of what is measured comes only where nothing else does: it would speak for all others.
    """
    left = Counter(clip.label for group in groups.values() for clip in group)
    wanted = {label: HELD_OUT * count for label, count in left.items()}
    budget = sum(wanted.values())
    found: Counter[str] = Counter()
    chosen: set[str] = set()
    order = sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest())
    for largest in (budget * LARGEST, float("inf")):
        for name in order:
            counts = Counter(clip.label for clip in groups[name])
            helps = any(found[label] < wanted[label] for label in counts)
            harms = any(left[label] - count < LEAST_CLIPS // 2 for label, count in counts.items())
            overfull = sum(found.values()) + len(groups[name]) > 2 * budget
            if name in chosen or not helps or harms or len(groups[name]) > largest or (overfull and chosen):
                continue
            chosen.add(name)
            found += counts
            left -= counts
        if sum(found.values()) >= budget / 2:
            break
    return chosen


def folds_of(groups: Sequence[str], folds: int) -> NDArray[np.int64]:
    """A fold for every item, int64 [n], such that items of one group are together; fewer folds where groups are few."""
    sizes = Counter(groups)
    folds = min(folds, len(sizes))
    filled = np.zeros(folds)
    number: dict[str, int] = {}
    for name, size in sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0])):
        number[name] = int(filled.argmin())
        filled[number[name]] += size
    return np.array([number[name] for name in groups], np.int64)


def kept_to_stop(clips: Sequence[Clip], classes: Sequence[str], is_by_speaker: bool) -> NDArray[np.bool_]:
    """Of the clips to fit to, those of speakers by which it is told when to stop, bool [clips].

    Raises:
        ConfigError: Speakers are not known or too few, or on one side there is no clip of a class.
    """
    mend = "give clips of more speakers, each in a folder or in the column `speaker`, or leave out --lora"
    if not is_by_speaker or len({_voice(clip) for clip in clips}) < 2:
        raise ConfigError(
            "--lora needs three speakers or more, known by name: to fit to, to tell when to stop, and to measure on",
            mend,
        )
    parts = divide(clips)
    for side, what in ((parts.held_out, "tell when to stop"), (parts.fitted, "fit to")):
        lost = [name for name in classes if name not in {clip.label for clip in side}]
        if lost:
            raise ConfigError(f"--lora finds no speaker with clips of {', '.join(lost)} to {what}", mend)
    held = {clip.key for clip in parts.held_out}
    return np.array([clip.key in held for clip in clips], np.bool_)


def group_of(clip: Clip, is_by_speaker: bool) -> str:
    """What must not be divided between folds."""
    return _voice(clip) if is_by_speaker else clip.key


def _voice(clip: Clip) -> str:
    return f"{clip.corpus}/{clip.speaker}"
