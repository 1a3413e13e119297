"""Speech at any level, and what is no speech at all."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.quality.vad.corpus import HOP, RATE_HZ, Mixture, read_audio, telephone
from bench.quality.vad.systems import System
from bench.quality.vad.telephony import unspoken

LEVELS_DBFS = (-20, -26, -32, -38, -40, -44, -48, -54)
BACKGROUND_DB = -50.0
"""Of the white noise below the speech; where that is fainter than -90 dBFS, as a good line has it, -90 dBFS."""
NOISE_DBFS = (-40.0, -25.0)
_TALKING = ("babble", "exhibition", "airport")  # recovered from places where people talk


def at_levels(clean: list[Mixture]) -> dict[tuple[str, int], np.ndarray]:
    """Give clean mixtures at every level, wide and through a telephone line: band and level → float32 [n, samples]."""
    random = np.random.default_rng(0)
    out: dict[tuple[str, int], np.ndarray] = {}
    for level_dbfs in LEVELS_DBFS:
        sounds = []
        for mixture in clean:
            hops = mixture.samples[: len(mixture.is_speech) * HOP].reshape(-1, HOP)
            active = np.sqrt(np.mean(hops[mixture.is_speech] ** 2))
            noise = random.standard_normal(len(mixture.samples))
            noise *= max(10 ** ((level_dbfs + BACKGROUND_DB) / 20), 10 ** (-90 / 20))
            sounds.append(mixture.samples * (10 ** (level_dbfs / 20) / active) + noise)
        wide = np.clip(sounds, -1, 1).astype(np.float32)
        out["wide", level_dbfs] = np.round(wide * 32768) / np.float32(32768)
        out["telephone", level_dbfs] = np.stack([telephone(sound) for sound in wide])
    return out


def level_table(clean: list[Mixture], systems: dict[str, System]) -> str:
    """Share of the speech that lies within announced turns, by level; AUC is in the table of noises."""
    sounds = at_levels(clean)
    truth = np.stack([mixture.is_speech for mixture in clean])
    lines = [
        "| system | band | " + " | ".join(f"{level}" for level in LEVELS_DBFS) + " |",
        "|---|---|" + "---|" * len(LEVELS_DBFS),
    ]
    for name, system in systems.items():
        for band in ("wide", "telephone"):
            kept = []
            for level_dbfs in LEVELS_DBFS:
                found, _ = system(sounds[band, level_dbfs])
                said = np.stack([_hops(one.spans, truth.shape[1]) for one in found])
                kept.append(np.sum(said & truth) / truth.sum())
            lines.append(f"| {name} | {band} | " + " | ".join(f"{share:.3f}" for share in kept) + " |")
    return "\n".join(lines)


def silence_table(data: Path, split: str, seed: int, systems: dict[str, System], report: Callable[[str], None]) -> None:
    """Report seconds of announced speech, and turns a minute, in sounds that nobody speaks."""
    groups: dict[str, list[np.ndarray]] = {}
    for group, _, sound in unspoken(seed=seed):
        groups.setdefault(group, []).append(sound)
    groups |= _noises(data, split)
    report("| system | " + " | ".join(f"{name} ({_minutes(x):.0f} min)" for name, x in groups.items()) + " |")
    report("|---|" + "---|" * len(groups))
    for name, system in systems.items():
        cells = []
        for sounds in groups.values():
            size = min(map(len, sounds)) // HOP * HOP
            found, _ = system(np.stack([sound[:size] for sound in sounds]))
            spans = [span for one in found for span in one.spans]
            speech_s = sum(end - start for start, end in spans) / RATE_HZ
            cells.append(f"{speech_s:.1f} s, {len(spans) / (len(sounds) * size / RATE_HZ / 60):.1f}/min")
        report(f"| {name} | " + " | ".join(cells) + " |")


def _minutes(sounds: list[np.ndarray]) -> float:
    return sum(map(len, sounds)) / RATE_HZ / 60


def _noises(data: Path, split: str) -> dict[str, list[np.ndarray]]:
    """Sixty noises, as many of each kind as there are, and people talking somewhere; 10 s each, at two levels."""
    with (data / "noise" / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    kinds = sorted({row["kind"] for row in rows})
    by_kind = {kind: [row["path"] for row in rows if row["kind"] == kind] for kind in kinds}
    quiet = [path for kind in kinds if kind not in _TALKING for path in by_kind[kind]]
    chosen = [quiet[k] for k in np.linspace(0, len(quiet) - 1, min(60, len(quiet))).round().astype(int)]
    talking = [path for kind in kinds if kind in _TALKING for path in by_kind[kind]]
    return {
        "noises": [one for path in chosen for one in _levelled(data / path)],
        "people in the background": [one for path in talking for one in _levelled(data / path)],
    }


def _levelled(path: Path) -> list[np.ndarray]:
    noise = np.resize(read_audio(path), 10 * RATE_HZ)
    noise = noise / (np.sqrt(np.mean(noise**2)) + 1e-9)
    return [np.clip(noise * 10 ** (dbfs / 20), -1, 1).astype(np.float32) for dbfs in NOISE_DBFS]


def _hops(spans: list[tuple[int, int]], hops: int) -> np.ndarray:
    said = np.zeros(hops, bool)
    for start, end in spans:
        said[max(0, round(start / HOP)) : round(end / HOP)] = True
    return said
