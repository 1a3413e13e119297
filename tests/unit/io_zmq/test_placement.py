from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.fakes.desk import UNBOUNDED_SAMPLES, FakeWriter
from rtemo.dsp.resample import resample
from rtemo.io.audio_wire import AudioPacket, decode_packet, encode_packet, stream_names
from rtemo.io.pcm import encode_pcm
from rtemo.io.sources.lanes import Batch, Lanes
from rtemo.io.sources.placement import Placement

pytestmark = pytest.mark.unit

NAMES = stream_names("call", "0")
PACKET = 160


def noise(count_samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, count_samples).astype(np.float32)


def packet(
    sound: NDArray[np.float32], start: int, count: int = PACKET, *, sequence: int | None = None, offset: int = 0,
    rate_hz: int = 16_000,
) -> AudioPacket:  # fmt: skip
    """Cut a packet of the sound at `start`; positions on the wire begin at `offset`."""
    number = start // PACKET if sequence is None else sequence
    payload = encode_pcm(sound[start : start + count], "f32le")
    return decode_packet(encode_packet(NAMES, "f32le", rate_hz, number, start + offset, 0, payload))


class Bench:
    """A placement in front of a recording writer, on a clock of its own."""

    def __init__(self, from_hz: int = 16_000, *, is_live: bool = True, ring: int = UNBOUNDED_SAMPLES) -> None:
        self.writer = FakeWriter("call", "0", "test", "", is_live, ring)
        self.batch = Batch()
        self.placement = Placement(self.writer, from_hz, Lanes(16_000), self.batch, is_live=is_live, reorder_s=0.04)
        self.now_s = 0.0

    def take(self, *packets: AudioPacket) -> None:
        for item in packets:
            self.placement.take(item, self.now_s, 0)
        self.batch.flush()

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        self.placement.settle(self.now_s, 0)
        self.batch.flush()

    def finish(self) -> None:
        self.placement.finish(0)


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(range(12)),
    repeats=st.lists(st.integers(0, 11), max_size=5),
    offset=st.integers(0, 2**40),
)
def test_order_and_repetition_of_packets_change_nothing(order: list[int], repeats: list[int], offset: int) -> None:
    sound = noise(13 * PACKET)
    bench = Bench()
    bench.take(packet(sound, 0, offset=offset))
    for index in [*order, *repeats]:
        bench.take(packet(sound, (index + 1) * PACKET, offset=offset))
    bench.finish()
    np.testing.assert_array_equal(bench.writer.samples, sound)
    assert bench.writer.lost_samples == 0
    assert bench.placement.counts.duplicate_packets == len(repeats)


@settings(max_examples=25, deadline=None)
@given(lost=st.sets(st.integers(1, 18), max_size=8), rate_hz=st.sampled_from([8_000, 16_000, 48_000]))
def test_lost_packets_leave_gaps_of_their_length_and_the_rest_at_its_place(lost: set[int], rate_hz: int) -> None:
    count = rate_hz // 50
    sound = noise(20 * count)
    bench = Bench(rate_hz)
    for index in range(20):
        if index not in lost:
            bench.take(packet(sound, index * count, count, sequence=index, rate_hz=rate_hz))
            bench.wait(0.02)
    bench.wait(0.1)
    bench.finish()
    assert bench.writer.position_samples == 20 * 320
    assert bench.writer.lost_samples == len(lost) * 320
    assert bench.placement.counts.lost_samples == len(lost) * count
    muted = sound.copy()
    for index in lost:
        muted[index * count : (index + 1) * count] = 0.0
    expected = resample(muted, rate_hz, 16_000)
    # The filter looks 7 ms ahead, so that much beside a hole belongs to it.
    heard = np.ones(20 * 320, bool)
    for index in lost:
        heard[max(0, index * 320 - 256) : (index + 1) * 320 + 256] = False
    np.testing.assert_allclose(bench.writer.samples[heard], expected[heard], atol=1e-6)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_any_cut_into_packets_gives_the_same_samples(rate_hz: int) -> None:
    sound = noise(rate_hz // 2)
    cuts = np.sort(np.random.default_rng(1).choice(np.arange(1, sound.size), 60, replace=False)).tolist()
    bench = Bench(rate_hz)
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, sound.size], strict=True)):
        bench.take(packet(sound, start, end - start, sequence=number, rate_hz=rate_hz))
    bench.finish()
    np.testing.assert_allclose(bench.writer.samples, resample(sound, rate_hz, 16_000), atol=1e-6)


