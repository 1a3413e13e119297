"""Recordings: the sound files of a folder, decoded once to 16 kHz, each with its source and licence."""

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rtemo.api import AudioInputError, ConfigError
from rtemo.api.text import shown
from rtemo.corpus.ledger import Entry, Ledger
from rtemo.corpus.settings import RATE_HZ
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.io.pcm import as_int16
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.files import FoundFile
from rtemo.io.whole_file import gone_if_broken, part_of

_BLOCK_S = 30
_FULL_SCALE = np.float32(32_768.0)
ALL_CHANNELS = -1

UNREADABLE = "cannot be read"
WRONG_ROLES = "roles do not fit its channels"
NOT_ALLOWED = "may not be analysed"
SAME_FILE = "the same file twice"
EMPTY = "holds no audio"


class Recording(Entry, frozen=True, kw_only=True):
    """One recording, or one channel of one.

    Attributes:
        unit: Its number, four digits.
        path: Where it was found.
        below: The same below the folder that was named.
        channel: Which channel; `ALL_CHANNELS` when they were mixed.
        role: Who speaks, as announced; empty when nobody said so.
        sha256: Of the file.
        duration_s: Of what could be decoded.
        source: Where it is from, as a title or an address.
        licence: Under which it may be passed on; empty when nobody said so.
        remark: What is odd about it although it is used.
    """

    path: str
    below: str
    channel: int = ALL_CHANNELS
    role: str = ""
    sha256: str = ""
    duration_s: float = 0.0
    source: str = ""
    licence: str = ""
    remark: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file before it is heard."""

    source: str = ""
    licence: str = ""
    roles: tuple[str, ...] = ()


def read_origins(path: Path) -> dict[str, Origin]:
    """Read a CSV file with the columns `path` (below the folder), `licence`, `source` and perhaps `roles`.

    Raises:
        ConfigError: It cannot be read, or lacks the column `path`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
            columns = rows[0].keys() if rows else ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--sources {path} cannot be read ({error})", "give a CSV file in UTF-8") from None
    if "path" not in columns:
        raise ConfigError(f"--sources {path} has no column path", "give the columns path,licence,source[,roles]")
    return {
        row["path"]: Origin(
            source=(row.get("source") or "").strip(),
            licence=(row.get("licence") or row.get("license") or "").strip(),
            roles=tuple(part.strip() for part in row["roles"].split(";")) if row.get("roles") else (),
        )
        for row in rows
        if row["path"]
    }


def audio_path(folder: Path, unit: str) -> Path:
    """Where the decoded audio of a recording lies: raw samples of 16 bits."""
    return folder / "audio" / f"{unit}.s16"


def read_audio(folder: Path, unit: str, start: int = 0, end: int | None = None) -> NDArray[np.float32]:
    """Read a stretch of a recording, float32 [k] at `RATE_HZ`; only that is taken from disk."""
    samples = np.memmap(audio_path(folder, unit), "<i2", "r")
    return np.asarray(samples[start:end], np.float32) / _FULL_SCALE


def take_in(
    folder: Path,
    files: Iterable[FoundFile],
    ledger: Ledger[Recording],
    origins: Mapping[str, Origin],
    *,
    may_analyse: Callable[[str], str],
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> None:
    """Decode every file that is not in the ledger yet.

    Args:
        folder: Of the corpus.
        files: What was found.
        ledger: Takes one entry for each file, or for each channel where roles were given.
        origins: Path below the folder → source, licence and roles.
        may_analyse: Role → empty, or why speakers of that role may not be analysed.
        on_progress: Told the stage, how many files are done, of how many.
    """
    known = {entry.path for entry in ledger}
    by_hash = {(entry.sha256, entry.channel): entry.unit for entry in ledger if entry.sha256 and not entry.dropped}
    listed = list(files)
    for done, file in enumerate(listed):
        on_progress("recordings", done, len(listed))
        if shown(file.path) in known:
            continue
        entries = list(
            _entries_of(folder, file, origins.get(file.below.as_posix(), Origin()), len(ledger), by_hash, may_analyse)
        )
        ledger.add(*entries)  # all channels at once: a file that is known is known whole
        by_hash |= {
            (entry.sha256, entry.channel): entry.unit for entry in entries if entry.sha256 and not entry.dropped
        }
    on_progress("recordings", len(listed), len(listed))


def _entries_of(
    folder: Path,
    file: FoundFile,
    origin: Origin,
    first: int,
    by_hash: Mapping[tuple[str, int], str],
    may_analyse: Callable[[str], str],
) -> Iterator[Recording]:
    base = Recording(
        unit=f"{first:04d}",
        path=shown(file.path),
        below=shown(file.below),
        source=origin.source,
        licence=origin.licence,
    )
    try:
        opened = AudioFile(file.path)
        channels = opened.channels
        opened.close()
        base = replace(base, sha256=_digest(file.path))
    except (AudioInputError, OSError) as error:
        problem = error.problem if isinstance(error, AudioInputError) else str(error)
        yield replace(base, dropped=UNREADABLE, remark=problem)
        return
    if origin.roles and len(origin.roles) != channels:
        remark = f"{len(origin.roles)} roles are named for {channels} channels"
        yield replace(base, dropped=WRONG_ROLES, remark=remark)
        return
    wanted = list(enumerate(origin.roles)) if origin.roles else [(ALL_CHANNELS, "")]
    for offset, (channel, role) in enumerate(wanted):
        one = replace(base, unit=f"{first + offset:04d}", channel=channel, role=role)
        refused = may_analyse(role)
        twin = by_hash.get((one.sha256, channel))
        if refused:
            yield replace(one, dropped=NOT_ALLOWED, remark=refused)
        elif twin is not None:
            yield replace(one, dropped=SAME_FILE, remark=f"the same as {twin}")
        else:
            yield _decoded(folder, file.path, one)


def _decoded(folder: Path, path: Path, one: Recording) -> Recording:
    """Decode to mono at `RATE_HZ`, as much as there is."""
    place = audio_path(folder, one.unit)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = part_of(place)
    count = 0
    file = AudioFile(path)
    try:
        resampler = PolyphaseResampler(file.sample_rate_hz, RATE_HZ) if file.sample_rate_hz != RATE_HZ else None
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with gone_if_broken(part), open(number, "wb") as out:
            while (block := file.read(_BLOCK_S * file.sample_rate_hz)).shape[1]:
                mono = block.mean(axis=0) if one.channel == ALL_CHANNELS else block[one.channel]
                mono = np.nan_to_num(mono, posinf=0.0, neginf=0.0).astype(np.float32)
                count += _write(out, resampler.process(mono) if resampler else mono)
            if resampler is not None:
                count += _write(out, resampler.flush()[0])
            out.flush()
            os.fsync(out.fileno())
        remark = file.truncation or file.remark
    except AudioInputError as error:
        return replace(one, dropped=UNREADABLE, remark=error.problem)
    finally:
        file.close()
    if not count:
        part.unlink(missing_ok=True)
        return replace(one, dropped=EMPTY, remark=remark)
    os.replace(part, place)
    return replace(one, duration_s=count / RATE_HZ, remark=remark)


def _write(out: BinaryIO, samples: NDArray[np.float32]) -> int:
    out.write(as_int16(samples).tobytes())
    return int(samples.size)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
