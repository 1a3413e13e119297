"""Strings recordings of clips whose speakers and moods are known: `python -m bench.quality.corpus.record`.

D holds the manifests `emotion`, `clean` and `noise`. Clips of one corpus are strung to a recording; under a share of
the turns lies noise at 3 dB or music at 0 dB, and the first recording comes once more through a telephone. They lie in
W/recordings, with a table of their sources; W/truth.json tells who speaks when, and in which mood.
"""

import argparse
import csv
import shutil
from pathlib import Path

import msgspec
import soundfile

from bench.quality.corpus.strung import RATE_HZ, Span, string_recordings
from bench.quality.vad.corpus import telephone
from rtemo.io.whole_file import write_whole

DIRTY = 0.12
AGAIN = "z-again"
TRUTH = "truth.json"


class Known(msgspec.Struct, frozen=True):
    """What is known of a recording.

    Attributes:
        name: Of its file, without the suffix.
        length_samples: How long it is.
        spans: Its clips.
        is_again: Whether it is another one once more.
    """

    name: str
    length_samples: int
    spans: list[Span]
    is_again: bool = False


def folder_of(work: Path) -> Path:
    """Where the recordings lie."""
    return work / "recordings"


def sources_of(work: Path) -> Path:
    """The table that tells where each is from, as `rtemo corpus build --sources` takes it."""
    return folder_of(work) / "sources.csv"


def read_truth(work: Path) -> list[Known]:
    """Read what is known of the recordings."""
    return msgspec.json.decode((work / TRUTH).read_bytes(), type=list[Known])


def record(data: Path, work: Path, split: str, minutes: float, seed: int) -> list[Known]:
    """Write the recordings, their sources and the truth; what was there of earlier ones is taken away.

    Args:
        data: Folder with the manifests.
        work: Gets them.
        split: train or dev.
        minutes: In all, and one recording more; less where there are too few clips.
        seed: Of every draw.
    """
    strung = string_recordings(data, split, minutes, seed, DIRTY)
    if not strung:
        raise SystemExit(f"no corpus of {data} has two speakers in the split {split}")
    place = folder_of(work)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    found = [Known(one.name, len(one.samples), one.spans) for one in strung]
    found.append(Known(AGAIN, len(strung[0].samples), strung[0].spans, True))
    for one in strung:
        soundfile.write(place / f"{one.name}.wav", one.samples, RATE_HZ)
    soundfile.write(place / f"{AGAIN}.wav", telephone(strung[0].samples), RATE_HZ)
    with sources_of(work).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "licence", "source"))
        for one in found:
            corpus = (strung[0].name if one.is_again else one.name).partition("-")[0]
            writer.writerow((f"{one.name}.wav", f"that of {corpus}", f"clips of {corpus}, strung"))
    write_whole(work / TRUTH, msgspec.json.encode(found))
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which recordings."""
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seed", type=int, default=11)


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    told = parser.parse_args()
    found = record(told.data, told.work, told.split, told.minutes, told.seed)
    minutes = sum(one.length_samples for one in found) / RATE_HZ / 60
    print(f"{folder_of(told.work)}: {len(found)} recordings, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
