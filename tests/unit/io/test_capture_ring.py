import ctypes
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtemo.io.sources.capture_ring import OVERFLOW_FLAG, CaptureRing

pytestmark = pytest.mark.unit

PortAudioCallback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
)


def frames(start: int, count: int, channels: int) -> NDArray[np.float32]:
    """Frames that tell their position and channel."""
    return (np.arange(start, start + count)[:, None] + np.arange(channels) * 0.125).astype(np.float32)


@settings(deadline=None)  # the first example loads the kernels
@given(
    channels=st.integers(1, 5),
    capacity=st.integers(1, 60),
    turns=st.lists(st.tuples(st.lists(st.integers(0, 25), max_size=6), st.booleans()), max_size=40),
)
def test_every_frame_is_either_delivered_in_order_or_counted_as_lost_where_it_was(
    channels: int, capacity: int, turns: list[tuple[list[int], bool]]
) -> None:
    ring = CaptureRing(channels, capacity, capacity_blocks=8)
    position = 0
    expected = 0
    for pushes, is_read in turns:
        for count in pushes:
            ring.push(frames(position, count, channels))
            position += count
        if is_read:
            for block in ring.take():
                expected += block.lost_frames
                assert np.array_equal(block.samples, frames(expected, block.samples.shape[0], channels))
                expected += block.samples.shape[0]
    ring.take()
    ring.push(frames(position, 1, channels))
    (last,) = ring.take()
    assert last.samples[0, 0] == position


def test_overflow_and_time_of_a_block_are_handed_on() -> None:
    ring = CaptureRing(1, 100)
    ring.push(frames(0, 10, 1), first_ns=123)
    ring.push(frames(10, 10, 1), has_overflowed=True, first_ns=456)
    assert [(block.has_overflowed, block.first_ns) for block in ring.take()] == [(False, 123), (True, 456)]
    assert ring.take() == []


def test_a_fresh_ring_has_delivered_nothing() -> None:
    ring = CaptureRing(2, 100)
    assert ring.blocks_written == 0
    assert ring.take() == []


def test_taken_samples_stay_what_they_were_when_the_ring_goes_round() -> None:
    ring = CaptureRing(1, 16)
    ring.push(frames(0, 16, 1))
    (block,) = ring.take()
    ring.push(frames(100, 16, 1))
    assert np.array_equal(block.samples, frames(0, 16, 1))


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_the_compiled_callback_is_a_portaudio_callback(channels: int) -> None:
    ring = CaptureRing(channels, 1_000)
    call = PortAudioCallback(ring.callback_address)
    block = frames(0, 300, channels)
    times = (ctypes.c_double * 3)(12.5, 13.0, 0.0)
    arguments = (block.ctypes.data, None, 300, ctypes.addressof(times), OVERFLOW_FLAG, ring.memory_address)
    assert [call(*arguments) for _ in range(4)] == [0, 0, 0, 0]
    taken = ring.take()
    assert [(item.lost_frames, item.has_overflowed, item.first_ns) for item in taken] == [(0, True, 12_500_000_000)] * 3
    assert all(np.array_equal(item.samples, block) for item in taken)
    call(*arguments)
    assert ring.take()[0].lost_frames == 300


@pytest.mark.stress
def test_two_threads_lose_and_mix_nothing() -> None:
    ring = CaptureRing(2, 4_096, capacity_blocks=64)
    call = PortAudioCallback(ring.callback_address)  # ctypes lets go of the interpreter lock while it runs
    times = (ctypes.c_double * 3)()
    total = 1_000_000
    sizes = [100, 1, 441, 160, 512]

    def capture() -> None:
        position = turn = 0
        while position < total:
            count = sizes[turn % len(sizes)]
            block = frames(position, count, 2)
            call(block.ctypes.data, None, count, ctypes.addressof(times), 0, ring.memory_address)
            position += count
            turn += 1

    writer = threading.Thread(target=capture)
    writer.start()
    expected = lost = 0
    while writer.is_alive() or ring.blocks_written:
        is_over = not writer.is_alive()
        blocks = ring.take()
        for block in blocks:
            lost += block.lost_frames
            expected += block.lost_frames
            assert np.array_equal(block.samples, frames(expected, block.samples.shape[0], 2))
            expected += block.samples.shape[0]
        if is_over and not blocks:
            break
    writer.join()
    assert expected > 0.5 * total
    ring.push(frames(0, 1, 2))
    (last,) = ring.take()
    assert expected + last.lost_frames >= total
