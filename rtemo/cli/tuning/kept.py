"""Kept: what the frozen part of a network says of every window, on disk, so that a run that was stopped goes on."""

import hashlib
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError, Tuner
from rtemo.api.text import shown
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.tuning.turns import FoundTurn
from rtemo.cli.tuning.windows import Heard, Network, Table, joined
from rtemo.io.whole_file import write_whole

_KEY_FILE = "unfinished.key"
_AT_ONCE = 32
"""Clips whose windows are in one file: what is lost when a run is stopped."""


class Workplace:
    """A folder beside the new bundle that only its owner can read; it is gone when the bundle is there.

    Args:
        out: Folder of the new bundle.
        key: Of what it is about; what was kept of something else is thrown away.

    Raises:
        ConfigError: It holds something else, or cannot be written.
    """

    def __init__(self, out: Path, key: str) -> None:
        self.folder = folder = out.with_name(f"{out.name}.unfinished")
        self._key = key
        try:
            if folder.exists():
                if not (folder / _KEY_FILE).is_file():
                    raise ConfigError(f"{shown(folder)} is there and not from here", "move it, or choose another --out")
                if (folder / _KEY_FILE).read_text() != key:
                    shutil.rmtree(folder)
            folder.mkdir(0o700, parents=True, exist_ok=True)
            self.write(_KEY_FILE, key.encode())
        except OSError as error:
            raise self._lost(error) from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            ConfigError: There is no room.
        """
        try:
            write_whole(self.folder / name, data)
        except OSError as error:
            raise self._lost(error) from None

    def remove(self) -> None:
        """Remove all that was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lost(self, error: OSError) -> ConfigError:
        return ConfigError(f"{shown(self.folder)} cannot be written ({error.strerror})", "choose another --out")


class Windows:
    """All windows of some clips; of their frames only those that are asked for are read.

    Attributes:
        table: What the network tells of them, and whose they are.
        others: What else it tells: name → float32 [n, ...].
        counts: int64 [n], frames of each window that are there.
    """

    def __init__(self, parts: Sequence[Heard], clips: Sequence[int]) -> None:
        self.table = joined([part.table for part in parts], clips)
        self.others = {name: np.concatenate([part.others[name] for part in parts]) for name in parts[0].others}
        self.counts = np.concatenate([part.counts for part in parts])
        self._frames = [part.frames for part in parts]
        sizes = [len(part.counts) for part in parts]
        self._part = np.repeat(np.arange(len(parts)), sizes)
        self._begin = np.concatenate([np.cumsum(part.counts) - part.counts for part in parts])

    def frames(
        self, windows: NDArray[np.int64], length: int
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """Frames of some windows, filled up to one length.

        Returns:
            Name → float32 [k, length, width], and which frames are there, float32 [k, length].
        """
        names = self._frames[0]
        filled = {name: np.zeros((len(windows), length, values.shape[1]), np.float32) for name, values in names.items()}
        there = np.zeros((len(windows), length), np.float32)
        for row, window in enumerate(windows.tolist()):
            begin, count = int(self._begin[window]), int(self.counts[window])
            for name, values in filled.items():
                values[row, :count] = self._frames[self._part[window]][name][begin : begin + count]
            there[row, :count] = 1
        return filled, there


def key_of(network: Network, frozen: Sequence[str], clips: Sequence[Clip], turns: Mapping[str, Any]) -> str:
    """Tell by a hash which windows of which network are kept."""
    stats = [clip.path.stat() for clip in clips]
    told = [
        (clip.key, stat.st_size, stat.st_mtime_ns, turns.get(clip.key, ()))
        for clip, stat in zip(clips, stats, strict=True)
    ]
    return hashlib.sha256(msgspec.json.encode((network.card.sha256, network.features, frozen, told))).hexdigest()


def open_windows(
    place: Workplace,
    network: Network,
    tuner: Tuner,
    clips: Sequence[Clip],
    turns: Mapping[str, Sequence[FoundTurn]],
    on_clip: Callable[[int], None],
) -> Windows:
    """Run all windows of clips, but those that were kept when the run was stopped.

    Raises:
        ConfigError: They cannot be kept.
    """
    parts, sizes = [], []
    for begin in range(0, len(clips), _AT_ONCE):
        some = clips[begin : begin + _AT_ONCE]
        name = f"windows-{begin // _AT_ONCE}"
        if not (place.folder / f"{name}.npz").exists():
            heard = network.hear(tuner, some, turns, lambda done, begin=begin: on_clip(begin + done))  # type: ignore[misc]
            for number, values in enumerate(heard.frames.values()):
                place.write(f"{name}-{number}.npy", _as_file(np.save, values))
            told = {f"other-{k}": values for k, values in enumerate(heard.others.values())}
            kept = heard.table._asdict() | told | {"counts": heard.counts}
            place.write(f"{name}.npz", _as_file(lambda file, all_: np.savez(file, **all_), kept))
        parts.append(_read(place.folder, name, network))
        sizes.append(len(some))
        on_clip(begin + len(some))
    return Windows(parts, sizes)


def _read(folder: Path, name: str, network: Network) -> Heard:
    with np.load(folder / f"{name}.npz") as kept:
        table = Table(*(kept[field] for field in Table._fields))
        others = {other: kept[f"other-{k}"] for k, other in enumerate(network.others)}
        counts = kept["counts"]
    frames = {
        frozen: np.load(folder / f"{name}-{number}.npy", mmap_mode="r") if len(counts) else np.zeros((0, width), "f2")
        for number, (frozen, width) in enumerate(network.frozen.items())
    }
    return Heard(table, others, counts, frames)


def _as_file(save: Callable[[Any, Any], None], values: Any) -> bytes:
    file = io.BytesIO()
    save(file, values)
    return file.getvalue()
