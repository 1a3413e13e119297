"""What the emotion network's own outputs would rank: `python -m bench.quality.rank.peers --data DIR --work DIR`.

Its arousal and valence were regressed on the same labels as the ranker's lists are made of; intensity is taken to be
the probability of any emotion but neutral and calm. Dev speakers, clean, end of the clip.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.conditions import speech_weights
from bench.quality.emotion.streams import SHIPPED, StreamRunner
from bench.quality.rank.evaluate import GAPS, measure
from bench.quality.rank.heard import open_dev
from bench.quality.rank.tasks import TASKS
from rtemo.api import EMOTIONS
from rtemo.scoring.classes import softmax
from rtemo_models.kit.corpora.caches import open_caches


def own_scores(data: Path, work: Path, rows: list[int]) -> NDArray[np.float32]:
    """Arousal, valence and the probability of an emotion at the end of clips, float32 [clips, 3]."""
    audio = open_caches(data, work / "cache").audio
    samples = [audio.samples(i) for i in rows]
    heard = StreamRunner(SHIPPED).run(samples, [speech_weights(s, len(s) // 160) for s in samples])
    share = softmax(np.stack([h.logits[-1] for h in heard]).astype(np.float64))
    still = [EMOTIONS.index(name) for name in ("neutral", "calm")]
    columns = [[h.arousal[-1] for h in heard], [h.valence[-1] for h in heard], 1 - share[:, still].sum(1)]
    return np.stack([np.asarray(c, np.float32) for c in columns], 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of caches")
    options = parser.parse_args()
    dev = open_dev(options.data, options.work, ["clean"])
    scores = own_scores(options.data, options.work, dev.rows)
    sys.stdout.write(
        "| task | tau-b | pair accuracy | by gap " + str([round(g, 2) for g in GAPS]) + " |\n|---|---|---|---|\n"
    )
    for task in TASKS:
        tau, accuracy = measure(task, dev.clips, scores, task.corpora)
        gaps = ""
        if len(task.corpora) > 1:
            by_gap = [
                measure(task, dev.clips, scores, [c for c in task.corpora if task.speakers(dev.clips, scores, c, g)], g)
                for g in GAPS
            ]
            gaps = ", ".join(f"{found[1].value:.3f}" for found in by_gap)
        sys.stdout.write(f"| {task.name} | {tau} | {accuracy} | {gaps} |\n")


if __name__ == "__main__":
    main()
