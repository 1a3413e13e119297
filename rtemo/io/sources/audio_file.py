"""AudioFile: a sound file opened with suspicion, read in blocks, honest about where it breaks off."""

import contextlib
import io
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError
from rtemo.api.text import shown
from rtemo.io.pcm import beyond_full_scale
from rtemo.io.sources.unknown_length import PLACEHOLDER_BYTES, PatchedFile, length_patches

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
_UNKNOWN_FRAMES = 1 << 60  # libsndfile says this much and more when it cannot know
_SEEK_FAILED = 39  # libsndfile's number for "Internal psf_fseek() failed"
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
        frames: Samples per channel that the header announces and the file can hold; 0 where neither tells.
        position_samples: Samples per channel read so far.
        bad_samples: Samples of all channels read so far that are NaN or infinite.
        remark: What a person should know although all is well, as a clause; empty most of the time.
        truncation: Why the audio ends early, as a clause; empty while all is well, final after the last block.

    Args:
        path: File to open.
        content: Its bytes, where they came another way, as through a pipe; `path` is only its name then.

    Raises:
        AudioInputError: There is no such file, it cannot be read, or it is not audio.
    """

    def __init__(self, path: str | os.PathLike[str], content: bytes | None = None) -> None:
        self.path = Path(path)
        self._name = "standard input" if content is not None else shown(self.path)
        self._file: BinaryIO | PatchedFile | None = None
        try:
            self._file = _open(self.path) if content is None else _in_memory(content)
            patches = length_patches(self._file)
            if patches:
                self._file = PatchedFile(self._file, patches)
            is_on_disk = content is None and not patches
            self._sound = self._decoder(is_on_disk)
            if is_on_disk:
                self._file.close()
                self._file = None
        except BaseException:
            if self._file is not None:
                self._file.close()
            raise
        self.sample_rate_hz = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        self._is_float = self._sound.subtype in ("FLOAT", "DOUBLE")
        self.frames = int(self._sound.frames)
        self.position_samples = 0
        self.bad_samples = 0
        self.remark = ""
        self.truncation = ""
        self._is_at_end = False
        self._check_length(bool(patches))
        try:
            self._check_header()
        except AudioInputError:
            self.close()
            raise

    def _decoder(self, is_on_disk: bool) -> Any:
        # A damaged file may be announced a thousand times in a folder; soundfile is imported with the first good one.
        import soundfile

        self._error_type = soundfile.LibsndfileError
        try:
            # By its name where possible: libsndfile reads that without asking Python for every block.
            return soundfile.SoundFile(file_name(self.path) if is_on_disk else self._file)
        except soundfile.LibsndfileError as error:
            if _reason(error) == "System error":  # it does not say which; the file itself could be opened just now
                raise AudioInputError(
                    f"{self._name} cannot be opened once more", "are too many files open? see `ulimit -n`, lower --jobs"
                ) from None
            raise AudioInputError(
                f"{self._name} is not audio that libsndfile can read ({_reason(error)})",
                "check it with `ffprobe`, or convert it to WAV or FLAC",
            ) from None
        except TypeError:  # soundfile asks for the rate of headerless files, which it knows by their suffix .raw
            raise AudioInputError(
                f"{self._name} has no header that tells rate and channels", "pipe it into `rtemo listen -` instead"
            ) from None

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
            if self._is_open_ended and getattr(error, "code", None) == _SEEK_FAILED:
                self.position_samples += count  # soundfile seeks after every read, and the end of such a FLAC cannot be
                return np.ascontiguousarray(block[:count].T)
            at_s = (self.position_samples + count) / self.sample_rate_hz
            announced = f" of the {self.duration_s:.2f} s announced" if self.frames else ""
            self.truncation = f"cannot be decoded beyond {at_s:.2f} s{announced} ({_reason(error)})"
        peak = beyond_full_scale(block[:count]) if self._is_float else 0.0
        if peak:
            self._is_at_end = True
            at_s = self.position_samples / self.sample_rate_hz
            self.truncation = (
                f"holds float samples of up to {peak:.0f} from {at_s:.2f} s on, expected [-1, 1] (integers written as "
                "floats; scale them down, or convert it to 16 bits)"
            )
            return np.empty((self.channels, 0), np.float32)
        self.position_samples += count
        if self._is_float:
            self.bad_samples += block[:count].size - int(np.count_nonzero(np.isfinite(block[:count])))
        if count < count_samples and not self._is_at_end:
            self._is_at_end = True
            self._check_end()
        return np.ascontiguousarray(block[:count].T)

    def close(self) -> None:
        """Close the file."""
        self._sound.close()
        if self._file is not None:
            self._file.close()

    def _check_length(self, is_patched: bool) -> None:
        """Take note when the header does not tell how long the audio is, as that of a file written into a pipe."""
        is_open_ended = self.frames >= _UNKNOWN_FRAMES
        if is_open_ended:
            self.frames = 0
        self._is_open_ended = is_open_ended
        placeholders = (int(match["announced"]) for match in _SHORT_CHUNK.finditer(self._sound.extra_info))
        if is_open_ended or is_patched or any(count >= PLACEHOLDER_BYTES for count in placeholders):
            self.remark = "does not tell its length, as when written into a pipe; it is read to its end"

    def _check_header(self) -> None:
        if self.channels > MAX_CHANNELS:
            raise AudioInputError(
                f"{self._name} announces {self.channels} channels, at most {MAX_CHANNELS} are read",
                "its header may be damaged; otherwise split it into several files",
            )
        if not MIN_RATE_HZ <= self.sample_rate_hz <= MAX_RATE_HZ:
            raise AudioInputError(
                f"{self._name} announces {self.sample_rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz",
                "its header may be damaged; otherwise convert it to a common rate",
            )
        announced = self._announced_samples()
        if self.frames <= 0 and not self._is_open_ended:
            said = f" although its header announces {announced / self.sample_rate_hz:.2f} s" if announced else ""
            raise AudioInputError(f"{self._name} contains no audio{said}", "record or copy it again")
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
            if match["name"] in ("data", "SSND", "Data Size", "riff") and found < announced < PLACEHOLDER_BYTES:
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
        elif self._sound.format == "OGG" and not self._has_last_ogg_page():
            self.truncation = "breaks off: its last Ogg page is missing"

    def _has_last_ogg_page(self) -> bool:
        """Tell whether an Ogg file ends with a page marked as the last (RFC 3533, header type flag 4)."""
        with contextlib.ExitStack() as stack:
            file = self._file or stack.enter_context(self.path.open("rb"))
            file.seek(-min(file.seek(0, os.SEEK_END), 2 * _OGG_PAGE_BYTES), os.SEEK_END)
            tail = file.read()
        start = tail.rfind(b"OggS")
        return start >= 0 and start + 5 < len(tail) and bool(tail[start + 5] & _OGG_LAST_PAGE)


def _open(path: Path) -> BinaryIO:
    """Open a file after a look at what it is: opening a named pipe would wait for a writer for ever.

    Raises:
        AudioInputError: There is nothing that could be read.
    """
    name = shown(path)
    try:
        kind = path.stat()
    except FileNotFoundError:
        raise AudioInputError(f"{name} does not exist", "check the path") from None
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioInputError(f"{name} cannot be looked at ({reason})", "check the path") from None
    if stat.S_ISDIR(kind.st_mode):
        raise AudioInputError(f"{name} is a folder, expected a sound file", "name a file, or use `rtemo analyze`")
    if stat.S_ISFIFO(kind.st_mode):
        raise AudioInputError(f"{name} is a pipe, expected a sound file", "pipe it in: rtemo analyze - < PIPE")
    if not stat.S_ISREG(kind.st_mode):
        raise AudioInputError(f"{name} is a device or a socket, expected a sound file", "name a file")
    if kind.st_size == 0:
        raise AudioInputError(f"{name} is empty (0 bytes)", "record or copy it again")
    try:
        return path.open("rb")
    except PermissionError:
        raise AudioInputError(f"{name} may not be read by this user", f"allow it: chmod u+r {name}") from None
    except OSError as error:
        raise AudioInputError(f"{name} cannot be opened ({error.strerror})", "check the path") from None


def file_name(path: Path) -> str | bytes:
    """Name a file for soundfile, which takes names that are no UTF-8 as bytes alone."""
    return os.fsencode(path) if os.name == "posix" else str(path)


def _in_memory(content: bytes) -> BinaryIO:
    if not content:
        raise AudioInputError("standard input is empty (0 bytes)", "check what feeds it")
    return io.BytesIO(content)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", "") or "").removeprefix("Error : ").strip().rstrip(".")
    code = getattr(error, "code", None)
    if text.startswith(
        "File does not exist"
    ):  # what it says of content that it does not know, too: the file was looked at
        return "Format not recognised"
    return text or (f"decoder error {code}" if code is not None else type(error).__name__)


def _broken_off(found_samples: int, announced_samples: int, sample_rate_hz: int) -> str:
    found_s, announced_s = found_samples / sample_rate_hz, announced_samples / sample_rate_hz
    return f"breaks off: {found_s:.2f} s of the {announced_s:.2f} s announced"
