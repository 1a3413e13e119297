"""A server that is killed, stopped as planned, or drained: every client comes back by itself, and loss is told."""

import signal
import time

import pytest

from rtemo.api import CapacityError
from rtemo.client import AudioSender
from tests.attack.server import LOUD, PACKET, RATE_HZ, Crowd, Server
from tests.fakes.zmq_ends import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

BACK_S = 3.0


def come_back(crowd: Crowd, server: Server) -> None:
    """Start the server again and see that everybody is there in time, with the loss counted."""
    before = [stream.dropped_samples for stream in crowd.streams]
    server.start()
    everybody = len(crowd.streams)
    assert wait_until(lambda: len(crowd.back_s) == everybody, 30.0), f"{len(crowd.back_s)} of {everybody} came back"
    took_s = max(crowd.back_s.values()) - server.ready_s
    time.sleep(0.5)
    crowd.stop()
    accounts = [stream.end() for stream in crowd.streams]
    for stream, account, dropped_samples in zip(crowd.streams, accounts, before, strict=True):
        assert stream.reopened == 1
        outage_samples = stream.dropped_samples - dropped_samples
        assert outage_samples > 0
        assert outage_samples - PACKET <= account.lost_samples, "what was left out during the outage counts as lost"
        assert account.lost_samples <= stream.dropped_samples + stream.lost_samples + PACKET
    assert took_s < BACK_S


def crash(count: int) -> None:
    with Server(capacity=count) as server, Crowd(server.ingest, count) as crowd:
        time.sleep(1.0)
        server.kill()
        come_back(crowd, server)


def test_twenty_clients_are_back_after_the_server_was_killed() -> None:
    crash(20)


@pytest.mark.attack
@pytest.mark.timeout(300)
def test_five_hundred_clients_are_back_after_the_server_was_killed() -> None:
    crash(500)


@pytest.mark.attack
@pytest.mark.timeout(300)
def test_five_hundred_streams_of_one_client_are_back_after_the_server_was_killed() -> None:
    with Server(capacity=500) as server, Crowd(server.ingest, 1) as crowd:
        crowd.streams += [crowd.senders[0].open(f"more{index}", sample_rate_hz=RATE_HZ) for index in range(499)]
        time.sleep(1.0)
        server.kill()
        come_back(crowd, server)


def test_clients_move_on_after_a_planned_stop_as_after_a_crash() -> None:
    with Server() as server, Crowd(server.ingest, 10) as crowd:
        time.sleep(1.0)
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert wait_until(lambda: all(stream.accounts for stream in crowd.streams))
        assert {stream.accounts[0].reason for stream in crowd.streams} == {"source closed"}
        come_back(crowd, server)


def test_server_that_drains_lets_calls_end_and_takes_no_new_ones() -> None:
    with (
        Server("--drain", "30") as server,
        AudioSender(server.ingest) as sender,
        AudioSender(server.ingest, timeout_s=0.6) as late,
    ):
        stream = sender.open("call", sample_rate_hz=RATE_HZ)
        stream.send(LOUD)
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: any("draining" in line for line in server.said))
        with pytest.raises(CapacityError, match="about to stop"):
            late.open("late", sample_rate_hz=RATE_HZ)
        for _ in range(25):
            stream.send(LOUD)
            time.sleep(0.02)
        account = stream.end()
        assert (account.reason, account.lost_samples, account.received_samples) == ("end", 0, 26 * PACKET)
        assert server.end() == 0


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_the_draining_at_once(again: signal.Signals) -> None:
    with Server("--drain", "300") as server, AudioSender(server.ingest) as sender:
        sender.open("call", sample_rate_hz=RATE_HZ)
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: any("draining" in line for line in server.said))
        server.signal(again)
        assert server.end(5.0) == 0


def test_draining_ends_when_its_time_is_up() -> None:
    with Server("--drain", "0.5") as server, Crowd(server.ingest, 2):
        server.signal(signal.SIGTERM)
        assert server.end(5.0) == 0
