"""A key that is taken off the list opens nothing any more, not even the connection it has."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from bench.fakes.desk import FakeDesk
from rtemo.client import AudioSender, Subscriber
from rtemo.io.curve import generate_keys, read_keys_again
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import CurveOptions, IngestOptions
from tests.fakes.program import start
from tests.fakes.zmq_ends import ANY_PORT, Publishing, event, free_ports, options, pumping

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not zmq.has("curve"), reason="libzmq was built without CURVE")]


class House:
    """Keys of a server and of clients, of whom those in the folder `in` are allowed."""

    def __init__(self, folder: Path) -> None:
        self.allowed = folder / "in"
        self.allowed.mkdir()
        names = ("server", "alice", "bob")
        self.keys = {name: generate_keys(folder, name) for name in names}
        self.curve = CurveOptions(key_file=str(self.keys["server"][1]), allowed_clients=(str(self.allowed),))

    def let_in(self, name: str) -> None:
        (self.allowed / f"{name}.key").write_bytes(self.keys[name][0].read_bytes())

    def turn_out(self, name: str) -> None:
        (self.allowed / f"{name}.key").unlink()

    def security(self, name: str) -> dict[str, str]:
        return {"server_key": str(self.keys["server"][0]), "key_file": str(self.keys[name][1])}


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.let_in("alice")
    return made


def hears(publishing: Publishing, reader: Subscriber, within_s: float) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        publishing.send(event("a"))
        if reader.receive(0.05):
            return True
    return False


def test_removed_client_loses_its_connection_and_the_others_come_back(house: House) -> None:
    house.let_in("bob")
    with Publishing(ZmqPublisher(options(curve=house.curve))) as publishing:
        make = {"query": publishing.query, "connect_timeout_s": None, "snapshot": False}
        with (
            Subscriber(publishing.events, **make, **house.security("alice")) as alice,
            Subscriber(publishing.events, **make, **house.security("bob")) as bob,
        ):
            assert hears(publishing, alice, 15.0)
            assert hears(publishing, bob, 15.0)
            house.turn_out("bob")
            read_keys_again()
            deadline_s = time.monotonic() + 5.0
            while publishing.publisher._desk.refused_clients == 0 and time.monotonic() < deadline_s:
                publishing.send(event("a"))
                time.sleep(0.02)
            bob.receive(0.2)  # what was on its way
            assert not hears(publishing, bob, 0.7)
            assert hears(publishing, alice, 15.0)
            house.let_in("bob")  # seen by itself, within a second
            assert hears(publishing, bob, 15.0)
            assert hears(publishing, alice, 1.0)


def test_new_client_is_let_in_without_touching_those_that_are_there(house: House) -> None:
    with Publishing(ZmqPublisher(options(curve=house.curve))) as publishing:
        make = {"query": publishing.query, "connect_timeout_s": None, "snapshot": False}
        with Subscriber(publishing.events, **make, **house.security("alice")) as alice:
            assert hears(publishing, alice, 15.0)
            with Subscriber(publishing.events, **make, **house.security("bob")) as bob:
                assert not hears(publishing, bob, 0.5)
                house.let_in("bob")
                assert hears(publishing, bob, 15.0)
            alice.receive(0.3)
            assert alice.lost_events == 0


def test_damaged_or_missing_lists_let_nobody_in_and_end_nothing(house: House, caplog) -> None:
    with Publishing(ZmqPublisher(options(curve=house.curve))) as publishing:
        make = {"query": publishing.query, "connect_timeout_s": None, "snapshot": False}
        with Subscriber(publishing.events, **make, **house.security("alice")) as alice:
            assert hears(publishing, alice, 15.0)
            (house.allowed / "alice.key").write_text("curve\n")
            read_keys_again()
            time.sleep(0.3)
            alice.receive(0.2)
            assert not hears(publishing, alice, 0.5)
            assert any("left out" in message for message in caplog.messages)
            house.let_in("alice")
            read_keys_again()
            assert hears(publishing, alice, 15.0)


def test_sender_whose_key_is_removed_sends_no_more(house: House) -> None:
    desk = FakeDesk(is_live=True)
    source = IngestSource(IngestOptions(endpoint=ANY_PORT, curve=house.curve))
    with pumping(source, desk), AudioSender(str(source.endpoint), **house.security("alice")) as sender:
        stream = sender.open("call", sample_rate_hz=16_000)
        stream.send(np.zeros(1600, np.int16), wait=False)
        house.turn_out("alice")
        read_keys_again()
        time.sleep(0.3)
        before = desk.only().position_samples
        for _ in range(20):
            stream.send(np.ones(320, np.int16), wait=False)
            time.sleep(0.02)
        assert desk.only().position_samples == before


def test_hangup_makes_a_server_read_its_keys_again_and_does_not_end_it(house: House, tmp_path: Path) -> None:
    config = tmp_path / "rtemo.toml"
    ports = free_ports(4)
    config.write_text(
        f'chain = []\n[publish]\nevents = "tcp://127.0.0.1:{ports}"\n'
        f'[ingest]\nendpoint = "tcp://127.0.0.1:{ports + 3}"\n'
        f'[publish.curve]\nkey_file = "{house.keys["server"][1]}"\nallowed_clients = ["{house.allowed}"]\n'
    )
    process = start("serve", "--config", config)
    try:
        assert process.stdout is not None
        assert "audio in" in process.stdout.readline()
        house.let_in("bob")
        os.kill(process.pid, signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert "client keys were read again: 2 allowed, 1 new, 0 removed" in err
    assert process.returncode == 0
