"""CaptureRing: bounded memory between a device's callback and the thread that pumps, without a lock.

The callback is compiled and never asks for the interpreter lock, so that Python code elsewhere, however busy,
cannot make the device drop audio.
"""

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from rtemo.dsp.kernel import callback, kernel
from rtemo.io.atomic import load_acquire, store_release

OVERFLOW_FLAG = 2
"""PortAudio's paInputOverflow: audio was lost just before this block."""

# One block of memory, so that a callback with a single user pointer finds everything:
# header, then records (one per callback), both int64, then the frames, float32 interleaved.
_WRITE_FRAMES, _READ_FRAMES, _WRITE_RECORDS, _READ_RECORDS = 0, 1, 2, 3
_LOST_FRAMES, _CAPACITY_FRAMES, _CHANNELS, _CAPACITY_RECORDS, _TOTAL_WORDS = 4, 5, 6, 7, 8
_HEADER_WORDS = 16
_FRAMES, _LOST_BEFORE, _FLAGS, _FIRST_NS = 0, 1, 2, 3
_RECORD_WORDS = 4


class CapturedBlock(NamedTuple):
    """What one callback delivered."""

    samples: NDArray[np.float32]
    """float32 [k, channels]."""
    lost_frames: int
    """Frames dropped just before this block, because nobody read the ring."""
    has_overflowed: bool
    """Whether the device says that it lost audio just before this block."""
    first_ns: int
    """Time of the first frame on the stream's own clock; 0 when the device does not tell."""


@kernel
def _push(words: Any, ring: Any, block: Any, count_frames: Any, flags: Any, first_ns: Any) -> None:
    """Copy one callback's frames into the ring, or count them as lost. Writer's thread."""
    channels = words[_CHANNELS]
    capacity = words[_CAPACITY_FRAMES]
    start = words[_WRITE_FRAMES]
    record = words[_WRITE_RECORDS]
    is_full = start + count_frames - load_acquire(words, _READ_FRAMES) > capacity
    if is_full or record - load_acquire(words, _READ_RECORDS) >= words[_CAPACITY_RECORDS]:
        words[_LOST_FRAMES] += count_frames
        return
    for i in range(count_frames):
        at = (start + i) % capacity * channels
        for channel in range(channels):
            ring[at + channel] = block[i * channels + channel]
    row = _HEADER_WORDS + record % words[_CAPACITY_RECORDS] * _RECORD_WORDS
    words[row + _FRAMES] = count_frames
    words[row + _LOST_BEFORE] = words[_LOST_FRAMES]
    words[row + _FLAGS] = flags
    words[row + _FIRST_NS] = first_ns
    words[_LOST_FRAMES] = 0
    words[_WRITE_FRAMES] = start + count_frames
    store_release(words, _WRITE_RECORDS, record + 1)


@kernel
def _written_records(words: Any) -> Any:
    """Tell how many records are complete. Reader's thread."""
    return load_acquire(words, _WRITE_RECORDS)


@kernel
def _release(words: Any, read_frames: int, read_records: int) -> None:
    """Give the space back that was read. Reader's thread."""
    store_release(words, _READ_FRAMES, read_frames)
    store_release(words, _READ_RECORDS, read_records)


def _portaudio_callback(captured: Any, _played: Any, count_frames: Any, times: Any, flags: Any, memory: Any) -> int:
    """Be PortAudio's PaStreamCallback; `memory` is that of a CaptureRing, `times` begins with inputBufferAdcTime."""
    header = carray(memory, (_HEADER_WORDS,), np.int64)
    total = header[_TOTAL_WORDS]
    words = carray(memory, (total,), np.int64)
    ring = carray(memory, (2 * total,), np.float32)
    ring = ring[2 * (_HEADER_WORDS + header[_CAPACITY_RECORDS] * _RECORD_WORDS) :]
    block = carray(captured, (count_frames * header[_CHANNELS],), np.float32)
    _push(words, ring, block, np.int64(count_frames), np.int64(flags), np.int64(times[0] * 1e9))
    return 0  # paContinue


