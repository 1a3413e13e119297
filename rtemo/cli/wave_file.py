"""WaveFile: a sound file that bears its name only when it is complete."""

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.io.pcm import as_int16
from rtemo.io.sources.audio_file import file_name
from rtemo.io.whole_file import part_of


class WaveFile:
    """A 16-bit WAV file, written beside its place and moved there when it is finished.

    So a run that breaks off leaves neither half a file behind nor half a file in place of a whole one. Only its owner
    may read it (mode 0600): it is what people said.

    Args:
        path: Its place, where only a file may lie; folders are made.
        sample_rate_hz: Rate.
        channels: Interleaved channels.

    Raises:
        OSError: It cannot be made.
        RuntimeError: libsndfile cannot make it.
    """

    def __init__(self, path: Path, sample_rate_hz: int, channels: int = 1) -> None:
        import soundfile

        self.path = path
        self.channels = channels
        self.written_samples = 0
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.exists() and not path.is_file():  # a pipe or a device, which a file would take the place of
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._part = part_of(path)
        self._part.unlink(missing_ok=True)
        os.close(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # a voice is its owner's alone
        self._sound: Any = soundfile.SoundFile(
            file_name(self._part), "w", sample_rate_hz, channels, "PCM_16", format="WAV"
        )

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append float32 [k, channels]; what exceeds [-1, 1] is clipped.

        Raises:
            OSError: There is no room.
            RuntimeError: libsndfile cannot write.
        """
        self._sound.write(as_int16(samples))
        self.written_samples += samples.shape[0]

    def finish(self) -> None:
        """Close it and give it its name.

        Raises:
            OSError: It cannot be moved.
            RuntimeError: libsndfile cannot write the end.
        """
        self._sound.close()
        os.replace(self._part, self.path)

    def abandon(self) -> None:
        """Close and remove what was written."""
        with contextlib.suppress(OSError, RuntimeError):
            self._sound.close()
        self._part.unlink(missing_ok=True)
