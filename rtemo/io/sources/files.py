"""FilesSource: many sound files and folders, several at a time."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from rtemo.api import AudioInputError, CapacityError, Fault, PolicyError, RtemoError, StreamDesk, StreamWriter
from rtemo.api.text import shown
from rtemo.io.sources.audio_file import SUFFIXES, AudioFile
from rtemo.io.sources.playback import Playback

STANDARD_INPUT = Path("-")
"""Stands for a sound file that is piped in."""

_FULL_WAIT_S = 0.001
_LARGEST_PIPED_BYTES = 1 << 30
_READ_BYTES = 1 << 20


class FoundFile(NamedTuple):
    """A sound file, and its path below the folder that was named; its bare name when it was named itself."""

    path: Path
    below: Path


class WaitingFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose header has been read, and the name of the call that it will be."""

    path: Path
    call: str
    channels: int
    duration_s: float
    """By the header; 0 where it does not tell."""


class FileTrack(msgspec.Struct, frozen=True, kw_only=True):
    """Which file and channel a stream came from."""

    path: Path
    channel_index: int
    channels: int
    sample_rate_hz: int
    duration_s: float
    """By the header; `truncation` tells when there was less."""
    unheard: frozenset[int] = frozenset()
    """Channels of the file that the policy does not let in."""
    is_estimate: bool = False
    """Whether the file has one channel, and its parties were told apart by their voices."""

    @property
    def heard_channels(self) -> int:
        """How many channels of the file have a stream."""
        return self.channels - len(self.unheard)


class FileFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be played, or only in part."""

    path: Path
    error: RtemoError
    is_partial: bool = False
    """Whether its audio was delivered up to the damage."""

    @property
    def fault(self) -> Fault:
        """What is told about it besides."""
        return Fault(where=shown(self.path.name), problem=str(self.error), action="closed")


class FilesProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch of files has come."""

    done_s: float
    total_s: float
    files_done: int
    files_failed: int
    files_total: int


