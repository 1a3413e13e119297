"""How well two people in one channel are told apart by their voices, against recordings that tell who speaks.

    python -m bench.quality.corpus.parties --data D [--call FILE] [--minutes 40] [--split dev]

D holds the manifests `emotion` and `clean`: clips of two speakers of a corpus are strung to dialogues and sent through
a telephone. `--call` is a recording with a channel for each party, which is mixed to one (D/calls/two_party_8khz.flac
unless said); who speaks is found on each channel by itself. Everything is in shares of the speech of one party alone,
a quarter of a second around every edge left out.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.strung import RATE_HZ, string_recordings
from bench.quality.vad.corpus import telephone
from rtemo.corpus.diarisation import Piece
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.parties import PartyFinder
from rtemo.dsp.resample import resample

FRAME_SAMPLES = 160
COLLAR_FRAMES = 25
MARGINS = (0.0, 0.01, 0.02, 0.04, 0.08)

Tracks = NDArray[np.bool_]
"""Whether each of two parties speaks, bool [2, frames] of 10 ms."""


class Case(NamedTuple):
    """A line of two people: its name, float32 [k] at 16 kHz, and who speaks when."""

    name: str
    samples: NDArray[np.float32]
    truth: Tracks


class Shares(NamedTuple):
    """Of the speech of one party alone: on its channel, on the other's, on neither; and of all speech: both at once."""

    right: float
    wrong: float
    neither: float
    both: float


def tracks_of(stretches: list[tuple[int, int, int]], length: int) -> Tracks:
    """Mark where each party speaks, of (first sample, one behind the last, party)."""
    found = np.zeros((2, length // FRAME_SAMPLES + 1), bool)
    for start, end, party in stretches:
        found[party, start // FRAME_SAMPLES : end // FRAME_SAMPLES] = True
    return found


def shares(truth: Tracks, pieces: list[Piece]) -> Shares:
    """Score pieces, with the parties matched to who they are most."""
    said = tracks_of([tuple(piece) for piece in pieces], truth.shape[1] * FRAME_SAMPLES - 1)
    counts = np.ones(truth.shape[1], bool)
    for track in truth:
        for edge in np.flatnonzero(np.diff(track.astype(np.int8))):
            counts[max(0, edge - COLLAR_FRAMES + 1) : edge + COLLAR_FRAMES + 1] = False
    alone = counts & (truth[0] ^ truth[1])
    total = max(int(alone.sum()), 1)
    right = [
        sum(int((alone & truth[party] & track).sum()) for party, track in enumerate(one)) for one in (said, said[::-1])
    ]
    wrong = min(right)
    spoken = max(int(truth.any(axis=0).sum()), 1)
    return Shares(
        max(right) / total, wrong / total, 1.0 - (max(right) + wrong) / total, int(truth.all(axis=0).sum()) / spoken
    )


def dialogues(data: Path, split: str, minutes: float, seed: int, count_speakers: int = 2) -> list[Case]:
    """String clips of speakers of a split to dialogues, by telephone; of one speaker to monologues."""
    found = []
    for one in string_recordings(data, split, minutes, seed, count_speakers=count_speakers):
        names = sorted({span.speaker for span in one.spans})
        spans = [(span.start, span.end, names.index(span.speaker)) for span in one.spans]
        found.append(Case(one.name, telephone(one.samples), tracks_of(spans, len(one.samples))))
    return found


def call_case(data: Path, call: Path | None, models: CorpusModels) -> Case:
    """Mix a recording with a channel for each party to one; who speaks is found on each by itself."""
    call = call or data / "calls" / "two_party_8khz.flac"
    sound, rate_hz = soundfile.read(call, dtype="float32", always_2d=True)
    parties = [resample(np.ascontiguousarray(sound[:, channel]), rate_hz, RATE_HZ) for channel in range(2)]
    found = [models.finder.find(party, 0.3) for party in parties]
    spans = [(one.start, one.end, party) for party, stretches in enumerate(found) for one in stretches]
    mixed = np.float32(0.5) * (parties[0] + parties[1])
    return Case(f"the call {call.stem}", mixed, tracks_of(spans, len(parties[0])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--call", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    models = CorpusModels()
    cases = dialogues(options.data, options.split, options.minutes, options.seed)
    cases.append(call_case(options.data, options.call, models))
    print("| recording | s | least margin | right | on the other's | on neither | both at once |")
    print("|---|---|---|---|---|---|---|")
    sums: dict[float, list[Shares]] = {margin: [] for margin in MARGINS}
    finder = PartyFinder(models.finder, models.embedder, -2.0)
    cost_s = length_s = 0.0
    for name, samples, truth in cases:
        start_s = time.process_time()
        told = finder.tell(samples)
        cost_s, length_s = cost_s + time.process_time() - start_s, length_s + len(samples) / RATE_HZ
        for margin in MARGINS:
            pieces = [piece for piece, sure in zip(told.pieces, told.margins, strict=True) if sure >= margin]
            said = shares(truth, pieces)
            if samples is cases[-1][1]:
                print(_row(name, len(samples) / RATE_HZ, margin, said), flush=True)
            else:
                sums[margin].append(said)
    for margin, scores in sums.items():
        if scores:
            mean, worst = Shares(*np.mean(scores, axis=0).tolist()), max(score.wrong for score in scores)
            seconds = sum(len(samples) for _, samples, _ in cases[:-1]) / RATE_HZ
            print(_row(f"{len(scores)} dialogues (worst {worst:.1%} wrong)", seconds, margin, mean))
    print(f"\n{cost_s / length_s:.2%} of real time, in processor time.")


def _row(name: str, duration_s: float, margin: float, said: Shares) -> str:
    return f"| {name} | {duration_s:.0f} | {margin:g} | {' | '.join(f'{value:.1%}' for value in said)} |"


if __name__ == "__main__":
    main()
