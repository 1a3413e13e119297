"""One call after another under the same name, connections that are cut, streams that hold a slot for nothing."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq

import rtemo
from rtemo.api import CapacityError
from rtemo.client import AudioSender
from rtemo.config import Config
from rtemo.engine.options import EngineOptions
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions
from tests.attack.server import LOUD, PACKET, RATE_HZ, Crowd
from tests.fakes.zmq_ends import ANY_PORT, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timed]


@contextmanager
def engine(capacity: int = 8, **options: float) -> Iterator[IngestSource]:
    """A running engine with an ingest."""
    ingest = IngestSource(IngestOptions(endpoint=ANY_PORT, **options))  # type: ignore[arg-type]
    config = Config(chain=("level",), engine=EngineOptions(capacity=capacity))
    with rtemo.Session(config, sources=[ingest]):
        yield ingest


class Proxy:
    """Forwards TCP, until its connections are cut."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, as a router that forgets them does."""
        pairs, self._pairs = self._pairs, []
        for end in pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


def test_same_name_again_right_after_ended_is_never_refused() -> None:
    with engine() as ingest, zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(str(ingest.endpoint))

        def ask(**request: str) -> str:
            client.send_json(request)
            while client.poll(3000):
                answer = json.loads(client.recv())
                if answer["op"] != "credit":
                    return str(answer["op"])
            raise AssertionError("no answer")

        sent = [ask(op=op, call="call") for _ in range(30) for op in ("open", "end")]
    assert sent == ["opened", "ended"] * 30


def test_calls_are_back_after_their_connections_were_cut() -> None:
    with engine() as ingest:
        proxy = Proxy(str(ingest.endpoint))
        with Crowd(proxy.endpoint, 4) as crowd:
            time.sleep(0.5)
            proxy.cut()
            cut_s = time.monotonic()
            assert wait_until(lambda: len(crowd.back_s) == 4, 10.0)
            assert max(crowd.back_s.values()) - cut_s < 2.0 + 3.0, "the old connection is given up after ingest.lost_s"
            crowd.stop()
            for stream in crowd.streams:
                account = stream.end()
                assert 0 < account.lost_samples <= stream.dropped_samples + stream.lost_samples + PACKET
        proxy.close()


def test_stream_that_never_has_audio_gives_its_slot_back_however_alive_it_says_it_is() -> None:
    with engine(capacity=1, first_audio_s=0.5) as ingest, AudioSender(str(ingest.endpoint)) as sender:
        held = sender.open("held", sample_rate_hz=RATE_HZ)
        with pytest.raises(CapacityError, match="in use"):
            sender.open("good", sample_rate_hz=RATE_HZ)
        for _ in range(10):
            held.pause(0)
            time.sleep(0.1)
        good = sender.open("good", sample_rate_hz=RATE_HZ)
        good.send(LOUD)
        assert [account.reason for account in held.accounts] == ["no audio"]
        assert good.end().received_samples == PACKET


def test_burst_of_openings_is_bounded_and_passes_by_itself() -> None:
    with engine(opens_per_s=20.0, open_burst=5) as ingest, AudioSender(str(ingest.endpoint)) as sender:
        begin_s = time.monotonic()
        for index in range(15):
            sender.open(f"call{index}", sample_rate_hz=RATE_HZ).end()
        assert 0.4 < time.monotonic() - begin_s < 10.0, "five at once, ten at 20 a second, and no error"
