"""Print the tables of turn-taking: `python -m bench.quality.turns --data FOLDER`.

With `--records FILE` it writes the pauses of read speech of one split instead, for training.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.lending import Lending
from bench.quality.turns.material import Judged, read_clips, two_party_call
from bench.quality.turns.scores import Trace, area, at_delay, delays, hangover, rates

_LONGEST_S = {0.3: 1.0, 0.5: 1.5}
"""Mean delay → silence after which every system gives up waiting."""
_AREA_STEPS = (1, 2, 4)
SENTENCES, CUT_TEXTS = "speechocean762", "librispeech"
"""Whole sentences, which are trained on, and stretches that are cut anywhere in a text, which are not."""


def ours(judged: Sequence[Judged]) -> list[Trace]:
    """Judge with the bundle of the plugin."""
    handle = Lending().model("end-of-turn")
    table = handle.new_state(64)
    traces = []
    for one in judged:
        features = one.pause.features
        out = [
            handle.run({"features": features[at : at + 64]}, table, len(features[at : at + 64]))["p_end"][:, 0].copy()
            for at in range(0, len(features), 64)
        ]
        traces.append(np.concatenate(out))
    return traces


def smart_turn(judged: Sequence[Judged]) -> list[Trace]:
    """Judge with smart-turn, which hears the last 8 s at every step."""
    from bench.quality.turns.smart_turn import SmartTurn

    network = SmartTurn()
    return [np.array([network.judge(one.sound[:end]) for end in one.pause.known.tolist()]) for one in judged]


SYSTEMS: dict[str, Callable[[Sequence[Judged]], list[Trace]]] = {"rtemo": ours, "smart-turn": smart_turn}


def report(name: str, judged: Sequence[Judged], systems: Sequence[str]) -> None:
    """Print the table of one material."""
    ends = sum(one.is_end for one in judged)
    speakers = len({one.speaker for one in judged})
    print(
        f"\n{name}: {speakers} speakers, {ends} ends of turns, {len(judged) - ends} other pauses of 100 ms and more\n"
    )
    print("| system | " + " | ".join(f"cut off at a mean delay of {1000 * s:.0f} ms" for s in _LONGEST_S), end=" | ")
    print(" | ".join(f"AUC after {100 * step} ms" for step in _AREA_STEPS) + " |")
    print("|---" * (1 + len(_LONGEST_S) + len(_AREA_STEPS)) + "|")
    cells = [f"{hangover(judged, mean_s)[1]:.0%}" for mean_s in _LONGEST_S]
    print(f"| hangover alone | {' | '.join(cells)} | " + " | ".join("" for _ in _AREA_STEPS) + " |", flush=True)
    for system in systems:
        traces = SYSTEMS[system](judged)
        cells = []
        for mean_s, longest_s in _LONGEST_S.items():
            threshold, delay_s, cut = at_delay(judged, traces, mean_s, longest_s)
            cells.append(f"{cut:.0%} ({1000 * delay_s:.0f} ms, threshold {threshold:.2f})")
        areas = [f"{area(judged, traces, step):.2f}" for step in _AREA_STEPS]
        print(f"| {system} | {' | '.join(cells)} | {' | '.join(areas)} |", flush=True)
        if system == "rtemo":
            delay_s, cut = rates(judged, delays(judged, traces, 0.9, 1.5))
            print(f"| rtemo as it comes | {cut:.0%} at {1000 * delay_s:.0f} ms |" + " |" * (1 + len(_AREA_STEPS)))


def main() -> None:
    """Measure, or write the pauses down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with clean/ and calls/")
    parser.add_argument("--records", type=Path, help="write pauses of read speech to this .npz and stop")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--system", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--clips", type=int, help="so many clips of each corpus at most")
    arguments = parser.parse_args()
    if arguments.records is not None:
        judged = read_clips(arguments.data, arguments.split, (SENTENCES,))
        features = np.concatenate([one.pause.features for one in judged])
        pause = np.concatenate([np.full(len(one.pause.features), index) for index, one in enumerate(judged)])
        facts = {name: np.array([getattr(one, name) for one in judged]) for name in ("speaker", "corpus", "is_end")}
        np.savez_compressed(arguments.records, features=features, pause=pause, **facts)
        print(f"{len(judged)} pauses, {sum(one.is_end for one in judged)} of them ends of turns")
        return
    for corpus in (SENTENCES, CUT_TEXTS):
        report(f"{corpus}, split {arguments.split}", read_clips(arguments.data, arguments.split, (corpus,),
               arguments.clips), arguments.system)  # fmt: skip
    report("two-party call", two_party_call(arguments.data), arguments.system)


if __name__ == "__main__":
    main()
