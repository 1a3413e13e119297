"""Calls strung together of one speaker's clips: what a stream's own mean is worth, by the seconds it has heard."""

from typing import NamedTuple

import numpy as np
import torch

from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.train import Table, uar

MOODS = ("balanced", "mostly one", "one only")
"""All moods of the speaker alike; four turns of five of one mood; every turn of one mood."""
TURNS = 16


class Turn(NamedTuple):
    """One turn of a call: which item, what was heard before, and how long."""

    item: int
    past: tuple[int, ...]


def string(table: Table, moods: str, random: np.random.Generator, per_mood: int = 4) -> list[Turn]:
    """Turns of calls of `TURNS` clips each, every mood of every speaker leading so many calls."""
    turns: list[Turn] = []
    of: dict[str, list[int]] = {}
    for i, clip in enumerate(table.clips):
        of.setdefault(f"{clip.corpus}/{clip.speaker}", []).append(i)
    for rows in of.values():
        labels = table.label[rows]
        found = np.unique(labels)
        by = {label: np.asarray(rows)[labels == label] for label in found}
        for lead in found:
            for _ in range(per_mood):
                call: list[int] = []
                for _ in range(TURNS):
                    is_lead = moods == "one only" or (moods == "mostly one" and random.random() < 0.8)
                    label = lead if is_lead else found[random.integers(len(found))]
                    call.append(int(random.choice(by[label])))
                turns += [Turn(item, tuple(call[:k])) for k, item in enumerate(call)]
    return turns


def uar_by_turn(heads: list[Heads], table: Table, turns: list[Turn]) -> dict[str, dict[str, float]]:
    """Corpus → UAR over the corpus' classes in the turns 1, 2-3, 4-7 and 8-16 of the calls."""
    items = np.array([turn.item for turn in turns])
    logits = []
    for at in range(0, len(turns), 512):
        part = slice(at, at + 512)
        values, mass = table.window(items[part]), table.mass(items[part])
        total = values[:, : values.shape[1] // 2] * mass
        for b, turn in enumerate(turns[part]):
            if turn.past:
                past = np.array(turn.past)
                total[b] += (table.window(past)[:, : total.shape[1]] * table.mass(past)).sum(0)
                mass[b] += table.mass(past).sum(0)
        with torch.no_grad():
            logits.append(sum(h.hear(values, total / mass, mass)[1] for h in heads).numpy())
    said = np.concatenate(logits)
    place = np.array([len(turn.past) for turn in turns])
    result: dict[str, dict[str, float]] = {}
    for corpus in sorted(set(table.corpus[items].tolist())):
        entry = {}
        for name, low, high in (("1", 0, 1), ("2-3", 1, 3), ("4-7", 3, 7), ("8-16", 7, TURNS)):
            rows = np.flatnonzero((table.corpus[items] == corpus) & (place >= low) & (place < high))
            entry[name] = round(uar(table.label[items[rows]], said[rows]), 3)
        result[corpus] = entry
    return result