class FilesSource:
    """Plays sound files side by side and opens the next when one ends; a damaged file does not stop the others.

    Args:
        paths: Files and folders; folders are searched to any depth for known suffixes, in the order of their names.
            `-` is a sound file on standard input, which is read to its end before it is played.
        parallel: Streams held open at once; a file with more channels than that is played alone.
        channel_names: Names of the channels; "0", "1" … for those not named.
        roles: Who speaks on each channel, where known.
        leave_out: Folder that is not searched, since results are written there.
        check: Called with every file that was opened, to refuse it by an `AudioInputError`.
        part: Called with a file of one channel before it is played; gives one that has a channel for each of two
            parties, and takes the time that this takes.
        on_failure: Called for every file that fails, on the source's thread or on that which calls `look`.
        on_remark: Called likewise with one sentence for every file that is read although something about it is odd.
        clock_ns: Monotonic time in ns, for live sessions.

    Attributes:
        tracks: (call, channel) → where that stream came from; complete once the file has been opened.
        failures: Files that could not be played, or only in part, so far.
    """

    name = "files"
    is_local = True

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        parallel: int = 16,
        *,
        channel_names: Sequence[str] = (),
        roles: Sequence[str] = (),
        leave_out: Path | None = None,
        check: Callable[[AudioFile], object] | None = None,
        part: Callable[[AudioFile], AudioFile] | None = None,
        on_failure: Callable[[FileFailure], None] | None = None,
        on_remark: Callable[[str], None] | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.tracks: dict[tuple[str, str], FileTrack] = {}
        self.failures: list[FileFailure] = []
        self._roots = [Path(path) for path in paths]
        self._parallel = max(1, parallel)
        self._channel_names = tuple(channel_names)
        self._roles = tuple(roles)
        self._leave_out = leave_out
        self._check = check
        self._part = part
        self._on_failure = on_failure
        self._on_remark = on_remark
        self._piped: bytes | None = None
        self._clock_ns = clock_ns
        self._desk: StreamDesk | None = None
        self._has_looked = False
        self._untold: list[Fault] = []
        self._queue: list[WaitingFile] = []
        self._durations_s: dict[Path, float] = {}
        self._calls: set[str] = set()
        self._next: AudioFile | None = None
        self._next_call = ""
        self._is_estimate = False
        self._playing: list[Playback] = []
        self._leaving: list[StreamWriter] = []  # written to the end, but still being worked off
        self._refused_with = -1
        self._done_s = 0.0
        self._files_done = 0
        self._files_total = 0

    @property
    def progress(self) -> FilesProgress:
        """How far the batch has come; safe to read from another thread."""
        playing = list(self._playing)
        return FilesProgress(
            done_s=self._done_s + sum(playback.done_s for playback in playing),
            total_s=sum(list(self._durations_s.values())),
            files_done=self._files_done,
            files_failed=sum(not failure.is_partial for failure in list(self.failures)),
            files_total=self._files_total,
        )

    def look(self) -> tuple[WaitingFile, ...]:
        """Find the files and read their headers; `open` does so where it was not done before.

        Returns:
            The files that can be played, in the order in which they will be opened.

        Raises:
            AudioInputError: There is no sound file at all in what was named.
        """
        self._has_looked = True
        found = [file.path for file in find_sound_files(self._roots, self._leave_out)]
        if not found:
            named = ", ".join(map(shown, self._roots)) or "nothing"
            raise AudioInputError(
                f"no sound file found in {named}",
                f"endings known in folders: {' '.join(sorted(SUFFIXES))}",
            )
        self._files_total = len(found)
        waiting: list[WaitingFile] = []
        for path in found:
            try:
                with contextlib.closing(self._open(path)) as audio:
                    if self._check:
                        self._check(audio)
            except AudioInputError as error:
                self._fail(path, error)
                continue
            if audio.remark and self._on_remark:
                self._on_remark(f"{_named(path)} {audio.remark}")
            self._durations_s[path] = audio.duration_s
            call = self._unique_call(path)
            channels = 2 if self._part is not None and audio.channels == 1 else audio.channels
            waiting.append(WaitingFile(path=path, call=call, channels=channels, duration_s=audio.duration_s))
        self._queue = waiting[::-1]
        return tuple(waiting)

    def open(self, desk: StreamDesk) -> None:
        """Find the files, unless that was done before.

        Raises:
            AudioInputError: There is no sound file at all in what was named.
        """
        self._desk = desk
        if not self._has_looked:
            self.look()
        for fault in self._untold:
            desk.report(fault)

    def pump(self) -> float | None:
        """Open files while there is room and write what each may; see `rtemo.api.Source`."""
        while self._open_next():
            pass
        waits_s = []
        for playback in list(self._playing):
            wait_s = playback.pump()
            if wait_s is None:
                self._settle(playback)
                waits_s.append(0.0)
            else:
                waits_s.append(wait_s)
        if not self._playing and not self._queue and self._next is None:
            return None
        return min(waits_s, default=_FULL_WAIT_S)

    def close(self) -> None:
        """Stop playing and close all files."""
        for playback in self._playing:
            playback.close("stopped")
        self._playing.clear()
        if self._next:
            self._next.close()
            self._next = None
        self._queue.clear()

    def _open_next(self) -> bool:
        """Start the next file; False when there is none or no room for it."""
        if self._next is None:
            if not self._queue:
                return False
            waiting = self._queue.pop()
            try:
                audio = self._open(waiting.path)
                self._is_estimate = self._part is not None and audio.channels == 1
                self._next = audio if self._part is None else self._part(audio)
            except RtemoError as error:  # gone or changed since its header was read, or not to be parted
                self._durations_s.pop(waiting.path, None)
                self._fail(waiting.path, error)
                return True
            self._next_call = waiting.call
        audio = self._next
        assert self._desk is not None
        self._leaving = [writer for writer in self._leaving if not writer.is_closed]
        held = len(self._leaving) + sum(len(playback.writers) for playback in self._playing)
        if held and (held == self._refused_with or held + audio.channels > self._parallel):
            return False
        try:
            playback = Playback(
                audio,
                self._desk,
                self._next_call,
                self._channel_names,
                self._roles,
                self._clock_ns,
                is_estimate=self._is_estimate,
            )
        except CapacityError as error:
            if held:
                self._refused_with = held  # room comes when one of ours has left
                return False
            self._drop_next(error)
            return True
        except AudioInputError as error:  # of a rate that cannot be converted; it does not know of whom
            self._drop_next(AudioInputError(f"{_named(audio.path)}: {error.problem}", error.mend))
            return True
        except PolicyError as error:
            self._drop_next(error)
            return True
        self._next = None
        self._refused_with = -1
        for index, writer in enumerate(playback.writers):
            self.tracks[writer.call, writer.channel] = FileTrack(
                path=audio.path,
                channel_index=index,
                channels=audio.channels,
                sample_rate_hz=audio.sample_rate_hz,
                duration_s=audio.duration_s,
                unheard=playback.unheard,
                is_estimate=self._is_estimate,
            )
        self._playing.append(playback)
        return True

    def _open(self, path: Path) -> AudioFile:
        if path != STANDARD_INPUT:
            return AudioFile(path)
        if self._piped is None:
            self._piped = _read_standard_input()
        return AudioFile(path, self._piped)

    def _settle(self, playback: Playback) -> None:
        self._playing.remove(playback)
        self._leaving += playback.writers
        self._done_s += playback.done_s
        self._files_done += 1
        audio = playback.audio
        if audio.bad_samples and self._on_remark:
            bad = f"{audio.bad_samples} samples that are no numbers"
            self._on_remark(f"{_named(audio.path)} holds {bad}; they were taken for silence")
        if audio.truncation:
            self._durations_s[audio.path] = playback.done_s
            problem = AudioInputError(f"{_named(audio.path)} {audio.truncation}", "what could be decoded was analysed")
            self._keep(FileFailure(path=audio.path, error=problem, is_partial=True))

    def _drop_next(self, error: RtemoError) -> None:
        audio, self._next = self._next, None
        if audio:
            audio.close()
            self._durations_s.pop(audio.path, None)
            self._fail(audio.path, error)

    def _fail(self, path: Path, error: RtemoError) -> None:
        failure = FileFailure(path=path, error=error)
        if self._desk is None:
            self._untold.append(failure.fault)
        else:
            self._desk.report(failure.fault)
        self._keep(failure)

    def _keep(self, failure: FileFailure) -> None:
        self.failures.append(failure)
        if self._on_failure:
            self._on_failure(failure)

    def _unique_call(self, path: Path) -> str:
        stem = "stdin" if path == STANDARD_INPUT else shown(path.stem)
        call, count = stem, 1
        while call in self._calls:
            count += 1
            call = f"{stem}-{count}"
        self._calls.add(call)
        return call


