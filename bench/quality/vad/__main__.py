"""Print the table of voice activity quality: `python -m bench.quality.vad --data FOLDER`."""

import argparse
import time
from pathlib import Path

import numpy as np

from bench.lending import Lending
from bench.quality.vad.corpus import HOP, Mixture, mixtures
from bench.quality.vad.score import Detection, Score
from bench.quality.vad.words import short_words
from rtemo.api import Block, HopFlag, Payload, SpeechEnd, SpeechStart
from rtemo.engine import registry

HEAD = """\
| back end | band | SNR dB | frame F1 | AUC | onset ms | offset ms | known ms | lost % | own onset % | false/min |
|---|---|---|---|---|---|---|---|---|---|---|"""
FOOT = """
onset, offset: median error / 90th percentile of its size (negative: too early), over turns that got a boundary of
their own; known: median time from the true onset to the announcement; lost: turns no span touches; false: spans that
touch no turn, per minute."""


def detect(batch: list[Mixture], options: dict) -> tuple[list[Detection], float]:
    """Run the plugin over mixtures of one length as rows of one block; give also the time per hop and row in us."""
    n = len(batch)
    plugin = registry.make("vad", options)
    processor = plugin.open(Lending(), n)
    found = [Detection() for _ in batch]
    for row in range(n):
        processor.admit(row)
    now = 0

    def emit(row: int, data: Payload, start_sample: int, end_sample: int) -> None:
        if isinstance(data, SpeechStart):
            found[row].known.append(now)
        elif isinstance(data, SpeechEnd):
            found[row].spans.append((start_sample, end_sample))

    marks = {mark.name: np.zeros((n, *mark.shape), mark.dtype) for mark in plugin.spec.provides}
    hops = len(batch[0].samples) // HOP
    busy_s = 0.0
    for k in range(hops):
        samples = np.stack([mixture.samples[k * HOP : (k + 1) * HOP] for mixture in batch])
        flags = np.full(n, HopFlag.LAST if k == hops - 1 else 0, np.uint8)
        now = (k + 1) * HOP
        block = Block(k, samples, np.arange(n), np.full(n, k * HOP), flags, marks)
        start_s = time.perf_counter()
        processor.process(block, emit)
        busy_s += time.perf_counter() - start_s
        for row, probability in enumerate(marks["vad.probability"].tolist()):
            found[row].probability.append(probability)
    return found, 1e6 * busy_s / hops / n


def main() -> None:
    """Make the mixtures, run both back ends, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with clean/, emotion/ and noise/ manifests")
    parser.add_argument("--split", default="dev", help="split of clips and noises; thresholds were tuned on train")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--back-end", nargs="*", default=["webrtc", "silero"])
    arguments = parser.parse_args()
    batch = list(mixtures(arguments.data, arguments.split, arguments.seed))
    turns = sum(len(mixture.turns) for mixture in batch)
    print(f"{len(batch)} minutes, {turns} turns, split {arguments.split}, seed {arguments.seed}\n\n{HEAD}")
    words, cost = short_words(), ""
    for back_end in arguments.back_end:
        found, busy_us = detect(batch, {"back_end": back_end})
        for band in ("wide", "telephone"):
            for snr_db in (np.inf, 20.0, 10.0, 0.0):
                score = Score()
                for mixture, detection in zip(batch, found, strict=True):
                    if (mixture.band, mixture.snr_db) == (band, snr_db):
                        score.add(mixture, detection)
                name = "clean" if np.isinf(snr_db) else f"{snr_db:.0f}"
                print(f"| {back_end} | {band} | {name} | {score.row()} |")
        kept = sum(bool(one.spans) for one in detect(words, {"back_end": back_end})[0]) if words else 0
        cost += f"\n{back_end}: {busy_us:.1f} us per hop and stream at n = {len(batch)}; "
        cost += f"{kept} of {len(words)} single short words on the telephone kept"
    print(FOOT + cost)


if __name__ == "__main__":
    main()
