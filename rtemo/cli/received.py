"""Saving of received audio: one WAV file per stream."""

import errno
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rtemo.api import ConfigError
from rtemo.cli.edges import tenant_of
from rtemo.cli.feed import heard
from rtemo.cli.main import say
from rtemo.cli.stopping import shielded, term_as_interrupt
from rtemo.cli.view.numbers import clock
from rtemo.cli.wave_file import WaveFile
from rtemo.client import AudioReceiver, ReceivedAudio
from rtemo.io.zmq_options import USUAL_AUDIO_ENDPOINT, AudioOutOptions

if TYPE_CHECKING:
    from rtemo.config import Config

_UNSAFE = re.compile(r"[^\w.+-]+")
_LONGEST_HOLE_S = 60.0
_LONGEST_STEM_BYTES = 200  # file systems hold 255 bytes per name; a number and the suffix follow
_FOLDER_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT, errno.EMFILE)
_MOST_LEFT_OUT = 65_536


def save(
    config: "Config", endpoint: str | None, folder: Path, calls: tuple[str, ...], connection: dict[str, Any]
) -> None:
    """Write the audio of a running engine until interrupted, and say what was written.

    Args:
        config: Where the engine of this machine would be.
        endpoint: Its audio endpoint; that of the configuration, or the usual one, when None.
        folder: Where to.
        calls: Calls wanted; empty for all.
        connection: Options of `connected`.

    Raises:
        ConfigError: The folder cannot be made or written into.
        EndpointError: Nobody was heard.
    """
    connection["connect_timeout_s"] = connection.pop("wait_s")
    connection["tenant"] = connection["tenant"] or tenant_of(config)
    received = ReceivedFiles(folder)
    with term_as_interrupt():
        receiver = AudioReceiver(
            endpoint or config.edge("sinks", "zmq", AudioOutOptions).endpoint or USUAL_AUDIO_ENDPOINT,
            calls=calls,
            **connection,
        )
        with receiver:
            try:
                for audio in heard(receiver.receive):
                    received.add(audio)
            except KeyboardInterrupt:
                pass  # the usual way to end
            finally:
                with shielded():
                    received.close()
                if receiver.lost_samples:
                    say(f"! {receiver.lost_samples} samples of audio were lost on the way")


class ReceivedFiles:
    """Writes each stream as `<call>.<channel>.wav`, from the first sample that came; nothing is overwritten.

    What was lost stands as silence, so that times within the file hold; a long hole begins another file. A name that is
    too long for a file is cut, and told apart from others by a hash. A stream of which no file can be made is named on
    standard error once and left out; the others go on.

    Args:
        folder: Where to; made when it is not there.

    Raises:
        ConfigError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved: dict[tuple[str, str], _Saved] = {}
        self._left_out: set[tuple[str, str]] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"--audio {folder} cannot be written ({error.strerror})"
            raise ConfigError(problem, "choose another folder") from None

    def add(self, audio: ReceivedAudio) -> None:
        """Append a stretch of audio; the end of a stream finishes its file.

        Raises:
            ConfigError: Nothing can be written into the folder any more.
        """
        key = audio.call, audio.channel
        if key in self._left_out:
            if audio.is_last:
                self._left_out.discard(key)
            return
        try:
            saved = self._saved.get(key)
            if saved is not None and not saved.takes(audio):
                self._finish(key)
                saved = None
            if saved is None and audio.samples.shape[0]:
                saved = self._saved[key] = self._begin(key, audio)
            if saved is not None:
                saved.append(audio)
                if audio.is_last:
                    self._finish(key)
        except (OSError, RuntimeError) as error:
            problem = f"the audio of {audio.call}/{audio.channel} cannot be written ({error})"
            if not isinstance(error, OSError) or error.errno in _FOLDER_TROUBLE:
                raise ConfigError(problem, "make room, or choose another folder") from None
            say(f"! {problem}; it is left out")
            self._saved.pop(key, None)
            if not audio.is_last and len(self._left_out) < _MOST_LEFT_OUT:
                self._left_out.add(key)

    def close(self) -> None:
        """Finish what is still open."""
        for key in list(self._saved):
            self._finish(key)

    def _begin(self, key: tuple[str, str], audio: ReceivedAudio) -> "_Saved":
        stem = _stem(key)
        used = {saved.file.path.name for saved in self._saved.values()}
        number, name = 1, f"{stem}.wav"
        while name in used or (self._folder / name).exists():
            number += 1
            name = f"{stem}-{number}.wav"
        file = WaveFile(self._folder / name, audio.sample_rate_hz)
        return _Saved(file, audio.sample_rate_hz, audio.start_sample)

    def _finish(self, key: tuple[str, str]) -> None:
        saved = self._saved.pop(key)
        saved.file.finish()
        rate_hz = saved.rate_hz
        begin = f", from {clock(saved.origin_sample / rate_hz)} of the stream on" if saved.origin_sample else ""
        print(f"{saved.file.path}  {saved.file.written_samples / rate_hz:.2f} s{begin}", flush=True)


def _stem(key: tuple[str, str]) -> str:
    """Make a file name of call and channel that any file system takes."""
    stem = ".".join(_UNSAFE.sub("_", part).strip(".") or "_" for part in key)
    data = stem.encode("utf-8", "replace")
    if len(data) <= _LONGEST_STEM_BYTES:
        return stem
    digest = hashlib.sha256("\0".join(key).encode("utf-8", "replace")).hexdigest()[:16]
    return f"{data[: _LONGEST_STEM_BYTES - 17].decode('utf-8', 'ignore')}-{digest}"


class _Saved(NamedTuple):
    """A file, and the position in the stream at which it begins."""

    file: WaveFile
    rate_hz: int
    origin_sample: int

    def takes(self, audio: ReceivedAudio) -> bool:
        """Whether the audio goes on where the file has come to, or not long after; otherwise it is another stream."""
        is_of_rate = audio.sample_rate_hz == self.rate_hz
        return is_of_rate and 0 <= self.hole(audio) <= _LONGEST_HOLE_S * self.rate_hz

    def append(self, audio: ReceivedAudio) -> None:
        """Write the hole before it, if any, and the audio."""
        hole = self.hole(audio)
        if hole:
            self.file.write(np.zeros((hole, 1), np.float32))
        self.file.write(audio.samples[:, None])

    def hole(self, audio: ReceivedAudio) -> int:
        """Samples between the end of the file and the audio."""
        return audio.start_sample - self.origin_sample - self.file.written_samples
