"""How well two people on one line are told apart live, beside the offline diarisation on the same material.

    python -m bench.quality.corpus.live_parties --data D [--call FILE] [--minutes 20] [--split dev]
    python -m bench.quality.corpus.live_parties --data D --live 60
    python -m bench.quality.corpus.live_parties --data D --fit

The material is that of `bench.quality.corpus.parties`: dialogues strung from clips of two speakers, by telephone, and
a call of two channels mixed to one; besides, monologues of one speaker each. They pass the engine in freewheel, in
packets of 20 ms, through the detector of speech and the plugin `parties`. Shares are of the speech of one party alone,
a quarter of a second around every edge left out: `at once` as it was first told, `corrected` with what was taken back.
`--live` plays so many seconds of the call in real time and measures when the answer comes. `--fit` prints, of
training speakers alone, what the thresholds of the plugin were chosen by.
"""

import argparse
import itertools
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import rtemo
from bench.quality.corpus.parties import FRAME_SAMPLES, Case, call_case, dialogues, shares
from bench.quality.corpus.parties_fit import fit
from bench.quality.corpus.party_shares import NOBODY, UNSURE, Said, Score, counted, is_in_order, score
from bench.quality.corpus.strung import RATE_HZ
from rtemo.api import Event, Party, SpeechEnd
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.parties import PartyFinder

PACKET_SAMPLES = 320
HEARD_S = (0.0, 15.0, 30.0, 60.0, 120.0, 1e9)
_OFFLINE_MARGIN = 0.02


class Told(NamedTuple):
    """What was told of a recording: at once, with what was corrected, and how many corrections there were."""

    at_once: Said
    corrected: Said
    corrections: int
    parties: int
    cost_s: float


def play(samples: NDArray[np.float32], chain: tuple[str, ...]) -> tuple[list[Event], float]:
    """Push a recording through a chain in packets; give its events and the processor time."""
    with rtemo.Session(rtemo.Config(chain=chain), mode="freewheel") as session:
        began_s = time.process_time()
        stream = session.stream("line", role="customer")
        for start in range(0, len(samples), PACKET_SAMPLES):
            stream.push(samples[start : start + PACKET_SAMPLES])
        stream.end()
        events = list(stream.events())
        cost_s = time.process_time() - began_s
    return events, cost_s


