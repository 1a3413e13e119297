from functools import partial

import numpy as np
import pytest

from rtemo.api import HopFlag
from tests.engine.plugins import witness
from tests.engine.rig import HOP, HOP_NS, RATE_HZ, Rig, ramp

pytestmark = pytest.mark.engine

S = 1_000_000_000


def feed(rig: Rig, call: str, seconds: float, *, packet_hops: int = 1, start_ns: int = 0, ppm: float = 0.0) -> None:
    """Let a stream deliver a ramp in packets, by a clock of its own."""
    writer = rig.open(call)
    audio = ramp(round(seconds * RATE_HZ) // (HOP * packet_hops) * HOP * packet_hops)
    packets = iter(audio.reshape(-1, HOP * packet_hops))
    period_ns = packet_hops * HOP_NS / (1 + ppm * 1e-6)

    def deliver() -> None:
        for packet in packets:
            writer.write(packet)
            return
        writer.end("done")

    rig.clock.every(
        period_ns, deliver, start_ns, start_ns + round((audio.shape[0] // HOP + packet_hops) * HOP_NS * 1.1)
    )


def real_hops(rig: Rig, call: str) -> np.ndarray:
    """What was played of a stream, without hops that were made up."""
    seen = dict(rig.heard[call, "0"])
    flags = {hop.start_sample: hop.flags for hop in rig.witness.seen}  # type: ignore[attr-defined]
    made_up = HopFlag.CONCEALED | HopFlag.PADDED
    return np.concatenate([hop for start, hop in seen.items() if not flags[start] & made_up])


def rig_of(**options: float) -> Rig:
    seer = witness()
    rig = Rig(seer, **options)
    seer.processor.seen.clear()
    rig.witness = seer.processor  # type: ignore[attr-defined]
    return rig


def test_burst_of_a_single_stream_is_worked_off_at_once_without_loss() -> None:
    rig = rig_of()
    writer = rig.open()
    burst = ramp(2 * RATE_HZ)
    writer.write(burst)
    rig.tick(200)
    assert rig.clock.now_ns() == 0
    assert np.array_equal(rig.audio(), burst)
    assert rig.counters() == type(rig.counters())()


def test_single_stream_is_paced_by_its_own_sample_clock() -> None:
    for ppm in (-300.0, 300.0):
        rig = rig_of()
        feed(rig, "a", 60, ppm=ppm)
        rig.run_dry()
        assert rig.engine.driver.ticks == 60 * 100 + 1
        assert rig.clock.now_ns() == pytest.approx(60 * S / (1 + ppm * 1e-6), abs=3 * HOP_NS)
        counters = rig.final_counters("a")
        assert counters == type(counters)()


def test_late_stream_is_concealed_flagged_and_counted_and_its_audio_is_played_later() -> None:
    rig = rig_of()
    on_time, late = rig.open("on-time"), rig.open("late")
    on_time_audio, late_audio = ramp(20 * HOP), ramp(20 * HOP, start=50_000)
    on_time.write(on_time_audio[:HOP])
    late.write(late_audio[: 3 * HOP])
    rig.tick()
    for hop in range(1, 20):
        rig.clock.at(hop * HOP_NS, lambda hop=hop: on_time.write(on_time_audio[hop * HOP : (hop + 1) * HOP]))
    rig.clock.at(10 * HOP_NS, lambda: late.write(late_audio[3 * HOP :]))
    rig.run_until(19 * HOP_NS)
    on_time.end("done")
    late.end("done")
    rig.run_dry()
    slots = {hop.slot for hop in rig.witness.seen}  # type: ignore[attr-defined]
    flags = {slot: [hop.flags for hop in rig.witness.seen if hop.slot == slot] for slot in slots}  # type: ignore[attr-defined]
    concealed = flags[1].count(HopFlag.CONCEALED)
    assert concealed == rig.final_counters("late").concealed_hops == 7
    assert flags[1][: 3 + concealed + 2] == [0] * 3 + [HopFlag.CONCEALED] * concealed + [HopFlag.DISCONTINUITY, 0]
    heard = rig.audio("late").reshape(-1, HOP)
    played = [hop for hop, flag in zip(heard, flags[1], strict=True) if not flag & (HopFlag.CONCEALED | HopFlag.PADDED)]
    assert np.array_equal(np.concatenate(played), late_audio)
    assert np.array_equal(rig.audio("on-time")[: on_time_audio.shape[0]], on_time_audio)
    assert set(flags[0][:-1]) == {0}
    assert rig.final_counters("on-time").concealed_hops == 0


def test_nobody_ready_waits_until_the_stall_limit_and_then_time_goes_on() -> None:
    rig = rig_of(stall_s=0.1)
    writer = rig.open()
    writer.write(ramp(HOP))
    rig.tick()
    rig.run_until(99_000_000)
    assert rig.engine.driver.ticks == 1
    rig.run_until(1 * S)
    assert rig.counters().concealed_hops == pytest.approx(91, abs=1)
    rig.clock.at(S + 3_000_000, lambda: writer.write(ramp(100 * HOP, start=HOP)))
    rig.run_until(S + 4_000_000)
    assert np.array_equal(real_hops(rig, "a"), ramp(101 * HOP))
    assert rig.counters().skipped_hops == rig.counters().xruns == 0


@pytest.mark.parametrize("held_up_hops", [1, 2, 3, 15, 40])
def test_channels_of_a_source_that_was_held_up_are_not_late_for_each_other(held_up_hops: int) -> None:
    rig = rig_of()
    audio = ramp(200 * HOP)
    writers = [rig.open("a", channel, prefill_s=0.01) for channel in "01"]
    written = [0, 0]

    def deliver(channel: int, hops: int) -> None:
        at = written[channel] * HOP
        writers[channel].write(audio[at : at + hops * HOP])
        written[channel] += hops

    for hop in range(200):  # each hop is written when it is over, the second channel a little after the first
        held_up_to = 100 + held_up_hops
        hops = 0 if 100 <= hop < held_up_to else 1 + held_up_hops * (hop == held_up_to)
        for channel in (0, 1):
            when_ns = hop * HOP_NS + channel * 300_000
            rig.clock.at(when_ns, lambda channel=channel, hops=hops: deliver(channel, hops) if hops else None)
    rig.run_until(190 * HOP_NS)
    concealed = rig.counters().concealed_hops
    stall_hops = 20  # from there on time goes on, for both alike
    assert concealed == 2 * max(0, held_up_hops - stall_hops)
    assert rig.counters().xruns == 0
    assert {len(rig.heard["a", channel]) for channel in "01"} == {rig.engine.driver.ticks}


@pytest.mark.parametrize("mute", [1, 3])
def test_mute_line_holds_nobody_up_who_works_off_a_burst(mute: int) -> None:
    rig = rig_of()
    speaker = rig.open("speaker")
    for number in range(mute):
        rig.open(f"mute{number}").write(ramp(HOP))
    written = 0

    def deliver(hops: int) -> None:
        nonlocal written
        speaker.write(ramp(hops * HOP, start=written * HOP))
        written += hops

    for hop in range(300):  # from 1 s on nothing comes for 0.5 s, then all of it at once
        hops = 0 if 100 <= hop < 150 else 51 if hop == 150 else 1
        rig.clock.at(hop * HOP_NS, partial(deliver, hops))
    rig.run_until(2 * S)
    fill = rig.engine._ring.write[0] - rig.engine._ring.read[0]
    assert fill <= HOP, "the delay is gone"
    rig.run_until(3 * S)
    assert rig.counters().skipped_hops == 0
    heard = [hop for hop in rig.witness.seen if hop.slot == 0 and not hop.flags & HopFlag.CONCEALED]  # type: ignore[attr-defined]
    assert np.array_equal(np.concatenate([hop.samples for hop in heard]), ramp(written * HOP))
    assert rig.counters().xruns == 0


def test_mute_lines_do_not_outrun_the_clock_for_ever() -> None:
    rig = rig_of()
    fast, mute = rig.open("fast"), rig.open("mute")
    mute.write(ramp(HOP))
    rig.clock.every(HOP_NS / 2, lambda: fast.write(ramp(HOP)), 0, 60 * S)
    rig.run_until(60 * S)
    ahead_hops = rig.heard["mute", "0"][-1][0] // HOP - 6_000
    assert 0 < ahead_hops <= 580, "5 s, and a hundredth of the time"


def test_gap_over_time_that_was_concealed_already_is_not_played_again() -> None:
    # A microphone that was lost: the engine bridges the silence, then its source fills in what was lost.
    rig = rig_of()
    writer = rig.open()
    writer.write(ramp(100 * HOP))
    rig.tick(100)
    rig.run_until(2 * S)
    concealed = rig.counters().concealed_hops
    assert concealed > 150
    writer.write_gap(200 * HOP)
    writer.write(ramp(10 * HOP, start=77))
    rig.run_until(2 * S + 5_000_000)
    real = [hop for hop in rig.witness.seen if not hop.flags & HopFlag.CONCEALED][-10:]  # type: ignore[attr-defined]
    assert [hop.start_sample for hop in real] == [(300 + hop) * HOP for hop in range(10)]
    assert rig.counters().source_lost_samples == 200 * HOP
    assert rig.counters().skipped_hops == 0
    assert rig.engine.driver.ticks < 100 + 200 + 20


def test_backlog_beyond_the_limit_drops_the_oldest_after_patience_and_says_so() -> None:
    rig = rig_of(max_backlog_s=0.5, patience_s=0.5)
    slow, burst = rig.open("pace"), rig.open("burst")
    slow.write(ramp(HOP))
    burst.write(ramp(150 * HOP))
    rig.clock.every(HOP_NS, lambda: slow.write(ramp(HOP)), HOP_NS, 2 * S)
    rig.clock.every(HOP_NS, lambda: burst.write(ramp(HOP, start=(150 + burst_hops(burst)) * HOP)), HOP_NS, 2 * S)
    rig.run_until(490_000_000)
    assert rig.counters().skipped_hops == 0
    rig.run_until(1 * S)
    skipped = rig.counters().skipped_hops
    assert 140 <= skipped <= 150
    after = [hop for hop in rig.witness.seen if hop.slot == 1 and hop.flags & HopFlag.DISCONTINUITY]  # type: ignore[attr-defined]
    assert len(after) == 1
    before = max(
        (hop for hop in rig.witness.seen if hop.slot == 1 and hop.start_sample < after[0].start_sample),  # type: ignore[attr-defined]
        key=lambda hop: hop.start_sample,
    )
    assert after[0].start_sample - before.start_sample == (skipped + 1) * HOP
    assert np.array_equal(after[0].samples, ramp(HOP, start=after[0].start_sample))
    assert rig.counters().overrun_samples == rig.counters().concealed_hops == 0


def burst_hops(writer: object) -> int:
    return writer.position_samples // HOP - 150  # type: ignore[attr-defined]


def test_backlog_that_is_gone_before_patience_ends_costs_nothing() -> None:
    rig = rig_of(max_backlog_s=0.5, patience_s=0.5)
    slow, burst = rig.open("pace"), rig.open("burst")
    slow.write(ramp(HOP))
    burst.write(ramp(80 * HOP))
    rig.clock.every(HOP_NS, lambda: slow.write(ramp(HOP)), HOP_NS, S)
    rig.run_until(S)
    assert np.array_equal(rig.audio("burst")[: 80 * HOP], ramp(80 * HOP))
    assert rig.counters().skipped_hops == 0


def test_surplus_delay_is_given_back_one_hop_per_settle_window() -> None:
    rig = rig_of(settle_s=1.0)
    feed(rig, "pace", 8)
    feed(rig, "behind", 8)
    extra = rig.open("extra")
    extra.write(ramp(5 * HOP))
    rig.clock.every(HOP_NS, lambda: extra.write(ramp(HOP)), HOP_NS, 8 * S)
    rig.run_until(7 * S + 500_000_000)
    assert 3 <= rig.counters().skipped_hops <= 4  # from 5 hops in hand down to 1, never in the first, partial window
    ring = rig.engine.floor._ring
    assert (ring.write[2] - ring.read[2]) // HOP <= 2


def test_delay_that_all_streams_have_too_much_of_is_worked_off_without_loss() -> None:
    rig = rig_of(settle_s=1.0)
    hop = ramp(HOP)
    for index, call in enumerate("ab"):
        writer = rig.open(call)
        for count in range(1_000):
            when = count
            if count < 200 and 0 < (count - 20 * index) % 40 <= 3:  # late by up to three hops, five times
                when = count - (count - 20 * index) % 40 + 4
            rig.clock.at(when * HOP_NS, partial(writer.write, hop))
    rig.run_until(3 * S)
    ring = rig.engine.floor._ring
    assert (ring.write - ring.read)[:2].min() >= 3 * HOP
    rig.run_until(9 * S + 900_000_000)
    assert (ring.write - ring.read)[:2].max() <= 3 * HOP
    assert rig.counters().concealed_hops > 10
    assert rig.counters().skipped_hops == 0


def test_stream_admitted_within_a_settle_window_is_not_judged_by_the_rest_of_it() -> None:
    rig = rig_of(settle_s=1.0)
    feed(rig, "pace", 3)
    late = rig.open("late")
    rig.clock.at(950_000_000, lambda: late.write(ramp(10 * HOP)))
    rig.clock.every(HOP_NS, lambda: late.write(ramp(HOP)), 960_000_000, 2 * S)
    rig.run_until(1_500_000_000)
    assert rig.counters().skipped_hops == 0


@pytest.mark.parametrize("ppm", [(300, -300), (300, 200), (-300, -100), (0, 300), (0, -300)])
def test_clocks_that_drift_apart_for_hours_leave_the_backlog_bounded(ppm: tuple[float, float]) -> None:
    # A hundred times the drift for three minutes: as many hops gained and lost as in five hours.
    scale = 100.0
    rig = Rig(settle_s=10.0 / scale, health_interval_s=1e6)
    seconds = 180
    hop = ramp(HOP)
    for call, drift in zip("ab", ppm, strict=True):
        writer = rig.open(call)
        rig.clock.every(HOP_NS / (1 + drift * scale * 1e-6), partial(writer.write, hop), 1_000_000, seconds * S)
    ring = rig.engine.floor._ring
    fills = []
    for second in range(1, seconds):
        rig.run_until(second * S)
        fills.append((ring.write - ring.read)[:2] / HOP)
    assert np.max(fills) <= 12
    third = len(fills) // 3
    assert np.mean(fills[-third:]) <= np.mean(fills[third : 2 * third]) + 1.5
    counters = rig.counters()
    drifted_hops = seconds * 100 * scale * 1e-6 * (abs(ppm[0]) + abs(ppm[1]))
    assert counters.skipped_hops + counters.concealed_hops <= drifted_hops * 1.1 + 30
    assert counters.overrun_samples == 0


@pytest.mark.parametrize("packet_hops", [1, 2, 10])
@pytest.mark.parametrize("streams", [2, 5])
def test_packets_out_of_phase_settle_to_steady_play(streams: int, packet_hops: int) -> None:
    rng = np.random.default_rng(packet_hops)
    rig = Rig(health_interval_s=1e6)
    for stream in range(streams):
        feed(rig, f"c{stream}", 30, packet_hops=packet_hops, start_ns=int(rng.uniform(0, packet_hops * HOP_NS)))
    rig.run_until(10 * S)
    before, ticks = rig.counters(), rig.engine.driver.ticks
    rig.run_until(29 * S)
    after = rig.counters()
    assert after.concealed_hops - before.concealed_hops <= streams
    assert after.skipped_hops - before.skipped_hops <= streams
    assert rig.engine.driver.ticks - ticks == pytest.approx(1900, abs=3)
    assert after.concealed_hops <= streams * 4 * packet_hops
    assert after.xruns == 0


def test_jitter_of_the_network_makes_no_xruns() -> None:
    rng = np.random.default_rng(5)
    rig = Rig(health_interval_s=1e6)
    for stream in range(4):
        writer = rig.open(f"c{stream}")
        for packet in range(500):
            when_ns = packet * 20_000_000 + int(abs(rng.normal(0, 25)) * 1e6)
            rig.clock.at(when_ns, lambda writer=writer: writer.write(np.full(2 * HOP, 0.1, np.float32)))
    rig.run_until(10 * S)
    assert rig.counters().xruns == 0
    assert rig.engine.driver.late.percentile_ns(100) <= HOP_NS


def test_prefill_delays_the_stream_and_absorbs_jitter() -> None:
    rig = rig_of()
    pace, kept = rig.open("pace"), rig.open("kept", prefill_s=0.05)
    hop = ramp(HOP)
    rig.clock.every(HOP_NS, lambda: pace.write(hop), 0, 5 * S)
    rng = np.random.default_rng(3)
    for packet in range(500):
        when_ns = packet * HOP_NS + int(rng.uniform(0, 35) * 1e6)
        rig.clock.at(when_ns, lambda: kept.write(hop))
    rig.run_until(4 * S)
    assert rig.counters().concealed_hops == 0
    assert rig.heard["kept", "0"]
    assert len(rig.heard["pace", "0"]) - len(rig.heard["kept", "0"]) >= 5


def test_machine_suspended_for_an_hour_goes_on_without_playing_the_hour_back() -> None:
    rig = rig_of()
    first, second = rig.open("first"), rig.open("second")
    for _ in range(3):
        first.write(ramp(HOP))
        second.write(ramp(HOP))
        rig.tick()
        rig.clock.advance(HOP_NS)
    ticks = rig.engine.driver.ticks
    rig.clock.advance(3600 * S)
    first.write(ramp(2 * HOP))
    while rig.step():
        pass
    assert rig.engine.driver.ticks - ticks <= 14
    first.write(ramp(HOP))
    second.write(ramp(HOP))
    assert rig.step()


def test_freewheel_conceals_nothing_and_loses_nothing_however_unevenly_streams_are_fed() -> None:
    rng = np.random.default_rng(2)
    rig = Rig(live=False, max_backlog_s=0.01, patience_s=0.0, settle_s=0.01)
    audio = {call: ramp(int(rng.integers(50, 300)) * HOP + 37, start=7_000 * index) for index, call in enumerate("abc")}
    writers = {call: rig.open(call) for call in audio}
    left = dict(audio)
    while left:
        call = str(rng.choice(list(left)))
        taken = writers[call].write(left[call][: int(rng.integers(1, 9 * HOP))])
        left[call] = left[call][taken:]
        if not left[call].shape[0]:
            writers[call].end("done")
            del left[call]
        rig.clock.advance(int(rng.integers(0, S)))
        rig.step()
    rig.run_dry()
    for call, samples in audio.items():
        assert np.array_equal(rig.audio(call)[: samples.shape[0]], samples)
        counters = rig.final_counters(call)
        assert counters == type(counters)()


def test_time_stamps_of_events_tell_when_their_samples_were_captured() -> None:
    from tests.engine.plugins import delay, teller

    rig = Rig(delay("late", 2 * HOP), teller())
    writer = rig.open()
    epoch_ns = 10**18
    for packet in range(10):
        end = (packet + 1) * 3 * HOP
        rig.clock.at(packet * 3 * HOP_NS, lambda end=end: writer.write(ramp(3 * HOP), epoch_ns + end * 62_500))
    rig.run_until(30 * HOP_NS)
    levels = [event for event in rig.all_events("level") if event.start_sample >= 0]
    assert len(levels) == 28
    for event in levels:
        assert event.capture_ns == epoch_ns + event.end_sample * 62_500
