"""Pauses of sounds, found and measured as the engine does: its plugins run over the rows of blocks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.lending import Lending
from rtemo.api import Block, HopFlag, Payload
from rtemo.dsp.pauses import FEATURES, PAUSE, PAUSING, SILENT, STEP_HOPS, TAIL_HOPS, follow, measure
from rtemo.engine import registry

HOP, RATE_HZ = 160, 16_000
LONGEST_STEPS = 20
"""A pause is followed for 2 s; then the turn is over."""
CHAIN = ("level", "vad", "prosody")


class Pause(NamedTuple):
    """One pause of one sound.

    Attributes:
        sound: Index of the sound.
        voice_end: Sample at which voice ends.
        resumes: Sample at which it goes on; None where it does not within the sound.
        features: float32 [steps, features], after 100, 200, … ms of silence as the detector knows it.
        known: int [steps], the sample at which each step was known.
    """

    sound: int
    voice_end: int
    resumes: int | None
    features: np.ndarray
    known: np.ndarray

    @property
    def duration_s(self) -> float:
        """How long it is; infinite where nothing follows."""
        return np.inf if self.resumes is None else (self.resumes - self.voice_end) / RATE_HZ


def find_pauses(sounds: Sequence[np.ndarray]) -> tuple[list[Pause], list[np.ndarray]]:
    """Follow sounds, each float32 [samples], side by side.

    Returns:
        All pauses, and bool [hops] for each sound: where there is voice.
    """
    n, hops = len(sounds), max(len(sound) for sound in sounds) // HOP
    plugins = [registry.make(name) for name in CHAIN]
    processors = [plugin.open(Lending(), n) for plugin in plugins]
    marks = {mark.name: np.zeros((n, *mark.shape), mark.dtype) for plugin in plugins for mark in plugin.spec.provides}
    padded = np.zeros((n, hops * HOP), np.float32)
    for row, sound in enumerate(sounds):
        count = min(len(sound), hops * HOP)
        padded[row, :count] = sound[:count]
        for processor in processors:
            processor.admit(row)
    rows, tail, due = np.zeros(n, PAUSE), np.zeros((n, TAIL_HOPS, 2), np.float32), np.zeros(n, np.uint8)
    voice = np.zeros((n, hops), np.bool_)
    began: list[int] = [0] * n
    steps: list[list[np.ndarray]] = [[] for _ in range(n)]
    known: list[list[int]] = [[] for _ in range(n)]
    found: list[Pause] = []
    was = np.zeros(n, np.int64)

    def close(row: int, resumes: int | None) -> None:
        if steps[row]:
            found.append(Pause(row, began[row], resumes, np.stack(steps[row]), np.array(known[row])))
        steps[row], known[row] = [], []

    for k in range(hops):
        flags = np.full(n, HopFlag.LAST if k == hops - 1 else 0, np.uint8)
        block = Block(k, padded[:, k * HOP : (k + 1) * HOP].copy(), np.arange(n), np.full(n, k * HOP), flags, marks)
        for processor in processors:
            processor.process(block, _nobody)
        voice[:, k] = marks["vad.voice"] == 1
        follow(
            marks["vad.speech"], marks["vad.voice"], marks["prosody.pitch_hz"], marks["level.rms_dbfs"],
            block.start_sample, HOP, rows, tail, due,
        )  # fmt: skip
        for row in np.flatnonzero((was == PAUSING) & (rows["phase"] != PAUSING)).tolist():
            close(row, (k - 2) * HOP)  # it went on with the first of three voiced hops
        for row in np.flatnonzero(due).tolist():
            features = np.zeros(len(FEATURES), np.float32)
            measure(rows[row], tail[row], features)
            began[row] = int(rows[row]["voice_end"])
            steps[row].append(features)
            known[row].append((k + 1) * HOP)
            if rows[row]["silent"] >= LONGEST_STEPS * STEP_HOPS:
                close(row, None)
                rows["phase"][row] = SILENT
        was = rows["phase"].copy()
    for row in range(n):
        close(row, None)
    return found, list(voice)


def _nobody(row: int, data: Payload, start_sample: int, end_sample: int) -> None:
    """Take no event: the marks tell everything."""
