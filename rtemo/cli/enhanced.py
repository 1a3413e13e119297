"""EnhancedFiles: the processed audio of every stream as a sound file."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, StreamFormat

_UNSAFE = re.compile(r"[^\w.+-]+")


class EnhancedFiles:
    """Writes what comes out of the chain, one FLAC file `<call>.<channel>.flac` per stream, at the engine's rate.

    Args:
        folder: Where to; made when it is not there.

    Raises:
        AudioInputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], Any] = {}
        self._format = StreamFormat()
        self._failure = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioInputError(f"{folder} cannot be made ({error.strerror})", "choose another folder") from None

    def __enter__(self) -> "EnhancedFiles":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        if self._failure and error is None:
            raise AudioInputError(self._failure, "free some space or choose another folder, and run again")

    def write(self, call: str, channel: str, start_sample: int, samples: NDArray[np.float32]) -> None:
        """Append one hop, float32 [hop_samples]; what lies before the start of the stream is left out.

        A delaying chain puts out its first hops at negative positions: they hold no audio of the stream. A disk
        that is full must not stop the engine: nothing more is written, and leaving the block says so.
        """
        if start_sample + samples.shape[0] <= 0 or self._failure:
            return
        try:
            file = self._files.get((call, channel)) or self._open(call, channel)
            file.write(np.clip(samples[max(0, -start_sample) :], -1.0, 1.0))
        except (OSError, RuntimeError) as error:
            self._failure = f"the processed audio of {call}/{channel} cannot be written ({error})"

    def _open(self, call: str, channel: str) -> Any:
        import soundfile

        path = self._folder / f"{_safe(call)}.{_safe(channel)}.flac"
        file = soundfile.SoundFile(path, "w", self._format.sample_rate_hz, 1, "PCM_16")
        self._files[call, channel] = file
        return file


def _safe(name: str) -> str:
    """Make a file name part of any name.

    >>> _safe("a/b c")
    'a_b_c'
    """
    return _UNSAFE.sub("_", name).strip(".") or "_"