def find_sound_files(roots: Iterable[Path], leave_out: Path | None = None) -> list[FoundFile]:
    """List files as they were named, and all sound files below folders, each once; hidden ones are left out.

    Args:
        roots: Files and folders.
        leave_out: Folder that is not searched, unless it is itself one of `roots`.
    """
    kept_out = None if leave_out is None else leave_out.resolve()
    found = (file for root in roots for file in _below(root, kept_out))
    return list({file.path: file for file in found}.values())


def _below(root: Path, kept_out: Path | None) -> Iterator[FoundFile]:
    if not _is_folder(root):
        yield FoundFile(root, Path("stdin" if root == STANDARD_INPUT else root.name))
        return
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if kept_out is not None:
            names[:] = [name for name in names if Path(folder, name).resolve() != kept_out]
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield FoundFile(path, path.relative_to(root))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long: opening it says so
        return False


def _named(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else shown(path)


def _read_standard_input() -> bytes:
    """Read a sound file from standard input to its end: its header may tell its length only then.

    Raises:
        AudioInputError: It is a terminal, closed, or larger than what should be held in memory.
    """
    try:
        number = 0 if sys.stdin is None else sys.stdin.fileno()
        if os.isatty(number):
            raise AudioInputError(
                "standard input is a terminal, expected a sound file", "pipe one in: cat FILE | rtemo analyze -"
            )
        content = bytearray()
        # Not through sys.stdin, whose lock an interrupted program could not get back from this thread.
        while data := os.read(number, _READ_BYTES):
            content += data
            if len(content) > _LARGEST_PIPED_BYTES:
                raise AudioInputError(
                    f"standard input holds more than {_LARGEST_PIPED_BYTES >> 30} GiB",
                    "write it into a file and name that",
                )
    except OSError as error:
        raise AudioInputError(f"standard input cannot be read ({error.strerror})", "check what feeds it") from None
    return bytes(content)
