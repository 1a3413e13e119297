"""EnhancedFiles: the processed audio of every sound file as a sound file."""

import errno
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, ConfigError, ProcessedBlock, StreamFacts, StreamFormat
from rtemo.api.text import shown
from rtemo.cli.wave_file import WaveFile
from rtemo.io.sources.files import FileTrack, FoundFile

_WRITE_SAMPLES = 4_000  # at once: a call of libsndfile costs as much as its samples


class EnhancedFiles:
    """A sink that writes one WAV file for every file that is played, at the engine's rate.

    It has the name and the channels of the file it comes from, each channel worked on by itself, and lies at the same
    place below the folder. Sample k of it belongs to the time of sample k of the (converted) input, however long the
    chain delays the audio, and it is as long. A file that was not played to its end leaves nothing behind.

    Args:
        targets: Sound file → where its processed audio goes (`Targets`); it may grow until the file is played.
        tracks: (call, channel) → which file and channel it came from; filled while files are opened.
        on_finished: Called on the sink's thread with the name of every call for which nothing more will be written.

    Attributes:
        targets: As given, without those that turned out not to be writable.
        failure: Why nothing more was written; empty while all is well.
        failures: Sound file → why its processed audio alone could not be written.
    """

    name = "enhanced"
    overrun_samples = underrun_samples = 0  # it takes everything

    def __init__(
        self,
        targets: dict[Path, Path],
        tracks: Mapping[tuple[str, str], FileTrack],
        on_finished: Callable[[str], None] = lambda call: None,
    ) -> None:
        self.targets = targets
        self.failure = ""
        self.failures: dict[Path, str] = {}
        self._given_up: set[str] = set()
        self._tracks = tracks
        self._on_finished = on_finished
        self._rate_hz = 0
        self._lanes: dict[StreamFacts, tuple[_Recording, int]] = {}
        self._recordings: dict[str, _Recording] = {}

    def open(self, format: StreamFormat) -> None:
        """Take the rate; files are made when their audio comes."""
        self._rate_hz = format.sample_rate_hz

    def write(self, block: ProcessedBlock) -> None:
        """Append a hop to every file that is played.

        Raises:
            AudioInputError: A file cannot be written; `failure` says so too.
        """
        for row, stream in enumerate(block.streams):
            if stream.call in self._given_up:
                continue
            try:
                lane = self._lanes.get(stream) or self._begin(stream)
                if lane is None:
                    continue
                recording, channel = lane
                recording.append(channel, *block.audio(row))
                if block.is_last[row]:
                    del self._lanes[stream]
                    if recording.end(channel):
                        del self._recordings[stream.call]
                        self._on_finished(stream.call)
            except (OSError, RuntimeError) as error:
                self.failure = f"the processed audio of {stream.call}/{stream.channel} cannot be written ({error})"
                raise AudioInputError(self.failure) from None

    def tick(self) -> None:
        """Do nothing: audio is written as it comes."""

    def close(self) -> None:
        """Remove what was not finished."""
        for recording in self._recordings.values():
            recording.abandon()
        self._recordings.clear()
        self._lanes.clear()

    def _begin(self, stream: StreamFacts) -> "tuple[_Recording, int] | None":
        track = self._tracks[stream.call, stream.channel]
        recording = self._recordings.get(stream.call)
        if recording is None:
            target = self.targets.get(track.path)
            if target is None:
                self._give_up(stream.call)
                return None
            try:
                recording = _Recording(WaveFile(target, self._rate_hz, track.channels), track.unheard)
            except (OSError, RuntimeError) as error:  # a name that is too long, no room
                del self.targets[track.path]
                self.failures[track.path] = _sentence(target, _reason(error))
                self._give_up(stream.call)
                return None
            self._recordings[stream.call] = recording
        self._lanes[stream] = recording, track.channel_index
        return self._lanes[stream]

    def _give_up(self, call: str) -> None:
        self._given_up.add(call)
        self._on_finished(call)


