"""CorpusSettings: what makes a turn fit for a corpus; kept with the corpus, since other settings make another one."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.api import ConfigError
from rtemo.dsp.music import STEADY
from rtemo.io.whole_file import write_whole

RATE_HZ = 16_000
"""Everything in a corpus is mono at this rate."""
SETTINGS_FILE = "settings.json"


class CorpusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a corpus; the numbers of turns and gates are those of MSP-Podcast.

    `same_voice`, `same_speaker`, `most_apart`, `most_changed` and `steady` were chosen on training speakers of acted
    corpora, strung together, and on made-up music; `python -m bench.quality.corpus` prints what they do on others.
    """

    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,40}$", description="First part of file names.")] = "CORPUS"
    least_s: Annotated[float, Meta(gt=0.5, le=60, description="Shortest turn, in s.")] = 2.75
    longest_s: Annotated[float, Meta(gt=1, le=120, description="Longest turn, in s.")] = 11.0
    pause_s: Annotated[float, Meta(ge=0.05, le=2, description="Pause at which a turn may be cut, in s.")] = 0.3
    most_gap_s: Annotated[float, Meta(ge=0.1, le=5, description="Longest pause within a turn, in s.")] = 1.0
    least_words: Annotated[int, Meta(ge=0, le=100, description="Words that a turn has at least.")] = 5
    language: Annotated[str, Meta(max_length=8, description="Language that is wanted, as en; empty for any.")] = ""
    most_music: Annotated[float, Meta(ge=0, le=1, description="Share of a turn that may be music.")] = 0.5
    steady: Annotated[float, Meta(gt=0, description="How steady a spectrum is from which on it is music.")] = STEADY
    least_snr_db: Annotated[float, Meta(ge=-20, le=60, description="Least signal-to-noise ratio, in dB.")] = 15.0
    same_voice: Annotated[
        float, Meta(ge=-1, le=1, description="Likeness from which on stretches of a recording are of one speaker.")
    ] = 0.6
    same_speaker: Annotated[
        float, Meta(ge=-1, le=1, description="Likeness from which on speakers of two recordings are one.")
    ] = 0.87
    most_apart: Annotated[
        float, Meta(ge=0, le=2, description="How far the halves of a turn may lie apart to be of one voice.")
    ] = 0.29
    most_changed: Annotated[
        float, Meta(ge=0, le=20, description="How much the sound may change in a turn to be of one voice.")
    ] = 1.6
    split_by: Annotated[
        Literal["recording", "speaker"],
        Meta(description="What is never in two splits: all that is joined by recordings, or each speaker alone."),
    ] = "recording"
    share_of_splits: Annotated[
        tuple[float, float, float, float],
        Meta(description="Shares of the speech in Train, Development, Test1 and Test2, by whole speakers."),
    ] = (0.6, 0.15, 0.15, 0.1)
    seed: Annotated[int, Meta(ge=0, description="What is drawn, is drawn by it.")] = 0


def keep_settings(folder: Path, wanted: CorpusSettings) -> CorpusSettings:
    """Write the settings of a corpus when it is begun; later they must be the same.

    Raises:
        ConfigError: The corpus was begun with others.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_whole(path, msgspec.json.format(msgspec.json.encode(wanted), indent=1) + b"\n")
        return wanted
    kept = read_settings(folder)
    if kept != wanted:
        other = [name for name in wanted.__struct_fields__ if getattr(kept, name) != getattr(wanted, name)]
        told = ", ".join(f"{name} = {getattr(kept, name)}" for name in other)
        raise ConfigError(
            f"the corpus in {folder} was begun with {told}", "go on with the same settings, or name another --work"
        )
    return kept


def read_settings(folder: Path) -> CorpusSettings:
    """Read the settings of a corpus.

    Raises:
        ConfigError: There is no corpus there, or its settings make no sense.
    """
    path = folder / SETTINGS_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=CorpusSettings)
    except FileNotFoundError:
        raise ConfigError(f"there is no corpus in {folder}", "begin one with `rtemo corpus build`") from None
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "restore it, or begin anew in another folder") from None