def test_packet_is_held_only_for_the_reorder_time() -> None:
    sound = noise(4 * PACKET)
    bench = Bench()
    bench.take(packet(sound, 0), packet(sound, 2 * PACKET))
    assert bench.placement.is_waiting
    bench.wait(0.03)
    assert bench.writer.position_samples == PACKET
    bench.wait(0.02)
    assert bench.writer.gaps == [(PACKET, PACKET)]
    assert bench.writer.position_samples == 3 * PACKET
    assert not bench.placement.is_waiting


def test_late_packet_is_dropped_and_its_samples_are_counted_once() -> None:
    sound = noise(4 * PACKET)
    bench = Bench()
    bench.take(packet(sound, 0), packet(sound, 2 * PACKET))
    bench.wait(0.1)
    bench.take(packet(sound, PACKET), packet(sound, 3 * PACKET))
    assert bench.placement.counts.late_packets == 1
    assert bench.placement.counts.duplicate_packets == 0
    assert bench.writer.lost_samples == PACKET
    assert bench.writer.position_samples == 4 * PACKET


def test_overlapping_packet_gives_only_what_is_new() -> None:
    sound = noise(3 * PACKET)
    bench = Bench()
    bench.take(packet(sound, 0), packet(sound, PACKET // 2), packet(sound, PACKET + PACKET // 2, sequence=2))
    np.testing.assert_array_equal(bench.writer.samples, sound[: 2 * PACKET + PACKET // 2])


def test_silence_left_out_on_purpose_is_no_loss() -> None:
    sound = noise(20 * PACKET)
    for is_live, written in ((True, 2 * PACKET), (False, 12 * PACKET)):
        bench = Bench(is_live=is_live)
        bench.take(packet(sound, 0, sequence=0), packet(sound, 11 * PACKET, sequence=1))
        bench.wait(0.1)
        assert bench.writer.lost_samples == 0
        assert bench.writer.gaps == []
        assert bench.writer.position_samples == written


def test_single_far_jump_is_not_believed() -> None:
    sound = noise(3 * PACKET)
    bench = Bench()
    wild = packet(sound, 0, offset=10**9, sequence=1)
    bench.take(packet(sound, 0), wild, packet(sound, PACKET), packet(sound, 2 * PACKET))
    np.testing.assert_array_equal(bench.writer.samples, sound)
    assert bench.writer.lost_samples == PACKET


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("sequences", [(5, 6), (5, 100)], ids=["nothing missing", "packets missing"])
def test_first_two_packets_far_apart_are_both_taken_and_no_hole_is_filled(
    sequences: tuple[int, int], is_live: bool
) -> None:
    sound = noise(2 * PACKET)
    bench = Bench(8_000, is_live=is_live)
    far = [packet(sound, 0, rate_hz=8_000, sequence=sequences[0])]
    far += [packet(sound, PACKET, offset=2**40, rate_hz=8_000, sequence=sequences[1])]
    bench.take(*far)
    bench.wait(1.0)  # a hole of that length, as silence, would be four terabytes
    bench.finish()
    assert bench.placement.counts.received_samples == 2 * PACKET
    assert bench.writer.position_samples == 4 * PACKET
    assert bench.writer.lost_samples == 0


def test_holes_are_filled_no_faster_than_a_call_can_run() -> None:
    sound = noise(401)
    bench = Bench(8_000)
    for number in range(400):  # packets of one sample, each 3.9 s behind a hole
        bench.take(packet(sound, number, 1, offset=number * 31_200, rate_hz=8_000, sequence=2 * number))
        bench.wait(0.05)  # as long as each is held, in case what is missing is only late
    bench.finish()
    assert bench.placement.counts.received_samples == 400
    assert sum(length for _, length in bench.writer.gaps) < 75 * 16_000  # of 20 s; they claim 1,560


@pytest.mark.parametrize("jump", [10**9, -(10**6)])
def test_far_jump_is_believed_when_a_second_packet_follows(jump: int) -> None:
    sound = noise(6 * PACKET)
    bench = Bench()
    bench.take(*(packet(sound, index * PACKET, offset=2 * 10**6, sequence=index) for index in range(2)))
    after = [packet(sound, index * PACKET, offset=2 * 10**6 + jump, sequence=90 + index) for index in range(2, 6)]
    bench.take(*after)
    np.testing.assert_array_equal(bench.writer.samples, sound)
    assert bench.writer.lost_samples == 0
    assert bench.placement.counts.position_steps == (jump < 0)


def test_long_outage_is_counted_and_not_written() -> None:
    sound = noise(4 * PACKET)
    bench = Bench()
    outage = 16_000 * 30
    bench.take(packet(sound, 0), packet(sound, PACKET))
    bench.take(*(packet(sound, i * PACKET, offset=outage, sequence=i + outage // PACKET) for i in (2, 3)))
    assert bench.writer.position_samples == 4 * PACKET
    assert bench.writer.lost_samples == outage
    assert bench.placement.counts.lost_samples == outage


@pytest.mark.parametrize("step_samples", [-(16_000 + 7), -200_000, 200_000], ids=["1 s", "12.5 s", "far ahead"])
def test_positions_that_jump_while_the_sequence_goes_on_lose_nothing(step_samples: int) -> None:
    sound = noise(100 * PACKET)
    bench = Bench()
    for index in range(100):
        offset = 400_000 + (step_samples if index >= 50 else 0)
        bench.take(packet(sound, index * PACKET, offset=offset))
    bench.finish()
    counts = bench.placement.counts
    np.testing.assert_array_equal(bench.writer.samples, sound)
    assert (counts.lost_samples, counts.duplicate_packets, counts.late_packets) == (0, 0, 0)
    assert counts.position_steps == (step_samples < 0)


@pytest.mark.parametrize("start_of", [lambda index: 0, lambda index: 10**7 * index, lambda index: 10**9 - 90 * index])
def test_sender_that_gets_positions_wrong_loses_nothing(start_of: Callable[[int], int]) -> None:
    sound = noise(150 * PACKET)
    bench = Bench()
    for index in range(150):
        payload = encode_pcm(sound[index * PACKET : (index + 1) * PACKET], "f32le")
        bench.take(decode_packet(encode_packet(NAMES, "f32le", 16_000, index, start_of(index), 0, payload)))
        bench.wait(0.02)
    bench.finish()
    np.testing.assert_array_equal(bench.writer.samples, sound)
    counts = bench.placement.counts
    assert (counts.lost_samples, counts.duplicate_packets, counts.late_packets) == (0, 0, 0)


@pytest.mark.parametrize("restart", ["both", "sequence"])
def test_numbering_that_begins_again_loses_nothing(restart: str) -> None:
    sound = noise(150 * PACKET)
    bench = Bench()
    for index in range(150):
        number = index % 100
        start = (number if restart == "both" else index) * PACKET
        payload = encode_pcm(sound[index * PACKET : (index + 1) * PACKET], "f32le")
        bench.take(decode_packet(encode_packet(NAMES, "f32le", 16_000, number, start, 0, payload)))
    bench.finish()
    np.testing.assert_array_equal(bench.writer.samples, sound)
    counts = bench.placement.counts
    assert (counts.lost_samples, counts.duplicate_packets, counts.late_packets) == (0, 0, 0)


@pytest.mark.parametrize("first", [0, 7, 2**32 - 2])
def test_first_two_packets_that_arrive_in_the_wrong_order_are_sorted(first: int) -> None:
    sound = noise(10 * PACKET)
    bench = Bench()
    for index in (1, 0, *range(2, 10)):
        bench.take(packet(sound, index * PACKET, sequence=(first + index) % 2**32))
        bench.wait(0.02)
    bench.finish()
    np.testing.assert_array_equal(bench.writer.samples, sound)
    counts = bench.placement.counts
    assert (counts.lost_samples, counts.duplicate_packets, counts.late_packets) == (0, 0, 0)


def test_lone_first_packet_is_held_only_for_the_reorder_time() -> None:
    sound = noise(PACKET)
    bench = Bench()
    bench.take(packet(sound, 0, sequence=5))
    bench.wait(0.05)
    np.testing.assert_array_equal(bench.writer.samples, sound)


def test_gap_that_is_not_read_yet_is_told_apart_from_audio() -> None:
    sound = noise(10 * PACKET)
    bench = Bench()
    bench.take(packet(sound, 0), packet(sound, 6 * PACKET))
    bench.wait(0.05)
    assert bench.writer.position_samples == 7 * PACKET
    assert bench.placement.unread_gap_samples(0) == 5 * PACKET
    assert bench.placement.unread_gap_samples(3 * PACKET) == 3 * PACKET
    assert bench.placement.unread_gap_samples(6 * PACKET) == 0


def test_change_of_rate_keeps_going_without_loss() -> None:
    low, high = noise(10 * PACKET), noise(20 * PACKET, 1)
    bench = Bench(8_000)
    bench.take(*(packet(low, i * PACKET, rate_hz=8_000) for i in range(10)))
    bench.take(*(packet(high, i * PACKET, rate_hz=16_000, sequence=10 + i) for i in range(20)))
    bench.finish()
    assert bench.writer.lost_samples == 0
    np.testing.assert_allclose(bench.writer.samples[:3200], resample(low, 8_000, 16_000), atol=1e-6)
    np.testing.assert_array_equal(bench.writer.samples[3200:], high)


def test_freewheeling_engine_gets_everything_although_its_ring_is_small() -> None:
    sound = noise(40 * PACKET)
    bench = Bench(is_live=False, ring=500)
    for index in range(40):
        if index != 20:
            bench.take(packet(sound, index * PACKET))
    while bench.placement.is_waiting:
        bench.wait(0.1)
        bench.writer.drain()
        assert bench.writer.overrun_samples == 0
    muted = sound.copy()
    muted[20 * PACKET : 21 * PACKET] = 0.0
    np.testing.assert_array_equal(bench.writer.samples, muted)
    assert bench.writer.lost_samples == PACKET


def test_bad_samples_reach_the_writer_marked_and_spoil_no_others() -> None:
    sound = noise(10 * PACKET)
    bad = sound.copy()
    bad[777] = np.nan
    bench = Bench(8_000)
    bench.take(*(packet(bad, i * PACKET, rate_hz=8_000) for i in range(10)))
    bench.finish()
    assert np.flatnonzero(~np.isfinite(bench.writer.samples)).tolist() == [2 * 777]


def test_capture_time_of_a_wrong_clock_is_not_believed() -> None:
    sound = noise(3 * PACKET)
    now_ns = 1_700_000_000_000_000_000
    bench = Bench()
    for index, capture_ns in enumerate((now_ns - 20_000_000, now_ns + 5_000_000, now_ns - 3_600_000_000_000)):
        payload = encode_pcm(sound[:PACKET], "f32le")
        item = decode_packet(encode_packet(NAMES, "f32le", 16_000, index, index * PACKET, capture_ns, payload))
        bench.placement.take(item, 0.0, now_ns)
        bench.batch.flush()
    assert [capture for _, capture in bench.writer.captures] == [now_ns - 20_000_000, now_ns, 0]


def test_streams_that_share_a_batch_get_what_each_would_get_alone() -> None:
    """Rates, codecs and packet lengths mixed, one of them bad, one with a packet missing."""
    lanes, batch = Lanes(16_000), Batch()
    formats = [
        (8_000, "mulaw"),
        (8_000, "mulaw"),
        (8_000, "f32le"),
        (16_000, "s16le"),
        (48_000, "s16le"),
        (8_000, "alaw"),
    ]
    sounds = [noise(rate_hz, seed) for seed, (rate_hz, _) in enumerate(formats)]
    sounds[2][1_000] = np.inf
    messages: list[list[AudioPacket]] = []
    for (rate_hz, codec), sound in zip(formats, sounds, strict=True):
        count = rate_hz // 50
        messages.append([
            decode_packet(encode_packet(NAMES, codec, rate_hz, i, i * count, 0,  # type: ignore[arg-type]
                                        encode_pcm(sound[i * count : (i + 1) * count], codec)))
            for i in range(50) if (rate_hz, codec, i) != (8_000, "alaw", 20)
        ])  # fmt: skip

    def run(members: list[int], flushes: bool) -> list[NDArray[np.float32]]:
        writers = {i: FakeWriter("call", str(i), "test", "", True, UNBOUNDED_SAMPLES) for i in members}
        placements = {
            i: Placement(writers[i], formats[i][0], lanes, batch, is_live=True, reorder_s=0.0) for i in members
        }
        for turn in range(50):
            for i in members:
                if turn < len(messages[i]):
                    placements[i].take(messages[i][turn], turn * 0.02, 0)
                    if flushes:
                        batch.flush()
            if turn % 3 == 0:
                batch.flush()
        for placement in placements.values():
            placement.finish(0)
            placement.close()
        return [writer.samples for writer in writers.values()]

    together = run(list(range(6)), False)
    for i in range(6):
        np.testing.assert_array_equal(together[i], run([i], True)[0])
    assert np.flatnonzero(~np.isfinite(together[2])).tolist() == [2_000]
