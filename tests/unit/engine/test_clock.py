import threading
import time

import pytest

from rtemo.engine.clock import Doorbell, SystemClock, VirtualClock

pytestmark = pytest.mark.unit


def test_bell_that_nobody_armed_costs_nothing_and_wakes_nobody() -> None:
    bell = Doorbell(VirtualClock())
    bell.ring()
    bell.arm()
    assert bell.wait(0.0) is False
    assert bell.rang_ns == 0


def test_bell_rung_between_arming_and_waiting_is_heard() -> None:
    bell = Doorbell(SystemClock())
    bell.arm()
    bell.ring()
    assert bell.wait(0.0) is True


def test_bell_tells_when_it_first_rang() -> None:
    clock = VirtualClock()
    bell = Doorbell(clock)
    bell.arm()
    clock.advance(5)
    bell.ring()
    clock.advance(5)
    bell.ring()
    assert bell.rang_ns == 5


def test_bell_wakes_a_waiter_on_another_thread_at_once() -> None:
    clock = SystemClock()
    bell = Doorbell(clock)
    bell.arm()
    threading.Timer(0.05, bell.ring).start()
    start_s = time.monotonic()
    assert clock.wait(bell, clock.now_ns() + 5_000_000_000) is True
    assert time.monotonic() - start_s < 2.0


def test_system_clock_waits_until_the_time_has_come() -> None:
    clock = SystemClock()
    bell = Doorbell(clock)
    bell.arm()
    until_ns = clock.now_ns() + 20_000_000
    assert clock.wait(bell, until_ns) is False
    assert clock.now_ns() >= until_ns - 1_000_000


def test_virtual_clock_jumps_to_the_end_of_a_wait_and_never_back() -> None:
    clock = VirtualClock()
    bell = Doorbell(clock)
    clock.advance(100)
    for until_ns, now_ns in ((500, 500), (200, 500)):
        bell.arm()
        assert clock.wait(bell, until_ns) is False
        assert clock.now_ns() == clock.utc_ns() == now_ns


def test_muted_bell_does_not_wake_and_forgets_an_earlier_ring():
    bell = Doorbell(VirtualClock())
    bell.arm()
    bell.ring()
    bell.mute()
    bell.ring()
    assert bell.rang_ns == 0
    assert not bell.wait(0.0)