@functools.cache
def _compiled_callback() -> Any:
    """Compile the callback, or load it from the cache on disk where that can be written."""
    unsigned_long = types.uint64 if ctypes.sizeof(ctypes.c_ulong) == 8 else types.uint32
    pointer_to: Any = types.CPointer
    signature = types.int32(
        types.voidptr, types.voidptr, unsigned_long, pointer_to(types.float64), unsigned_long, types.voidptr
    )
    return callback(_portaudio_callback, signature)


class CaptureRing:
    """Single writer (the device's callback), single reader (the thread that pumps).

    When it is full new frames are dropped and counted in the next block that fits.

    Args:
        channels: Channels of the stream.
        capacity_frames: Frames it holds.
        capacity_blocks: Callbacks it holds.
    """

    def __init__(self, channels: int, capacity_frames: int, capacity_blocks: int = 4_096) -> None:
        record_words = capacity_blocks * _RECORD_WORDS
        frame_words = (capacity_frames * channels + 1) // 2
        self._words = np.zeros(_HEADER_WORDS + record_words + frame_words, np.int64)
        self._words[_CAPACITY_FRAMES] = capacity_frames
        self._words[_CHANNELS] = channels
        self._words[_CAPACITY_RECORDS] = capacity_blocks
        self._words[_TOTAL_WORDS] = self._words.shape[0]
        self._ring = self._words[_HEADER_WORDS + record_words :].view(np.float32)
        self._frames = self._ring[: capacity_frames * channels].reshape(capacity_frames, channels)
        self.channels = channels
        self.capacity_frames = capacity_frames
        self._warm_up()

    @property
    def callback_address(self) -> int:
        """Address of a C function to hand to PortAudio as the stream's callback."""
        return int(_compiled_callback().address)

    @property
    def memory_address(self) -> int:
        """What to hand to PortAudio as the callback's user data; the ring must outlive the stream."""
        return int(self._words.ctypes.data)

    @property
    def blocks_written(self) -> int:
        """Blocks taken so far. Any thread."""
        return int(_written_records(self._words))

    def push(self, block: NDArray[np.float32], *, has_overflowed: bool = False, first_ns: int = 0) -> None:
        """Do what the callback does, for bindings that call into Python.

        Args:
            block: float32 [k, channels].
            has_overflowed: Whether audio was lost just before.
            first_ns: Time of the first frame on the stream's own clock.
        """
        flat = np.ascontiguousarray(block, np.float32).reshape(-1)
        _push(self._words, self._ring, flat, block.shape[0], OVERFLOW_FLAG if has_overflowed else 0, first_ns)

    def take(self) -> list[CapturedBlock]:
        """Take all blocks that are there; the samples are copies."""
        words = self._words
        start = int(words[_READ_FRAMES])
        record = int(words[_READ_RECORDS])
        written = self.blocks_written
        if written == record:
            return []
        blocks = []
        while record < written:
            row = _HEADER_WORDS + record % int(words[_CAPACITY_RECORDS]) * _RECORD_WORDS
            frames, lost, flags, first_ns = (int(word) for word in words[row : row + _RECORD_WORDS])
            blocks.append(CapturedBlock(self._copy(start, frames), lost, bool(flags & OVERFLOW_FLAG), first_ns))
            start += frames
            record += 1
        _release(words, start, record)
        return blocks

    def _copy(self, start: int, count: int) -> NDArray[np.float32]:
        first = start % self.capacity_frames
        if first + count <= self.capacity_frames:
            return self._frames[first : first + count].copy()
        head = self._frames[first:]
        return np.concatenate([head, self._frames[: count - head.shape[0]]])

    def _warm_up(self) -> None:
        """Load the kernels now: the first call of each takes as long as many blocks of audio."""
        self.push(np.zeros((0, self.channels), np.float32))
        self.take()
        self._words[[_WRITE_RECORDS, _READ_RECORDS]] = 0
