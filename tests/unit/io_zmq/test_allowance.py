import pytest

from rtemo.io.allowance import Allowance
from rtemo.io.sources.client_limits import ClientLimits

pytestmark = pytest.mark.unit


def test_allowance_gives_a_burst_and_then_so_many_a_second() -> None:
    allowance = Allowance(per_s=50.0, burst=100, now_s=0.0)
    taken = sum(allowance.take(number / 1_000) for number in range(10_000))
    assert taken == pytest.approx(100 + 10 * 50, abs=2)


def test_allowance_that_is_empty_tells_when_to_come_back() -> None:
    allowance = Allowance(per_s=10.0, burst=1, now_s=0.0)
    assert allowance.take(0.0)
    assert not allowance.take(0.05)
    assert allowance.wait_s() == pytest.approx(0.05)
    assert allowance.take(0.05 + allowance.wait_s() + 1e-9)


def test_client_that_floods_costs_others_no_answer() -> None:
    limits = ClientLimits(50.0, 100)
    answered = sum(limits.may_answer(b"bad", 1.0) for _ in range(10_000))
    assert answered == 40
    assert all(limits.may_answer(f"good {number}".encode(), 1.0) for number in range(500))


def test_clients_without_streams_are_forgotten_once_their_buckets_are_full() -> None:
    limits = ClientLimits(50.0, 100)
    for number in range(1_000):
        assert limits.of(b"%d" % number, 0.0).opens.take(0.0)
    limits.of(b"7", 0.0).streams = 1
    limits.prune(0.001)
    assert len(limits._clients) == 1_000
    limits.prune(1.0)
    assert limits.holders == {b"7": 1}
    assert len(limits._clients) == 1


def test_clients_that_come_by_the_thousand_are_bounded() -> None:
    limits = ClientLimits(50.0, 100)
    for number in range(50_000):
        limits.of(b"%d" % number, 0.0).opens.take(0.0)
    assert len(limits._clients) <= 16_384
