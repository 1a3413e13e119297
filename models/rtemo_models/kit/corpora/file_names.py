"""Corpora whose files' names say all: who speaks, in which emotion, how strongly."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from rtemo.api.errors import AudioInputError
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.corpora.released import ReleasedCorpus, duration_s

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True, slots=True)
class Said:
    """What a file's name says; see `Clip`. The speaker is the corpus' own name of them."""

    speaker: str
    emotion: str
    level: str = ""
    gender: str = ""
    text: str = ""


def read_files(
    name: str,
    root: Path,
    said_of: Callable[[str], Said | None],
    dev: Collection[str],
    test: Collection[str] = (),
    pattern: str = "",
) -> ReleasedCorpus:
    """Read all audio files under a folder.

    Args:
        name: Of the corpus.
        root: The folder.
        said_of: What the stem of a file's name says; None for a name that is not of the corpus, which is left out.
        dev: Speakers to select models on.
        test: Speakers to report; all others are trained on.
        pattern: What names look like, for the error.

    Raises:
        AudioInputError: If no file under the folder is of the corpus.
    """
    clips, left_out, seen = [], Counter[str](), set[str]()
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in AUDIO):
        said = said_of(path.stem)
        if said is None:
            left_out["of other names"] += 1
            continue
        if path.stem in seen:  # some archives hold every file twice
            left_out["twice"] += 1
            continue
        seen.add(path.stem)
        split = "dev" if said.speaker in dev else "test" if said.speaker in test else "train"
        clips.append(
            Clip(
                str(path.resolve()),
                name,
                f"{name}-{said.speaker}",
                split,
                said.emotion,
                said.level,
                duration_s(path),
                gender=said.gender,
                text=said.text,
            )
        )
    if not clips:
        raise AudioInputError(
            f"{root} holds no audio of names such as {pattern}", f"give the folder of {name}, unpacked"
        )
    return ReleasedCorpus(name, clips, left_out).checked()
