import numpy as np
import pytest

from rtemo.engine.pacer import Pacer, Verdict

pytestmark = pytest.mark.unit

MS = 1_000_000
HOP = 160


def pacer(is_live: bool = True, stall_ms: int = 100) -> Pacer:
    made = Pacer(10 * MS, HOP, is_live, stall_ms * MS)
    made.start(0)
    return made


def decide(
    pacer: Pacer, now_ms: float, fill_hops: list[float], prefill_hops: float = 0, ended: object = 0, rang_ms: float = 0
) -> tuple[Verdict, float]:
    fill = np.array([round(hops * HOP) for hops in fill_hops])
    verdict, until_ns = pacer.decide(
        round(now_ms * MS),
        fill,
        np.full(fill.shape, round(prefill_hops * HOP)),
        np.broadcast_to(np.asarray(ended, np.uint8), fill.shape),
        round(rang_ms * MS),
    )
    return verdict, until_ns / MS


def test_tick_is_due_at_once_when_every_stream_has_its_hop() -> None:
    paced = pacer()
    for now_ms in (0.0, 0.1, 0.2):
        assert decide(paced, now_ms, [3, 1])[0] is Verdict.TICK


def test_tick_waits_one_hop_for_a_stream_without_audio_and_no_longer() -> None:
    paced = pacer()
    assert decide(paced, 0, [1, 1])[0] is Verdict.TICK
    assert decide(paced, 1, [1, 0]) == (Verdict.WAIT, 10)
    assert decide(paced, 10, [1, 0])[0] is Verdict.TICK
    assert decide(paced, 10, [1, 0]) == (Verdict.WAIT, 20)


def test_tick_leaves_what_is_kept_against_jitter_alone_until_it_is_due() -> None:
    paced = pacer()
    assert decide(paced, 0, [3], prefill_hops=2)[0] is Verdict.TICK
    assert decide(paced, 1, [2.9], prefill_hops=2) == (Verdict.WAIT, 10)
    assert decide(paced, 10, [2], prefill_hops=2)[0] is Verdict.TICK


def test_nobody_ready_waits_until_the_stall_limit_and_then_goes_on_hop_by_hop() -> None:
    paced = pacer()
    assert decide(paced, 0, [1])[0] is Verdict.TICK
    assert decide(paced, 5, [0.5]) == (Verdict.WAIT, 10)
    assert decide(paced, 10, [0.5]) == (Verdict.WAIT, 100)
    assert decide(paced, 100, [0.5])[0] is Verdict.TICK
    for now_ms in range(100, 300, 10):
        assert decide(paced, now_ms, [0.5]) == (Verdict.WAIT, now_ms + 10)
        assert decide(paced, now_ms + 10, [0.5])[0] is Verdict.TICK


def test_audio_after_a_stall_ends_it() -> None:
    paced = pacer()
    decide(paced, 0, [1])
    decide(paced, 100, [0])
    assert decide(paced, 104, [1], rang_ms=104)[0] is Verdict.TICK
    assert decide(paced, 114, [0]) == (Verdict.WAIT, 204)


def test_ended_stream_holds_nobody_up() -> None:
    assert decide(pacer(), 0, [0, 1], ended=[1, 0])[0] is Verdict.TICK


def test_past_is_not_played_back_tick_by_tick_after_a_suspended_machine() -> None:
    paced = pacer()
    decide(paced, 0, [1, 1])
    ticks = 0
    while decide(paced, 3_600_000, [1, 0])[0] is Verdict.TICK:
        ticks += 1
    assert 1 <= ticks <= 12


def test_lateness_counts_from_the_arrival_that_woke_the_driver_not_from_when_it_woke() -> None:
    paced = pacer()
    decide(paced, 0, [1])
    decide(paced, 25, [1], rang_ms=12)
    assert paced.ready_ns == 12 * MS


def test_lateness_counts_from_the_due_time_when_audio_was_there_in_time() -> None:
    paced = pacer()
    decide(paced, 0, [1, 1])
    decide(paced, 18, [1, 0])
    assert paced.ready_ns == 10 * MS


def test_audio_that_came_after_the_due_time_makes_nobody_late() -> None:
    paced = pacer()
    decide(paced, 0, [1, 1])
    assert decide(paced, 40, [1, 0], rang_ms=40)[0] is Verdict.TICK
    assert paced.ready_ns == 40 * MS


def test_driver_kept_busy_for_two_hops_is_late_by_one() -> None:
    paced = pacer()
    decide(paced, 0, [1])
    decide(paced, 20, [2])
    assert paced.ready_ns == 10 * MS


def test_freewheel_waits_for_the_last_stream_however_long_it_takes() -> None:
    paced = pacer(is_live=False)
    for now_ms in (0, 1e3, 1e6):
        assert decide(paced, now_ms, [5, 0.9])[0] is Verdict.WAIT
    assert decide(paced, 1e6, [5, 1])[0] is Verdict.TICK
    assert decide(paced, 1e6, [5, 0], ended=[0, 1])[0] is Verdict.TICK
