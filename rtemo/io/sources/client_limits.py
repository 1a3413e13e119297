"""ClientLimits: what each connection of an ingest may ask for, so that one that asks too much costs only itself."""

from rtemo.io.allowance import Allowance

_ANSWERS_PER_S = 20.0
_ANSWER_BURST = 40.0
_ALL_ANSWERS_PER_S = 4_000.0  # over all clients: more would only help who floods from many connections
_MAX_CLIENTS = 16_384  # remembered without a stream of theirs being open


class Client:
    """What is known about one connection.

    Attributes:
        streams: Streams it holds open.
    """

    __slots__ = ("answers", "opens", "streams")

    def __init__(self, opens_per_s: float, open_burst: int, now_s: float) -> None:
        self.streams = 0
        self.opens = Allowance(opens_per_s, open_burst, now_s)
        self.answers = Allowance(_ANSWERS_PER_S, _ANSWER_BURST, now_s)


class ClientLimits:
    """Keeps a token bucket of openings and one of complaints for every client.

    Args:
        opens_per_s: Streams a client may open each second in the long run.
        open_burst: Streams it may open at once.
    """

    def __init__(self, opens_per_s: float, open_burst: int) -> None:
        self._opens_per_s = opens_per_s
        self._open_burst = open_burst
        self._clients: dict[bytes, Client] = {}
        self._answers = Allowance(_ALL_ANSWERS_PER_S, _ALL_ANSWERS_PER_S, 0.0)

    @property
    def holders(self) -> dict[bytes, int]:
        """Clients that hold streams, and how many."""
        return {address: client.streams for address, client in self._clients.items() if client.streams}

    def of(self, address: bytes, now_s: float) -> Client:
        """Give the record of a client, a new one if it is not known."""
        client = self._clients.get(address)
        if client is None:
            if len(self._clients) >= _MAX_CLIENTS:
                self.prune(now_s, must=True)
            client = self._clients[address] = Client(self._opens_per_s, self._open_burst, now_s)
        return client

    def may_answer(self, address: bytes, now_s: float) -> bool:
        """Tell whether a client may be told about another mistake of its."""
        return self.of(address, now_s).answers.take(now_s) and self._answers.take(now_s)

    def prune(self, now_s: float, must: bool = False) -> None:
        """Forget clients without streams that would get a full bucket anyway; `must`: the others too."""
        self._clients = {
            address: client
            for address, client in self._clients.items()
            if client.streams or not (must or (client.opens.is_full(now_s) and client.answers.is_full(now_s)))
        }
