"""Scores a trained full-size network: `python -m bench.quality.full_merit --best best.pt --data DIR --snr -5 0 5`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bench.quality.enhancement.metrics import WITH_REFERENCE, score
from rtemo.api.errors import AudioInputError, RtemoError
from rtemo_models.kit.corpora.clip import read_manifest
from rtemo_models.systems.full_merit.data import NoisyPairs, collated, read_noises
from rtemo_models.systems.full_merit.net import FullMerit
from rtemo_models.systems.full_merit.train.losses import detection_scores
from rtemo_models.systems.full_merit.train.run import load_best


@torch.no_grad()
def score_pairs(net: FullMerit, pairs: NoisyPairs, metrics: Sequence[str], sounding: int) -> dict[str, float]:
    """Emotion scores over all pairs, and the mean gain of enhancement in each metric over the first `sounding`."""
    classes = len(pairs.classes)
    confusion = torch.zeros(classes, classes)
    gains: dict[str, list[float]] = {}
    for i in range(len(pairs)):
        pair = pairs[i]
        batch = collated([pair])
        if pair.target.any():
            said = net(batch.noisy, batch.lengths).logits.argmax().item()
            confusion[int(pair.target.argmax()), int(said)] += 1
        if i < sounding and metrics:
            enhanced = net.enhance(batch.noisy, batch.lengths)[0].numpy()
            before, after = (score(pair.clean, heard, metrics) for heard in (pair.noisy, enhanced))
            for name, value in after.items():
                gains.setdefault(name, []).append(value - before[name])
    # A clip in which a metric is not defined (PESQ without speech) says nothing about enhancement.
    means = {f"{name}_gain": float(np.nanmean(v)) for name, v in gains.items() if np.isfinite(v).any()}
    return {"clips": float(confusion.sum())} | detection_scores(confusion) | means


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--best", type=Path, required=True, help="best.pt of a run")
    parser.add_argument("--data", type=Path, required=True, help="folder with emotion/ and noise/manifest.csv")
    parser.add_argument("--corpus", default="msp_podcast")
    parser.add_argument("--split", default="test")
    parser.add_argument("--partition", help="only this part of the corpus, such as Test1")
    parser.add_argument("--noise", default="test", help="split of the noises")
    parser.add_argument("--snr", type=float, nargs="+", default=[-5.0], help="dB; scored one after another")
    parser.add_argument("--metrics", nargs="*", default=WITH_REFERENCE, help="of the enhanced sound")
    parser.add_argument("--sounding", type=int, default=200, help="clips whose sound is scored; emotions use all")
    options = parser.parse_args(arguments)
    try:
        net = load_best(options.best)
        classes = torch.load(options.best, map_location="cpu", weights_only=True)["classes"]
        clips = [
            c
            for c in read_manifest(options.data / "emotion" / "manifest.csv")
            if (c.corpus, c.split) == (options.corpus, options.split) and options.partition in (None, c.partition)
        ]
        if not clips:
            raise AudioInputError(f"no {options.split} clip of {options.corpus} {options.partition or ''}".rstrip())
        noises = read_noises(options.data, options.noise)
        for snr_db in options.snr:
            pairs = NoisyPairs(clips, noises, options.data, classes, [snr_db])
            print(
                json.dumps({"snr_db": snr_db} | score_pairs(net, pairs, options.metrics, options.sounding)), flush=True
            )
    except (RtemoError, FileNotFoundError) as error:
        sys.exit(f"full-merit: {error}")


if __name__ == "__main__":
    main()
