"""PlayRing: bounded memory between the thread that writes audio and a device's callback, without a lock.

The callback is compiled and never asks for the interpreter lock, so that Python code elsewhere, however busy, cannot
make the device stutter as long as there is audio in the ring.
"""

import ctypes
import functools
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from rtemo.dsp.kernel import callback, kernel
from rtemo.io.atomic import load_acquire, store_release

# One block of memory, so that a callback with a single user pointer finds everything: header, int64, then the
# samples, float32, mono.
_WRITE, _READ, _UNDERRUN, _CALLS = 0, 1, 2, 3
_CAPACITY, _CHANNELS, _PREFILL, _IS_EXPECTED, _IS_FLOWING, _HAS_FLOWED = 4, 5, 6, 7, 8, 9
_HEADER_WORDS = 16
_DECAY = np.float32(0.97)  # per sample: what stops suddenly fades within 3 ms at 48 kHz instead of clicking


@kernel
def _pull(words: Any, ring: Any, out: Any, count_frames: Any) -> None:
    """Give the device its frames, and a fading silence where there is no audio. Reader's thread."""
    channels = words[_CHANNELS]
    capacity = words[_CAPACITY]
    start = words[_READ]
    is_expected = load_acquire(words, _IS_EXPECTED)
    fill = load_acquire(words, _WRITE) - start
    if fill > 0 and (fill >= words[_PREFILL] or is_expected == 0):
        words[_IS_FLOWING] = 1
        words[_HAS_FLOWED] = 1
    played = min(count_frames, fill) if words[_IS_FLOWING] else 0
    value = ring[capacity]  # the last sample played lies behind the ring
    for i in range(count_frames):
        if i < played:
            value = ring[(start + i) % capacity]
        else:
            value = value * _DECAY if abs(value) > 1e-6 else np.float32(0.0)
        for channel in range(channels):
            out[i * channels + channel] = value
    ring[capacity] = value
    if played < count_frames:
        words[_IS_FLOWING] = 0  # begin again with something in hand
        if is_expected and words[_HAS_FLOWED]:
            words[_UNDERRUN] += count_frames - played
    if is_expected == 0 and fill == played:
        words[_HAS_FLOWED] = 0
    words[_CALLS] += 1
    store_release(words, _READ, start + played)


@kernel
def _push(words: Any, ring: Any, samples: Any) -> None:
    """Copy samples into the ring; the caller has seen that there is room. Writer's thread."""
    capacity = words[_CAPACITY]
    start = words[_WRITE]
    for i in range(samples.shape[0]):
        ring[(start + i) % capacity] = samples[i]
    store_release(words, _WRITE, start + samples.shape[0])


@kernel
def _load(words: Any, index: int) -> Any:
    """Read a word that the other thread writes."""
    return load_acquire(words, index)


@kernel
def _store(words: Any, index: int, value: int) -> None:
    """Write a word that the other thread reads."""
    store_release(words, index, value)


def _portaudio_callback(_captured: Any, played: Any, count_frames: Any, _times: Any, _flags: Any, memory: Any) -> int:
    """Be PortAudio's PaStreamCallback; `memory` is that of a PlayRing."""
    words = carray(memory, (_HEADER_WORDS,), np.int64)
    capacity = words[_CAPACITY]
    ring = carray(memory, (2 * _HEADER_WORDS + capacity + 1,), np.float32)[2 * _HEADER_WORDS :]
    out = carray(played, (count_frames * words[_CHANNELS],), np.float32)
    _pull(words, ring, out, np.int64(count_frames))
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


class PlayRing:
    """Single writer (the sink's thread), single reader (the device's callback); mono, played on every channel.

    Nothing is played until `prefill_frames` are there, at the beginning and after every time the ring has run dry: a
    stretch of silence is better than many small ones.

    Args:
        channels: Channels of the device.
        capacity_frames: Frames it holds.
        prefill_frames: Frames kept in hand against jitter.
    """

    def __init__(self, channels: int, capacity_frames: int, prefill_frames: int) -> None:
        self._words = np.zeros(_HEADER_WORDS + capacity_frames // 2 + 1, np.int64)
        self._words[_CAPACITY] = capacity_frames
        self._words[_CHANNELS] = channels
        self._words[_PREFILL] = prefill_frames
        self._ring = self._words[_HEADER_WORDS:].view(np.float32)
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
    def fill_frames(self) -> int:
        """Frames written and not played yet. Writer's thread."""
        return int(self._words[_WRITE]) - int(_load(self._words, _READ))

    @property
    def underrun_frames(self) -> int:
        """Frames that were due and not there. Any thread."""
        return int(_load(self._words, _UNDERRUN))

    @property
    def calls(self) -> int:
        """How often the device has asked for audio. Any thread."""
        return int(_load(self._words, _CALLS))

    def expect(self, is_expected: bool) -> None:
        """Say whether audio goes on; what is missing while it does not is no underrun. Writer's thread."""
        _store(self._words, _IS_EXPECTED, int(is_expected))

    def push(self, samples: NDArray[np.float32]) -> None:
        """Append float32 [k]; the caller sees to it that there is room."""
        if samples.shape[0] > self.capacity_frames - self.fill_frames:
            raise ValueError(f"{samples.shape[0]} frames were given, {self.capacity_frames - self.fill_frames} fit")
        _push(self._words, self._ring, np.ascontiguousarray(samples, np.float32))

    def pull(self, count_frames: int) -> NDArray[np.float32]:
        """Do what the callback does, for tests: give float32 [count_frames, channels]."""
        out = np.empty(count_frames * self.channels, np.float32)
        _pull(self._words, self._ring, out, count_frames)
        return out.reshape(count_frames, self.channels)

    def _warm_up(self) -> None:
        """Load the kernels now: the first call of each takes as long as many blocks of audio."""
        self.push(np.zeros(0, np.float32))
        self.pull(0)
        self.expect(False)
        self._words[_CALLS] = 0