def told_of(samples: NDArray[np.float32]) -> Told:
    events, cost_s = play(samples, ("vad", "parties"))
    frames = len(samples) // FRAME_SAMPLES + 1
    at_once, corrected = (np.full(frames, NOBODY, np.int8) for _ in range(2))
    corrections = parties = 0
    for event in events:
        if not isinstance(event.data, Party) or not event.data.is_final:
            continue
        data, span = event.data, slice(event.start_sample // FRAME_SAMPLES, event.end_sample // FRAME_SAMPLES)
        party = UNSURE if data.party is None else data.party
        corrected[span] = party
        parties = max(parties, len(data.known_s))
        if data.trigger == "correction":
            corrections += 1
        else:
            at_once[span] = party
    return Told(at_once, corrected, corrections, parties, cost_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--call", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--live", type=float, default=0.0, help="seconds to play in real time")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    if options.fit:
        fit(options.data, options.minutes, options.seed)
        return
    models = CorpusModels()
    if options.live:
        _tell_delay(call_case(options.data, options.call, models), options.live)
        return
    strung = dialogues(options.data, options.split, options.minutes, options.seed)
    alone = dialogues(options.data, options.split, options.minutes / 4, options.seed + 1, count_speakers=1)
    _tell_shares(strung, call_case(options.data, options.call, models), models)
    _tell_monologues(alone)


def _tell_shares(strung: list[Case], call: Case, models: CorpusModels) -> None:
    finder = PartyFinder(models.finder, models.embedder, _OFFLINE_MARGIN)
    told, offline = [], []
    for case in [*strung, call]:
        told.append(told_of(case.samples))
        offline.append(shares(case.truth, finder.tell(case.samples).pieces))
    print("| recording | s | how | right | wrong | unsure | nothing said | corrections |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cases, found, others in (
        (f"{len(strung)} dialogues", strung, told[:-1], offline[:-1]),
        (call.name, [call], told[-1:], offline[-1:]),
    ):
        seconds = sum(len(case.samples) for case in cases) / RATE_HZ
        for how in ("at_once", "corrected"):
            scores = [_whole(case, one, how) for case, one in zip(cases, found, strict=True)]
            worst = f" (worst {max(one.wrong for one in scores):.1%} wrong)" if len(scores) > 1 else ""
            corrections = sum(one.corrections for one in found)
            print(_row(name + worst, seconds, how.replace("_", " "), np.mean(scores, axis=0), str(corrections)))
        mean = np.mean([(one.right, one.wrong, one.neither, 0.0) for one in others], axis=0)
        print(_row(name, seconds, f"offline, margin {_OFFLINE_MARGIN:g}", mean, ""), flush=True)
    print("\nAt once, by the seconds of speech that had been heard on the line:\n")
    print("| | " + " | ".join(_span(k) for k in range(len(HEARD_S) - 1)) + " |")
    print("|---|" + "---|" * (len(HEARD_S) - 1))
    for name, cases, found in (("dialogues", strung, told[:-1]), ("the call", [call], told[-1:])):
        for field in ("right", "wrong", "unsure"):
            print(f"| {name}: {field} | " + " | ".join(_by_seconds(cases, found, field)) + " |")
    _tell_cost([call], told[-1:])


def _whole(case: Case, told: Told, how: str) -> Score:
    order = is_in_order(case.truth, told.corrected)
    return score(case.truth, getattr(told, how), counted(case.truth), order)


def _by_seconds(cases: list[Case], found: list[Told], field: str) -> list[str]:
    cells = []
    for low_s, high_s in itertools.pairwise(HEARD_S):
        values, weights = [], []
        for case, told in zip(cases, found, strict=True):
            heard_s = np.cumsum(case.truth.any(axis=0)) * FRAME_SAMPLES / RATE_HZ
            where = counted(case.truth) & (heard_s >= low_s) & (heard_s < high_s)
            if where.any():
                values.append(
                    getattr(score(case.truth, told.at_once, where, is_in_order(case.truth, told.corrected)), field)
                )
                weights.append(int(where.sum()))
        cells.append(f"{np.average(values, weights=weights):.1%}" if values else "")
    return cells


def _span(index: int) -> str:
    low_s, high_s = HEARD_S[index : index + 2]
    return f"{low_s:.0f}-{high_s:.0f} s" if high_s < 1e8 else f"beyond {low_s:.0f} s"


def _tell_cost(cases: list[Case], told: list[Told]) -> None:
    speech_s = sum(int(case.truth.any(axis=0).sum()) for case in cases) * FRAME_SAMPLES / RATE_HZ
    alone_s = sum(play(case.samples, ("vad",))[1] for case in cases)
    cost_ms = 1e3 * (sum(one.cost_s for one in told) - alone_s) / speech_s
    print(f"\nIt costs {cost_ms:.1f} ms of a processor for a second of speech, the detector of speech left out.")


def _tell_monologues(alone: list[Case]) -> None:
    found = [told_of(case.samples) for case in alone]
    several = sum(one.parties > 1 for one in found)
    seconds = sum(len(case.samples) for case in alone) / RATE_HZ
    zero = [float((one.corrected[counted(case.truth)] == 0).mean()) for case, one in zip(alone, found, strict=True)]
    print(
        f"\nOf {len(alone)} monologues ({seconds:.0f} s), {several} were taken for two parties; "
        f"{np.mean(zero):.1%} of the speech was put to the first."
    )


def _tell_delay(case: Case, seconds: float) -> None:
    """Play in real time; print how long after the end of a turn, and after `speech_end`, the answer came."""
    samples = case.samples[: round(seconds * RATE_HZ)]
    came: list[tuple[Event, float]] = []
    with rtemo.Session(rtemo.Config(chain=("vad", "parties")), mode="live") as session:
        stream = session.stream("line", role="customer")

        def follow() -> None:
            came.extend((event, time.monotonic()) for event in stream.events())

        listener = threading.Thread(target=follow, daemon=True)
        listener.start()
        began_s = time.monotonic()
        for start in range(0, len(samples), PACKET_SAMPLES):
            due_s = began_s + (start + PACKET_SAMPLES) / RATE_HZ
            time.sleep(max(0.0, due_s - time.monotonic()))
            stream.push(samples[start : start + PACKET_SAMPLES])
        stream.end()
        listener.join(10.0)
    ends = {event.end_sample: at_s for event, at_s in came if isinstance(event.data, SpeechEnd)}
    turns = [
        (event, at_s)
        for event, at_s in came
        if isinstance(event.data, Party) and event.data.is_final and event.end_sample in ends
    ]
    after_turn = [1e3 * (at_s - began_s - event.end_s) for event, at_s in turns]
    after_end = [1e3 * (at_s - ends[event.end_sample]) for event, at_s in turns]
    print(f"{len(turns)} turns in {seconds:.0f} s, live: the answer after … (median, 90 %, most, in ms)\n")
    for what, values in (("the last sound of the turn", after_turn), ("its speech_end", after_end)):
        print(f"    {what:28} {np.percentile(values, 50):6.0f} {np.percentile(values, 90):6.0f} {max(values):6.0f}")


def _row(name: str, seconds: float, how: str, values: NDArray[np.float64], corrections: str) -> str:
    shares_told = " | ".join(f"{max(value, 0.0):.1%}" for value in values)
    return f"| {name} | {seconds:.0f} | {how} | {shares_told} | {corrections} |"


if __name__ == "__main__":
    main()
