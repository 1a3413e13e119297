"""What the ranker gains by the large listener: `python -m bench.quality.rank.estimates --data DIR --work DIR`.

Every dev clip is a call of its own and goes through the engine, once without the listener (`alone`) and once with it,
where the ranker takes its estimates into the scores (`heard`); what counts is the last rank of each clip, two seconds
after its end, and beside both what the listener itself told (`estimate`). Order as in `bench.quality.rank.evaluate`:
pairs of one speaker.

With `--fit` the constants by which an estimate becomes a score are printed as the card's `calibration` has them: gain
and offset bring mean and deviation of the estimates to those of the scores, over clean clips; `spread_share` is what is
left of the error. Neither changes the order of estimates; the share at which both are mixed is `--share`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.through_engine import CONDITIONS, dev_clips, play_chain, posterior
from bench.quality.rank.evaluate import measure
from bench.quality.rank.spread import errors, moods
from bench.quality.rank.tasks import TASKS
from rtemo.api import Emotion, Event, Rank
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit_large.data import open_sounds, under
from rtemo_models.systems.ranker.net import ATTRIBUTES

ARMS = ("alone", "estimate", "heard")
CORPORA = ("ravdess", "nemo", "ased", "rakshak")
GAPS = (0.25, 0.5)
_TOLD = ("arousal", "valence")
_OFTEN = {"least_s": 0.5, "refresh_s": 0.5}
_PARALLEL = 32
_AFTER_SAMPLES = 2 * 16_000

Scores = NDArray[np.float32]


class Told(NamedTuple):
    """What was told of clips at their ends, float32 [clips, 3] each, NaN where nothing was."""

    alone: Scores
    estimate: Scores
    heard: Scores


def last_ranks(events: Sequence[Event]) -> list[float]:
    """The newest score of each attribute."""
    newest = {event.data.attribute: event.data.score for event in events if isinstance(event.data, Rank)}
    return [newest.get(name, np.nan) for name in ATTRIBUTES]


def estimated(events: Sequence[Event]) -> list[float]:
    """What the listener told at the end; it says nothing of intensity."""
    _, arousal, valence = posterior([event.data for event in events if isinstance(event.data, Emotion)], None)
    told = {"arousal": arousal, "valence": valence}
    return [told.get(name, np.nan) for name in ATTRIBUTES]


def constants(clips: Sequence[Clip], told: Told, share: float) -> dict[str, float]:
    """The card's constants, from clean clips."""
    found = {}
    for name in _TOLD:
        a = ATTRIBUTES.index(name)
        own, large = told.alone[:, a].astype(np.float64), told.estimate[:, a].astype(np.float64)
        known = np.isfinite(own) & np.isfinite(large)
        gain = own[known].std() / large[known].std()
        offset = own[known].mean() - gain * large[known].mean()
        mixed = own + share * (gain * large + offset - own)
        group = np.where(known, moods(clips, a, per_speaker=False), -1)
        left = [np.nanmean(errors(values[None], values, group)) for values in (mixed, own)]
        found[f"estimate_{name}_gain"] = round(float(gain), 4)
        found[f"estimate_{name}_offset"] = round(float(offset), 4)
        found[f"estimate_{name}_share"] = share
        found[f"estimate_{name}_spread_share"] = round(float(np.sqrt(left[0] / left[1])), 4)
    return found


def report(condition: str, clips: Sequence[Clip], told: Told) -> None:
    """Print the table of a condition, over the clips of which every arm told something."""
    out = sys.stdout
    missing = {arm: np.isnan(getattr(told, arm)[:, 0]) for arm in ARMS}
    known = ~np.any(list(missing.values()), axis=0)
    out.write(f"\n{condition}: {known.sum()} of {len(clips)} clips; too little speech in the others for ")
    out.write(", ".join(f"{arm} ({is_missing.sum()})" for arm, is_missing in missing.items()) + "\n")
    clips, told = (
        [clip for clip, is_known in zip(clips, known, strict=True) if is_known],
        Told(*(a[known] for a in told)),
    )
    out.write("| task | gap | " + " | ".join(ARMS) + " |\n" + "|---" * (len(ARMS) + 2) + "|\n")
    for task in TASKS[1:]:  # BAVED is not heard here
        corpora = tuple(name for name in task.corpora if any(clip.corpus == name for clip in clips))
        for gap in GAPS if task.gap else (task.gap,):
            cells = []
            for arm in ARMS:
                scores = getattr(told, arm)
                is_told = corpora and not np.isnan(scores[:, ATTRIBUTES.index(task.attribute)]).any()
                cells.append(str(measure(task, clips, scores, corpora, gap)[1]) if is_told else "-")
            out.write(f"| {task.name} | {gap:g} | " + " | ".join(cells) + " |\n")
    out.flush()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--every", type=int, default=1, help="one in so many of the clips of nemo and ased")
    parser.add_argument("--fit", action="store_true", help="print constants for the card; the first condition is clean")
    parser.add_argument("--share", type=float, default=0.7)
    options = parser.parse_args()
    sounds = open_sounds(options.data, options.work)
    rows = dev_clips(sounds, CORPORA)
    rows = [i for k, i in enumerate(rows) if sounds.clips[i].corpus not in ("nemo", "ased") or k % options.every == 0]
    clips = [sounds.clips[i] for i in rows]
    for condition in options.conditions:

        def said(plugins: tuple[str, ...], condition: str = condition) -> list[list[Event]]:
            made = (
                (
                    str(i),
                    np.pad(under(condition, sounds.audio.samples(i), i, sounds.noises["dev"]), (0, _AFTER_SAMPLES)),
                )
                for i in rows
            )
            chosen: dict[str, dict[str, Any]] = {"merit": {"enhance": False}, "ranker": _OFTEN}
            if "listener" in plugins:
                chosen["listener"] = {"max_batch": _PARALLEL, "when": "always"}
            found = play_chain(plugins, chosen, made, (Rank, Emotion), _PARALLEL)
            return [found.get(str(i), []) for i in rows]

        alone = said(("vad", "merit", "ranker"))
        heard = said(("vad", "listener", "merit", "ranker"))
        told = Told(
            np.array([last_ranks(events) for events in alone], np.float32),
            np.array(
                [estimated([event for event in events if event.plugin == "listener"]) for events in heard], np.float32
            ),
            np.array([last_ranks(events) for events in heard], np.float32),
        )
        report(condition, clips, told)
        if options.fit and condition == options.conditions[0]:
            print(json.dumps(constants(clips, told, options.share), indent=1), flush=True)


if __name__ == "__main__":
    main()
