"""Encryption: who is on the list gets events, nobody else does."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from bench.fakes.desk import FakeDesk
from rtemo.api import EndpointError
from rtemo.client import AudioSender, Subscriber
from rtemo.io.curve import generate_keys
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import CurveOptions, IngestOptions
from tests.fakes.zmq_ends import ANY_PORT, Publishing, event, options, pumping, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not zmq.has("curve"), reason="libzmq was built without CURVE")]


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Name → public and secret file."""
    return {name: tuple(map(str, generate_keys(tmp_path, name))) for name in ("server", "friend", "stranger")}  # type: ignore[misc]


@pytest.fixture
def curve(keys: dict[str, tuple[str, str]]) -> CurveOptions:
    return CurveOptions(key_file=keys["server"][1], allowed_clients=(keys["friend"][0],))


def heard(publishing: Publishing, **security: str) -> int:
    """Subscribe with these keys and count the events that arrive."""
    with Subscriber(publishing.events, query=publishing.query, connect_timeout_s=None, **security) as reader:
        found = []
        deadline_s = time.monotonic() + 1.5
        while time.monotonic() < deadline_s and not found:
            publishing.send(event("a"))
            found += reader.receive(0.05)
        return len(found)


def test_allowed_client_gets_events_and_answers(keys: dict[str, tuple[str, str]], curve: CurveOptions) -> None:
    with Publishing(ZmqPublisher(options(curve=curve))) as publishing:
        assert heard(publishing, server_key=keys["server"][0], key_file=keys["friend"][1]) > 0
        assert publishing.publisher._desk.refused_clients == 0


def test_unknown_client_gets_nothing(keys: dict[str, tuple[str, str]], curve: CurveOptions) -> None:
    with Publishing(ZmqPublisher(options(curve=curve))) as publishing:
        assert heard(publishing, server_key=keys["server"][0], key_file=keys["stranger"][1]) == 0
        assert publishing.publisher._desk.refused_clients > 0


def test_client_without_encryption_gets_nothing(curve: CurveOptions) -> None:
    with Publishing(ZmqPublisher(options(curve=curve))) as publishing:
        assert heard(publishing) == 0


def test_client_with_the_wrong_key_of_the_server_gets_nothing(
    keys: dict[str, tuple[str, str]], curve: CurveOptions
) -> None:
    with Publishing(ZmqPublisher(options(curve=curve))) as publishing:
        assert heard(publishing, server_key=keys["stranger"][0], key_file=keys["friend"][1]) == 0


def test_door_that_nobody_serves_lets_nobody_in(keys: dict[str, tuple[str, str]], curve: CurveOptions) -> None:
    """Fail closed: without an answer about the key there is no connection."""
    publisher = ZmqPublisher(options(curve=curve))
    publisher.open()
    events = str(publisher.endpoints["events"])
    with Subscriber(events, connect_timeout_s=None, server_key=keys["server"][0], key_file=keys["friend"][1]) as reader:
        for _ in range(20):
            publisher.publish([event("a")])
            assert reader.receive(0.02) == []
        publisher.tick()
        time.sleep(0.2)
        publisher.publish([event("b")])
        assert wait_until(lambda: publisher.tick() or reader._feed.socket.poll(0))
    publisher.close()


def test_network_address_with_keys_is_bound(curve: CurveOptions) -> None:
    publisher = ZmqPublisher(options(events="tcp://0.0.0.0:*", curve=curve))
    publisher.open()
    publisher.close()


def test_encryption_with_nobody_on_the_list_is_refused(keys: dict[str, tuple[str, str]]) -> None:
    publisher = ZmqPublisher(options(curve=CurveOptions(key_file=keys["server"][1])))
    with pytest.raises(EndpointError, match="no client is allowed"):
        publisher.open()


def test_missing_key_file_is_refused_before_anything_is_bound(tmp_path: Path) -> None:
    publisher = ZmqPublisher(options(curve=CurveOptions(key_file=str(tmp_path / "none"))))
    with pytest.raises(EndpointError, match="cannot read key file"):
        publisher.open()
    assert publisher.endpoints == {}


def test_ingest_takes_audio_of_allowed_clients_only(keys: dict[str, tuple[str, str]], curve: CurveOptions) -> None:
    desk = FakeDesk(is_live=True)
    source = IngestSource(IngestOptions(endpoint=ANY_PORT, curve=curve))
    with pumping(source, desk):
        endpoint = str(source.endpoint)
        security: dict[str, Any] = {"server_key": keys["server"][0], "key_file": keys["friend"][1]}
        with AudioSender(endpoint, **security) as sender:
            sender.open("call", sample_rate_hz=16_000).send(np.zeros(1600, np.int16))
        for other in ({}, {**security, "key_file": keys["stranger"][1]}):
            with (
                AudioSender(endpoint, timeout_s=0.7, **other) as sender,
                pytest.raises(EndpointError, match="no answer") as caught,
            ):
                sender.open("call 2")
            assert "CURVE" in caught.value.mend
    assert list(desk.writers) == [("call", "0")]
    assert desk.only().position_samples == 1600
