"""Splits: whole speakers in Train, Development, Test1 and Test2, so that nobody is both trained on and tested."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

SPLITS = ("Train", "Development", "Test1", "Test2")
"""As MSP-Podcast names them; Test2 is the control whose turns no recogniser has chosen."""
CONTROL = "Test2"


def groups_of(recordings: Iterable[Sequence[int]]) -> dict[int, int]:
    """Join the speakers of each recording, and so those of all recordings that share one: speaker → group.

    A voice may be taken for two within a recording, most easily when it changes its mood. Where recordings stay whole,
    that does no harm.
    """
    leader: dict[int, int] = {}

    def find(speaker: int) -> int:
        while leader.setdefault(speaker, speaker) != speaker:
            speaker = leader[speaker]
        return speaker

    for speakers in recordings:
        for speaker in speakers:
            a, b = sorted((find(speaker), find(speakers[0])))
            leader[b] = a
    return {speaker: find(speaker) for speaker in leader}


def assign_splits(
    seconds: Mapping[int, float],
    genders: Mapping[int, str],
    shares: tuple[float, ...],
    seed: int,
    kept: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Give every speaker a split so that each split gets its share of the speech of each gender.

    Speakers with much speech are placed first, each where most is missing; of the same length in an order drawn by
    `seed`. Those that have a split keep it.

    Args:
        seconds: Speaker → how much speech there is.
        genders: Speaker → Male, Female or Unknown.
        shares: Of `SPLITS`, adding up to 1.
        seed: Of the draw.
        kept: Speaker → split from before.
    """
    found = {speaker: split for speaker, split in (kept or {}).items() if split in SPLITS}
    random = np.random.default_rng(seed)
    drawn = {speaker: float(random.random()) for speaker in sorted(seconds)}
    totals: dict[str, float] = {}
    for speaker, length_s in seconds.items():
        totals[genders[speaker]] = totals.get(genders[speaker], 0.0) + length_s
    held = {(split, gender): 0.0 for split in SPLITS for gender in totals}
    for speaker, split in found.items():
        if speaker in seconds:
            held[split, genders[speaker]] += seconds[speaker]
    for speaker in sorted(seconds, key=lambda one: (-round(seconds[one]), drawn[one])):
        if speaker in found:
            continue
        gender = genders[speaker]
        missing = [
            share - held[split, gender] / max(totals[gender], 1e-9) if share > 0 else -np.inf
            for split, share in zip(SPLITS, shares, strict=True)
        ]
        split = SPLITS[int(np.argmax(missing))]
        found[speaker] = split
        held[split, gender] += seconds[speaker]
    return found
