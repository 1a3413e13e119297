import numpy as np
import pytest

from rtemo.io.sinks.play_ring import PlayRing

pytestmark = pytest.mark.unit


def ramp(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(start, start + count) % 1000 / 1000 + 0.001).astype(np.float32)


def test_nothing_is_played_before_enough_is_in_hand_and_then_everything_in_order_on_every_channel() -> None:
    ring = PlayRing(channels=2, capacity_frames=1000, prefill_frames=300)
    ring.expect(True)
    ring.push(ramp(299))
    assert not ring.pull(100).any()
    assert ring.underrun_frames == 0  # it has not begun
    ring.push(ramp(1, 299))
    out = ring.pull(300)
    assert np.array_equal(out[:, 0], ramp(300))
    assert np.array_equal(out[:, 0], out[:, 1])


def test_running_dry_is_counted_fades_out_and_waits_for_the_prefill() -> None:
    ring = PlayRing(channels=1, capacity_frames=1000, prefill_frames=50)
    ring.expect(True)
    ring.push(np.full(60, 0.5, np.float32))
    out = ring.pull(100)[:, 0]
    assert np.all(out[:60] == np.float32(0.5))
    assert np.all(np.diff(out[59:]) < 0)
    assert ring.underrun_frames == 40
    ring.push(ramp(49))
    ring.pull(10)
    assert ring.underrun_frames == 50
    ring.push(ramp(1, 49))
    assert np.array_equal(ring.pull(50)[:, 0], ramp(50))


def test_silence_when_nothing_is_expected_is_no_underrun_and_a_short_rest_is_played_without_prefill() -> None:
    ring = PlayRing(channels=1, capacity_frames=1000, prefill_frames=50)
    ring.expect(True)
    ring.push(ramp(20))
    ring.expect(False)
    assert np.array_equal(ring.pull(30)[:20, 0], ramp(20))
    ring.pull(500)
    assert ring.underrun_frames == 0


def test_audio_wraps_around_the_end_of_the_memory_unharmed() -> None:
    ring = PlayRing(channels=1, capacity_frames=101, prefill_frames=0)
    ring.expect(True)
    heard = []
    for index in range(50):
        ring.push(ramp(37, 37 * index))
        heard.append(ring.pull(37)[:, 0])
    assert np.array_equal(np.concatenate(heard), ramp(37 * 50))
    assert ring.underrun_frames == 0


def test_more_than_fits_is_refused() -> None:
    ring = PlayRing(channels=1, capacity_frames=100, prefill_frames=0)
    ring.push(ramp(100))
    with pytest.raises(ValueError, match="1 frames were given, 0 fit"):
        ring.push(ramp(1))
