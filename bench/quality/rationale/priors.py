"""What is usual of voices at large: `python -m bench.quality.rationale.priors --records W/speech_lm/records.jsonl`.

For each cue the mean over speakers, the deviation of speakers' means (between) and that of a speaker's turns (within),
from the training speakers: the priors of `rtemo/cues/baseline.py`. Below it, mean deviations z against the speaker's
own past by emotion, of which the profiles of the writer are the signs, and how often no cue stands out.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from rtemo.api import EMOTIONS
from rtemo.cues.baseline import UNITS, scaled
from rtemo.cues.turn import STANDS_OUT

_LEAST_TURNS = 5
_LATER_TURN = 4  # of a call, from which on its own past is known


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True)
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.records.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line["split"] == "train"]
    print("| cue | mean | between | within | speakers | turns |\n|---|---|---|---|---|---|")
    for name in UNITS:
        of_speaker: dict[str, list[float]] = {}
        for line in lines:
            for cue in line["cues"]:
                if cue["name"] == name:
                    of_speaker.setdefault(line["speaker"], []).append(scaled(name, cue["value"]))
        kept = [np.array(values) for values in of_speaker.values() if len(values) >= _LEAST_TURNS]
        means = np.array([values.mean() for values in kept])
        count = np.array([len(values) for values in kept])
        within = float(np.sqrt(sum(((v - v.mean()) ** 2).sum() for v in kept) / (count - 1).sum()))
        between = float(np.sqrt(max(means.var(ddof=1) - (within**2 / count).mean(), 1e-6)))
        print(f"| {name} | {means.mean():.3f} | {between:.3f} | {within:.3f} | {len(kept)} | {count.sum()} |")
    later = [line for line in lines if line["turn"] >= _LATER_TURN]
    print(f"\n| emotion | turns | {' | '.join(UNITS)} | nothing stands out |\n|{'---|' * (len(UNITS) + 3)}")
    for emotion in EMOTIONS:
        own = [{cue["name"]: cue["z"] for cue in line["cues"]} for line in later if line["emotion"] == emotion]
        if not own:
            continue
        mean = [np.mean([cues[name] for cues in own if name in cues]) for name in UNITS]
        plain = np.mean([max(map(abs, cues.values()), default=0.0) < STANDS_OUT for cues in own])
        print(f"| {emotion} | {len(own)} | {' | '.join(f'{value:+.2f}' for value in mean)} | {plain:.0%} |")


if __name__ == "__main__":
    main()
