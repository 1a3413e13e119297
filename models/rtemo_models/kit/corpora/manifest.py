"""Enters a released corpus into a manifest: `python -m rtemo_models corpus NAME FOLDER --out manifest.csv`.

The rows of that corpus are replaced, all others stay. Audio that is mono at 16 kHz is used where it lies, by its
absolute path; any other is converted to FLAC in a folder of the corpus' name beside the manifest.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtemo.api.errors import AudioInputError, ConfigError
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.resample import at_rate
from rtemo_models.kit.corpora.ased import read_ased
from rtemo_models.kit.corpora.baved import read_baved
from rtemo_models.kit.corpora.clip import Clip, read_manifest, refuse_leaks
from rtemo_models.kit.corpora.crema import read_crema
from rtemo_models.kit.corpora.iemocap import read_iemocap
from rtemo_models.kit.corpora.msp_improv import read_msp_improv
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast
from rtemo_models.kit.corpora.nemo import read_nemo
from rtemo_models.kit.corpora.rakshak import read_rakshak
from rtemo_models.kit.corpora.ravdess import read_ravdess
from rtemo_models.kit.corpora.released import ReleasedCorpus
from rtemo_models.kit.corpora.tess import read_tess
from rtemo_models.kit.progress import progress


class Reader(NamedTuple):
    """How a corpus is read, and the language that is spoken in it."""

    read: Callable[[Path], ReleasedCorpus]
    language: str


READERS = {
    "ased": Reader(read_ased, "am"),
    "baved": Reader(read_baved, "ar"),
    "crema": Reader(read_crema, "en"),
    "iemocap": Reader(read_iemocap, "en"),
    "msp_improv": Reader(read_msp_improv, "en"),
    "msp_podcast": Reader(read_msp_podcast, "en"),
    "nemo": Reader(read_nemo, "pl"),
    "rakshak": Reader(read_rakshak, "hi-en"),
    "ravdess": Reader(read_ravdess, "en"),
    "tess": Reader(read_tess, "en"),
}
UNKNOWN = {
    "ketts": "how ketts is laid out as released is not known here; write its rows by hand, in the manifest's columns",
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


def read_corpus(name: str, folder: Path) -> ReleasedCorpus:
    """Read a corpus by its name, as it was released.

    Raises:
        ConfigError: There is no reader for it.
        AudioInputError: The folder does not hold it.
    """
    if name in UNKNOWN:
        raise ConfigError(UNKNOWN[name])
    if name not in READERS:
        raise ConfigError(f"no reader for the corpus {name}", f"one of {', '.join(READERS)}")
    if not folder.is_dir():
        raise AudioInputError(f"{folder} is no folder", f"give the folder that {name} was released as, unpacked")
    return READERS[name].read(folder)


def enter(corpus: ReleasedCorpus, manifest: Path, language: str = "en") -> Path:
    """Replace the rows of a corpus in a manifest, which is made when it is missing.

    Returns:
        The manifest's path.

    Raises:
        ValueError: If a speaker would be in two splits; then nothing is written.
    """
    path = manifest
    kept: list[dict[str, str]] = []
    if path.exists():
        refuse_leaks([*(c for c in read_manifest(path) if c.corpus != corpus.name), *corpus.clips])
        with path.open(newline="", encoding="utf-8") as file:
            kept = [r for r in csv.DictReader(file) if r["corpus"] != corpus.name]
    folder = path.parent / corpus.name
    rows = [row_of(at_16_khz(clip, folder), language) for clip in progress(corpus.clips, "audio")]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*kept, *rows])
    part.replace(path)
    return path