class _Recording:
    """One file on its way: holds what one channel is ahead of another, which is never much: they share every tick."""

    def __init__(self, file: WaveFile, unheard: Collection[int]) -> None:
        self._file = file
        self._pending: list[list[NDArray[np.float32]]] = [[] for _ in range(file.channels)]
        self._position = {channel: 0 for channel in range(file.channels) if channel not in unheard}
        self._open = len(self._position)

    def append(self, channel: int, start_sample: int, samples: NDArray[np.float32]) -> None:
        """Add audio of one channel; a hole (a plugin that hung has lost a hop) stays one, as silence."""
        hole = start_sample - self._position[channel]
        if hole > 0:
            self._pending[channel].append(np.zeros(hole, np.float32))
        if samples.shape[0]:
            self._pending[channel].append(samples)
            self._position[channel] = start_sample + samples.shape[0]
        ready = min(self._position.values()) - self._file.written_samples
        if ready >= _WRITE_SAMPLES:
            self._write(ready)

    def end(self, channel: int) -> bool:
        """Take note that a channel is over; tell whether the file is complete."""
        self._open -= 1
        if self._open:
            return False
        self._write(max(self._position.values()) - self._file.written_samples)
        self._file.finish()
        return True

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.abandon()

    def _write(self, count_samples: int) -> None:
        frames = np.zeros((count_samples, self._file.channels), np.float32)
        for channel, pieces in enumerate(self._pending):
            joined = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.float32), *pieces])
            part = joined[:count_samples]
            frames[: part.shape[0], channel] = part
            self._pending[channel] = [joined[count_samples:]] if joined.shape[0] > count_samples else []
        self._file.write(frames)


class Targets(NamedTuple):
    """Where processed audio will go: sound file → WAV file, and why those cannot be written that cannot."""

    targets: dict[Path, Path]
    failures: dict[Path, str]


def plan_targets(folder: Path, found: Sequence[FoundFile]) -> Targets:
    """Name the WAV files of sound files that are about to be played, and look whether they can be written.

    Raises:
        ConfigError: The folder holds files that are to be played, or it cannot be written into.
    """
    targets = {path: folder / name for path, name in name_targets(found).items()}
    _check_apart(folder, targets)
    _check_writable(folder)
    # Known before the results are written, which are ahead of the audio.
    obstacles = {path: _obstacle(target) for path, target in targets.items()}
    failures = {path: _sentence(targets[path], problem) for path, problem in obstacles.items() if problem}
    return Targets({path: target for path, target in targets.items() if path not in failures}, failures)


def _sentence(target: Path, problem: str) -> str:
    return f"the processed audio {shown(target)} cannot be written ({problem})"


def _reason(error: OSError | RuntimeError) -> str:
    return getattr(error, "strerror", None) or str(error).rstrip(".").rpartition(": ")[2]


def name_targets(found: Sequence[FoundFile]) -> dict[Path, Path]:
    """Name a WAV file for every sound file: the same path below the folder, and no name twice.

    Files that differ in their ending alone keep it; files of one name out of different folders are numbered.

    >>> names = ["a.flac", "b.flac", "b.wav", "deep/b.mp3"]
    >>> [str(name) for name in name_targets([FoundFile(Path(n), Path(n)) for n in names]).values()]
    ['a.wav', 'b.flac.wav', 'b.wav', 'deep/b.wav']
    """
    plain = {file.path: file.below.with_suffix(".wav") for file in found}
    count = Counter(_folded(name) for name in plain.values())
    taken: set[str] = set()
    targets: dict[Path, Path] = {}
    for file in found:
        name = plain[file.path]
        if count[_folded(name)] > 1 and file.below.suffix.lower() != ".wav":
            name = file.below.with_name(f"{file.below.name}.wav")
        number, first = 1, name
        while _folded(name) in taken:
            number += 1
            name = first.with_name(f"{first.stem}-{number}.wav")
        taken.add(_folded(name))
        targets[file.path] = name
    return targets


def _folded(name: Path) -> str:
    return str(name).casefold()  # some file systems do not tell capitals apart


def _obstacle(target: Path) -> str:
    """Tell what stands where a file or its folder should be; empty when nothing does."""
    if target.is_dir():
        return os.strerror(errno.EISDIR)
    nearest = next(parent for parent in target.parents if parent.exists())
    return "" if nearest.is_dir() else os.strerror(errno.EEXIST)


def _check_apart(folder: Path, targets: Mapping[Path, Path]) -> None:
    """Refuse to write into a folder from which files are read: nobody gets his recordings back."""
    homes = {path.parent.resolve() for path in targets}
    for target in targets.values():
        if target.parent.resolve() in homes:
            raise ConfigError(
                f"--enhanced {folder} would write into {target.parent}, which holds files that are to be analysed",
                "choose another folder",
            )


def _check_writable(folder: Path) -> None:
    """Make the folder, and a file in it, before hours of work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"--enhanced {folder} cannot be written ({error.strerror})", "choose another folder"
        ) from None
