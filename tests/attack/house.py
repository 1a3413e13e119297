"""House: the ingest and the engine with their real clients on virtual time; server, clients and network can be held."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from rtemo.api.errors import EndpointError
from rtemo.engine.clock import Doorbell
from rtemo.io.audio_wire import End, Open, Request, Response, decode_response, encode_control
from rtemo.io.sender_link import Listener
from rtemo.io.sender_stream import SenderStream
from rtemo.io.sources.ingest_desk import IngestDesk
from rtemo.io.zmq_options import IngestOptions
from tests.engine.rig import Rig, Timetable

MS = 1_000_000
S = 1_000 * MS
RATE_HZ = 16_000
PACKET = 320
PACKET_NS = 20 * MS


class WireLink:
    """What `SenderLink` is to a stream, over a network that takes its time."""

    def __init__(self, house: "House", client: bytes) -> None:
        self.timeout_s = 5.0
        self.listeners: dict[tuple[str, str], Listener] = {}
        self.answers: list[tuple[int, bytes]] = []
        self.heard: list[tuple[int, Response]] = []
        self.change: Callable[[bytes], list[bytes]] | None = None
        self._house = house
        self._client = client

    def now_s(self) -> float:
        return self._house.clock.now_ns() / 1e9

    def post(self, request: Request) -> None:
        self._house.carry(self._client, encode_control(request))

    def send(self, packet: bytes, wait_s: float) -> bool:
        for message in [packet] if self.change is None else self.change(packet):
            self._house.carry(self._client, message)
        return True

    def post_end(self, call: str) -> None:
        self.post(End(call=call))

    def listen(self, wait_s: float = 0.0) -> None:
        now_ns = self._house.clock.now_ns()
        while self.answers and self.answers[0][0] <= now_ns:
            response = decode_response(self.answers.pop(0)[1])
            self.heard.append((now_ns, response))
            listener = self.listeners.get((getattr(response, "call", ""), getattr(response, "channel", "")))
            if listener is not None:
                listener.hear(response)

    def unreachable(self) -> EndpointError:
        return EndpointError("nobody answers")


class Caller:
    """A live client with one call: a packet of 20 ms every 20 ms, each of its own constant value.

    Attributes:
        sent_ns: When each packet was made.
        heard_ns: When the engine worked on its first hop; 0 while it has not.
        is_held: Whether the client is stopped.
        is_over: Whether it sends nothing any more.
    """

    def __init__(self, house: "House", call: str) -> None:
        self.call = call
        self.sent_ns: list[int] = []
        self.heard_ns: list[int] = []
        self.is_held = False
        self.is_over = False
        self.link = WireLink(house, call.encode())
        self.stream = SenderStream(self.link, Open(call=call, sample_rate_hz=RATE_HZ))
        self._house = house
        self._missed = 0
        self.link.post(self.stream._request)

    def speak(self) -> None:
        """Send the packet that is due; a client that was held sends what it captured meanwhile at once."""
        if self.is_over:
            return
        self.sent_ns.append(self._house.clock.now_ns())
        self.heard_ns.append(0)
        if self.is_held:
            self._missed += 1
            return
        first = len(self.sent_ns) - 1 - self._missed
        self._missed = 0
        for number in range(first, len(self.sent_ns)):
            self.stream.send(np.full(PACKET, number + 1, np.int16), wait=False)

    def lost(self, from_ns: int, to_ns: int) -> int:
        """Packets made in that time that were never heard."""
        return sum(
            not heard for sent, heard in zip(self.sent_ns, self.heard_ns, strict=True) if from_ns <= sent < to_ns
        )

    def delay_ms(self, from_ns: int, to_ns: int) -> float:
        """Longest time from making a packet to working on it, of those made in that time and heard."""
        return max(
            (heard - sent) / MS
            for sent, heard in zip(self.sent_ns, self.heard_ns, strict=True)
            if heard and from_ns <= sent < to_ns
        )


class House(Rig):
    """Engine, ingest and callers.

    Args:
        tick_ms: What a tick of the chain costs, by the number of streams.
        delay_ms: Of the network, each way.
        seed: Of phases and jitter.
        options: Settings of the ingest.
    """

    def __init__(
        self,
        *,
        tick_ms: Callable[[int], float] = lambda n: 0.1,
        delay_ms: float = 1.0,
        seed: int = 1,
        options: IngestOptions | None = None,
    ) -> None:
        super().__init__(clock=Timetable(), health_interval_s=1e6, capacity=128)
        self.rng = np.random.default_rng(seed)
        self.callers: dict[str, Caller] = {}
        self.is_network_held = False
        self._tick_ms = tick_ms
        self._delay_ns = round(delay_ms * MS)
        self._is_held = False
        self._inbox: list[tuple[int, bytes, bytes]] = []
        self._stuck: list[tuple[bytes, bytes]] = []
        self._errors: dict[str, list[Response]] = defaultdict(list)
        self.ingest = IngestDesk(self.engine, options or IngestOptions(), self._answer)
        self.clock.every(5 * MS, self._pump, 0, 10_000 * S)

    def join(self, count: int, prefix: str = "c") -> list[Caller]:
        """Let callers come in, each at a phase of its own."""
        made = []
        for index in range(count):
            caller = self.callers[f"{prefix}{index}"] = Caller(self, f"{prefix}{index}")
            start_ns = self.clock.now_ns() + int(self.rng.uniform(5 * MS, 25 * MS))
            self.clock.every(PACKET_NS, caller.speak, start_ns, start_ns + 10_000 * S)
            made.append(caller)
        return made

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        until_ns = self.clock.now_ns() + round(duration_s * S)
        while self.clock.now_ns() < until_ns:
            if self.step():
                self.clock.advance(round(self._tick_ms(len(self.engine.floor.rows)) * MS))

    def hold(self, duration_s: float) -> None:
        """Stop the server as a debugger or SIGSTOP would: the rest of the world goes on."""
        self._is_held = True
        self.clock.wait(Doorbell(self.clock), self.clock.now_ns() + round(duration_s * S))
        self._is_held = False

    def hold_network(self, duration_s: float) -> None:
        """Let nothing through; what was sent arrives afterwards, as TCP would have it."""
        self.is_network_held = True
        self.run(duration_s)
        self.is_network_held = False
        for client, message in self._stuck:
            self.carry(client, message)
        self._stuck.clear()

    def carry(self, client: bytes, message: bytes) -> None:
        """Take a message to the server."""
        if self.is_network_held:
            self._stuck.append((client, message))
        else:
            self._inbox.append((self.clock.now_ns() + self._delay_ns, client, message))

    def _answer(self, client: bytes, response: Response) -> None:
        link = self.callers[client.decode()].link
        link.answers.append((self.clock.now_ns() + self._delay_ns, encode_control(response)))

    def _pump(self) -> None:
        if self._is_held:
            return
        now_ns = self.clock.now_ns()
        due = [item for item in self._inbox if item[0] <= now_ns]
        self._inbox = [item for item in self._inbox if item[0] > now_ns]
        for _, client, message in due:
            self.ingest.take(client, message, now_ns / 1e9, now_ns)
        self.ingest.serve(now_ns / 1e9, now_ns)
        if now_ns // (200 * MS) != (now_ns - 5 * MS) // (200 * MS):
            self.ingest.watch(now_ns / 1e9)

    def _hear(self, call: str, channel: str, start_sample: int, hop: np.ndarray) -> None:
        number = round(float(hop[0]) * 32_768) - 1
        caller = self.callers[call]
        if 0 <= number < len(caller.heard_ns) and hop[0] == hop[-1] and not caller.heard_ns[number]:
            caller.heard_ns[number] = self.clock.now_ns()
