"""Enters a released corpus into the manifest of the data folder.

Run `python -m rtemo_models.kit.corpora.manifest NAME --root DIR --data DATA`. The rows of that corpus in
`DATA/emotion/manifest.csv` are replaced, all others stay. Audio that is mono at 16 kHz is used where it lies, by its
absolute path; any other is converted to FLAC under `DATA/emotion/NAME`.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtemo.api.errors import RtemoError
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.resample import at_rate
from rtemo_models.kit.corpora.clip import Clip, read_manifest, refuse_leaks
from rtemo_models.kit.corpora.iemocap import read_iemocap
from rtemo_models.kit.corpora.msp_improv import read_msp_improv
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast
from rtemo_models.kit.corpora.released import ReleasedCorpus
from rtemo_models.kit.progress import progress

READERS: dict[str, Callable[[Path], ReleasedCorpus]] = {
    "msp_podcast": read_msp_podcast,
    "iemocap": read_iemocap,
    "msp_improv": read_msp_improv,
}
COLUMNS = (
    *("path", "corpus", "language", "speaker", "gender", "emotion", "level", "text", "split", "duration_s"),
    *("partition", "valence", "arousal", "dominance", "votes"),
)


def row_of(clip: Clip, language: str) -> dict[str, str]:
    """A clip as a row of the manifest; what is not known is an empty cell."""
    valence, arousal, dominance = ("" if v != v else f"{v:.4f}" for v in clip.rating or (float("nan"),) * 3)
    return {
        "path": clip.path,
        "corpus": clip.corpus,
        "language": language,
        "speaker": clip.speaker,
        "gender": clip.gender,
        "emotion": clip.emotion,
        "level": clip.level,
        "text": clip.text,
        "split": clip.split,
        "duration_s": f"{clip.duration_s:.3f}",
        "partition": clip.partition,
        "valence": valence,
        "arousal": arousal,
        "dominance": dominance,
        "votes": " ".join(map(str, clip.votes)),
    }


def at_16_khz(clip: Clip, folder: Path) -> Clip:
    """The clip itself when its audio is mono at 16 kHz; else the clip of a converted copy in `folder`."""
    import soundfile

    info = soundfile.info(clip.path)
    if info.samplerate == SAMPLE_RATE_HZ and info.channels == 1:
        return clip
    converted = folder / f"{Path(clip.path).stem}.flac"
    if not converted.exists():
        samples, rate_hz = soundfile.read(clip.path, dtype="float32", always_2d=True)
        mono = at_rate(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
        folder.mkdir(parents=True, exist_ok=True)
        part = converted.with_suffix(".part")
        soundfile.write(part, np.clip(mono, -1, 1), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        part.replace(converted)
    return replace(clip, path=str(converted.resolve()))


def enter(corpus: ReleasedCorpus, data_dir: Path, language: str = "en") -> Path:
    """Replace the rows of a corpus in the manifest of the emotion folder, which is made when it is missing.

    Returns:
        The manifest's path.

    Raises:
        ValueError: If a speaker would be in two splits; then nothing is written.
    """
    path = data_dir / "emotion" / "manifest.csv"
    kept: list[dict[str, str]] = []
    if path.exists():
        refuse_leaks([*(c for c in read_manifest(path) if c.corpus != corpus.name), *corpus.clips])
        with path.open(newline="", encoding="utf-8") as file:
            kept = [r for r in csv.DictReader(file) if r["corpus"] != corpus.name]
    folder = data_dir / "emotion" / corpus.name
    rows = [row_of(at_16_khz(clip, folder), language) for clip in progress(corpus.clips, "audio")]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    part.replace(path)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(READERS), help="corpus")
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus as it was released")
    parser.add_argument("--data", type=Path, required=True, help="data folder whose emotion/manifest.csv gets the rows")
    options = parser.parse_args(arguments)
    try:
        corpus = READERS[options.name](options.root)
        path = enter(corpus, options.data)
    except (RtemoError, ValueError) as error:
        sys.exit(f"{options.name}: {error}")
    splits = {s: sum(c.split == s for c in corpus.clips) for s in ("train", "dev", "test")}
    print(f"{path}: {len(corpus.clips)} clips of {options.name}", *(f"{s} {n}" for s, n in splits.items()), sep=", ")
    for reason, count in corpus.left_out.items():
        print(f"left out: {count} clips {reason}")


if __name__ == "__main__":
    main()
