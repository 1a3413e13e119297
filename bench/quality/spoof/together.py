"""Verdicts of gem-large, of gem, and of both as the chain joins them: `python -m bench.quality.spoof.together --help`.

Where the listener cannot decide, gem's verdict counts. Of trials scored by networks that never heard the page or the
system: how much synthetic and how much genuine speech is told as what, at the operating point of the cards.
"""

import argparse
import sys
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.trials import BANDS, Trials, read_trials
from rtemo.api import ModelCard, RtemoError
from rtemo.runtime import ModelStore
from rtemo_plugins.gem.operating_point import level_at

ARMS = ("gem-large", "gem")


class Verdicts(msgspec.Struct):
    """Which clips are told as what, bool [n] each."""

    is_spoof: NDArray[np.bool_]
    is_bona_fide: NDArray[np.bool_]

    @classmethod
    def of(cls, card: ModelCard, score: NDArray[np.float64], per_hour: float) -> "Verdicts":
        """By the thresholds of a card."""
        threshold = level_at(card.calibration, "threshold", per_hour, fall=1.0)
        return cls(score >= threshold, score < min(card.calibration.get("bona_fide_below", 0.0), threshold))

    def or_else(self, other: "Verdicts") -> "Verdicts":
        """Another's where this one decides nothing."""
        is_decided = self.is_spoof | self.is_bona_fide
        return Verdicts(
            np.where(is_decided, self.is_spoof, other.is_spoof),
            np.where(is_decided, self.is_bona_fide, other.is_bona_fide),
        )


def scores(trials: Trials, band: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of both networks of the clips that both have scored, and which are synthetic."""
    by_arm = []
    for arm in ARMS:
        own = trials.where((trials.arm == arm) & (trials.band == band) & (trials.seconds == "4"))
        by_arm.append(
            dict(zip(own.clip.tolist(), zip(own.score.tolist(), own.label.tolist(), strict=True), strict=True))
        )
    large, small = by_arm
    names = [name for name in large if name in small]
    if not names:
        raise RtemoError(
            f"there are no clips that {' and '.join(ARMS)} have both scored in the band {band}",
            "give the trials of both; see models/rtemo_models/systems/gem_large/RESULTS.md",
        )
    return (
        np.array([large[name][0] for name in names]),
        np.array([small[name][0] for name in names]),
        np.array([large[name][1] for name in names], np.bool_),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=Path, nargs="+", required=True, help="of both networks, on the same clips")
    parser.add_argument("--per-hour", type=float, default=1.0, help="false alarms to put up with")
    options = parser.parse_args()
    try:
        trials, store = read_trials(options.trials), ModelStore()
        sys.stdout.write(
            "| band | verdict of | synthetic: spoof, % | bona fide, % | genuine: spoof, % | bona fide, % |\n"
        )
        sys.stdout.write("|---" * 6 + "|\n")
        for band in BANDS:
            *by_arm, is_synthetic = scores(trials, band)
            told = {
                arm: Verdicts.of(store.card(arm), score, options.per_hour)
                for arm, score in zip(ARMS, by_arm, strict=True)
            }
            told["both"] = told["gem-large"].or_else(told["gem"])
            for name, verdicts in told.items():
                shares = [
                    100 * values[of].mean()
                    for of in (is_synthetic, ~is_synthetic)
                    for values in (verdicts.is_spoof, verdicts.is_bona_fide)
                ]
                sys.stdout.write(f"| {band} | {name} | " + " | ".join(f"{share:.1f}" for share in shares) + " |\n")
    except RtemoError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
