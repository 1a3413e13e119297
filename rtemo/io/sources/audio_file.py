"""AudioFile: a sound file opened with suspicion, read in blocks, honest about where it breaks off."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError

MAX_CHANNELS = 64
"""Channels a file may have; more is taken for a damaged header (the largest common layout has 64)."""

MIN_RATE_HZ = 1_000
MAX_RATE_HZ = 768_000
"""Rates a file may have; others are taken for a damaged header, which must not decide how much is allocated."""

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3"),
        *("aif", "aiff", "aifc", "au", "snd", "caf", "sph", "nist", "voc", "ircam"),
    )
)
"""File name endings that a folder is searched for."""

_OGG_PAGE_BYTES = 65_307  # the largest page, RFC 3533
_OGG_LAST_PAGE = 0x04
_UNKNOWN_BYTES = 0x7FFF_0000  # writers that cannot seek back (sox, ffmpeg into a pipe) announce at least this much
_SHORT_CHUNK = re.compile(r"^\s*(?P<name>\S.*?)\s*: (?P<announced>\d+) \(should be (?P<found>\d+)\)", re.MULTILINE)
_SHORT_FRAMES = re.compile(
    r"Calculated frame count (?P<found>\d+) does not match value from '\w+' chunk of (?P<announced>\d+)"
)


class AudioFile:
    """A sound file of any rate and channel count that libsndfile reads.

    It is decoded in blocks, never as a whole, and its header is checked before anything is allocated by it.

    Attributes:
        path: Where it is.
        sample_rate_hz: Its own rate.
        channels: How many channels it has.
        frames: Samples per channel that the header announces and the file can hold.
        position_samples: Samples per channel read so far.
        truncation: Why the audio ends early, as a clause; empty while all is well, final after the last block.

    Args:
        path: File to open.

    Raises:
        AudioInputError: There is no such file, it cannot be read, or it is not audio.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _check_readable(self.path)
        # A damaged file may be announced a thousand times in a folder; soundfile is imported with the first good one.
        import soundfile

        try:
            self._sound: Any = soundfile.SoundFile(self.path)
        except soundfile.LibsndfileError as error:
            raise AudioInputError(
                f"{self.path} is not audio that libsndfile can read ({_reason(error)})",
                "check it with `ffprobe`, or convert it to WAV or FLAC",
            ) from None
        except TypeError:  # soundfile asks for the rate of headerless files, which it knows by their suffix .raw
            raise AudioInputError(
                f"{self.path} has no header that tells rate and channels", "pipe it into `rtemo listen -` instead"
            ) from None
        self._error_type = soundfile.LibsndfileError
        self.sample_rate_hz = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        self.frames = int(self._sound.frames)
        self.position_samples = 0
        self.truncation = ""
        self._is_at_end = False
        try:
            self._check_header()
        except AudioInputError:
            self.close()
            raise

    @property
    def duration_s(self) -> float:
        """Duration by the header."""
        return self.frames / self.sample_rate_hz

    def read(self, count_samples: int) -> NDArray[np.float32]:
        """Read the next block.

        Args:
            count_samples: How many samples per channel at most.

        Returns:
            float32 [channels, k]; k is 0 at the end, and after damage that stops the decoder.
        """
        if self._is_at_end:
            return np.empty((self.channels, 0), np.float32)
        block = np.full((count_samples, self.channels), np.nan, np.float32)
        try:
            count = len(self._sound.read(out=block))
        except (self._error_type, RuntimeError) as error:
            # The decoder does not tell how far it got within the block; what it wrote is no longer NaN.
            untouched = np.isnan(block).all(axis=1)
            count = int(np.argmax(untouched)) if untouched.any() else count_samples
            self._is_at_end = True
            at_s = (self.position_samples + count) / self.sample_rate_hz
            self.truncation = (
                f"cannot be decoded beyond {at_s:.2f} s of the {self.duration_s:.2f} s announced ({_reason(error)})"
            )
        self.position_samples += count
        if count < count_samples and not self._is_at_end:
            self._is_at_end = True
            self._check_end()
        return np.ascontiguousarray(block[:count].T)

    def close(self) -> None:
        """Close the file."""
        self._sound.close()

    def _check_header(self) -> None:
        if self.channels > MAX_CHANNELS:
            raise AudioInputError(
                f"{self.path} announces {self.channels} channels, at most {MAX_CHANNELS} are read",
                "its header may be damaged; otherwise split it into several files",
            )
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            raise AudioInputError(
                f"{self.path} announces {self.sample_rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz",
                "its header may be damaged; otherwise convert it to a common rate",
            )
        announced = self._announced_samples()
        if self.frames <= 0:
            said = f" although its header announces {announced / self.sample_rate_hz:.2f} s" if announced else ""
            raise AudioInputError(f"{self.path} contains no audio{said}", "record or copy it again")
        if announced:
            self.truncation = _broken_off(self.frames, announced, self.sample_rate_hz)

    def _announced_samples(self) -> int:
        """Samples that the header announces beyond what the file can hold; 0 when both agree.

        libsndfile shortens such a file without an error and mentions it in its header log alone.
        """
        log = self._sound.extra_info
        match = _SHORT_FRAMES.search(log)
        if match:
            return int(match["announced"])
        for match in _SHORT_CHUNK.finditer(log):
            announced, found = int(match["announced"]), int(match["found"])
            if match["name"] in ("data", "SSND", "Data Size", "riff") and found < announced < _UNKNOWN_BYTES:
                return max(1, self.frames) * announced // max(found, 1) if self.frames else self._samples_of(announced)
        return 0

    def _samples_of(self, count_bytes: int) -> int:
        width = {"PCM_S8": 1, "PCM_U8": 1, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}
        return count_bytes // (self.channels * width.get(self._sound.subtype, 2))

    def _check_end(self) -> None:
        if self.truncation:
            return
        if self.position_samples < self.frames:
            self.truncation = _broken_off(self.position_samples, self.frames, self.sample_rate_hz)
        elif self._sound.format == "OGG" and not _has_last_ogg_page(self.path):
            self.truncation = "breaks off: its last Ogg page is missing"


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise AudioInputError(f"{path} does not exist", "check the path")
    if path.is_dir():
        raise AudioInputError(f"{path} is a folder, expected a sound file", "name a file, or use `rtemo analyze`")
    if not os.access(path, os.R_OK):
        raise AudioInputError(f"{path} may not be read by this user", f"allow it: chmod u+r {path}")
    if path.is_file() and path.stat().st_size == 0:
        raise AudioInputError(f"{path} is empty (0 bytes)", "record or copy it again")


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", "") or "").removeprefix("Error : ").strip().rstrip(".")
    code = getattr(error, "code", None)
    return text or (f"decoder error {code}" if code is not None else type(error).__name__)


def _broken_off(found_samples: int, announced_samples: int, sample_rate_hz: int) -> str:
    found_s, announced_s = found_samples / sample_rate_hz, announced_samples / sample_rate_hz
    return f"breaks off: {found_s:.2f} s of the {announced_s:.2f} s announced"


def _has_last_ogg_page(path: Path) -> bool:
    """Tell whether an Ogg file ends with a page marked as the last (RFC 3533, header type flag 4)."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 2 * _OGG_PAGE_BYTES), os.SEEK_END)
        tail = file.read()
    start = tail.rfind(b"OggS")
    return start >= 0 and start + 5 < len(tail) and bool(tail[start + 5] & _OGG_LAST_PAGE)
