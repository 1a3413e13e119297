"""Gateway: what every source that telephone systems connect to has in common."""

import asyncio
import importlib.util
import logging
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np

from rtemo.api import ConfigError, EndpointError, Fault, RtemoError, SourceCounts
from rtemo.api.text import plain
from rtemo.api.trouble import describe
from rtemo.io.allowance import Allowance
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.gateways.connection import Connection
from rtemo.io.gateways.counts import GatewayCounts
from rtemo.io.gateways.legs import LegDesk, Legs, why_not
from rtemo.io.gateways.options import GatewayOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.gateways.return_sink import ReturnSink
from rtemo.io.sockets import check_free

_TURN_S = 0.01  # between two looks at the network: what has come meanwhile is read and converted together
_IDLE_TURN_S = 0.04  # while there is nobody whose packets would wait for that
_ROUNDS = 3  # of the loop: sockets are read, who waited for that goes on, and what he set off
_WATCH_S = 0.25
_LINES_PER_S = 2.0
_LINE_BURST = 20.0
_CLOSE_S = 0.5
_HANG_UP_S = 2.0
_log = logging.getLogger(__name__)


class Gateway:
    """Runs the connections of its peers on an event loop within `pump`, so that one thread does everything.

    A peer that misbehaves is closed, counted and told in one line (a `fault` event); those lines are limited, so that
    who does it often does not fill the log.

    Args:
        options: Endpoint, times and limits.
        endpoint: Where to bind.
        reorder_s: How long a packet is held while one before it is missing; 0 where everything comes in order.

    Attributes:
        endpoint: As bound; None until `open`.
        counts: What has come to the door.
    """

    name: ClassVar[str] = "gateway"

    def __init__(self, options: GatewayOptions, endpoint: str, reorder_s: float = 0.0) -> None:
        self.endpoint: Endpoint | None = None
        self.counts = GatewayCounts()
        self.is_draining = False
        self._common = options
        self._wanted = endpoint
        self._reorder_s = reorder_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines = Allowance(_LINES_PER_S, _LINE_BURST, time.monotonic())
        self._watched_s = 0.0
        self._connections: dict[Connection, None] = {}  # the one that came first in front
        self._closing: set[asyncio.Task[None]] = set()
        self._returns: ReturnSink | None = None
        self.legs: Legs
        self._desk: LegDesk

    @property
    def endpoints(self) -> Mapping[str, object]:
        """Where it is reached, by name, once it is open."""
        return {} if self.endpoint is None else {self.name: self.endpoint}

    @property
    def options(self) -> GatewayOptions:
        """Endpoint, times and limits, as given."""
        return self._common

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`."""
        return self._common.drain_s

    @property
    def count_streams(self) -> int:
        """Streams that peers have open."""
        return len(self.legs) if self._loop is not None else 0

    def source_counts(self) -> SourceCounts:
        """Give what has come to the door, for `health`. Any thread."""
        return SourceCounts(name=self.name, **msgspec.structs.asdict(self.counts))

    def check(self) -> Endpoint:
        """Tell the endpoint, before the seconds of warming up.

        Raises:
            EndpointError: It is in use, impossible, or open to the network without encryption.
            ConfigError: An option is missing.
        """
        endpoint = parse_endpoint(self._wanted)
        if endpoint.transport != "tcp":
            raise EndpointError(f"got endpoint {endpoint}, telephone systems need an address", "write tcp://HOST:PORT")
        if not (endpoint.is_local or self._common.insecure_plaintext or self._is_encrypted()):
            raise EndpointError(
                f"{endpoint} can be reached from other machines and would carry plain text",
                f"bind 127.0.0.1, or set sources.{self.name}.insecure_plaintext = true on a network that is yours",
            )
        self._check_free(endpoint)
        return endpoint

    def open(self, desk: LegDesk) -> None:
        """Bind the socket.

        Raises:
            EndpointError: See `check`.
            ConfigError: See `check`.
        """
        endpoint = self.check()
        self._desk = desk
        self.legs = Legs(desk, self.name, self._common, self._reorder_s)
        lane = self.legs.lanes.admit(8_000)  # the first packet must not wait for the filter to be compiled
        lane.convert(np.zeros(160, np.float32))
        self.legs.lanes.retire(lane)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._trouble)
        try:
            port = self._loop.run_until_complete(self.listen(endpoint.host.strip("[]"), endpoint.port))
        except OSError as error:
            self.close()
            raise EndpointError(f"{endpoint} cannot be bound ({error.strerror})", "choose another port") from None
        except BaseException:
            self.close()
            raise
        self.endpoint = endpoint._replace(port=port)

    def pump(self) -> float | None:
        """Serve all connections with what has come; never ends by itself.

        A loop that wakes for every packet costs five times as much, and whoever else needs the interpreter waits for
        it each time: with 50 calls of two tracks that is the driver, 5,000 times a second.
        """
        loop = self._loop
        assert loop is not None, "open comes first"
        loop.run_until_complete(self._turn())
        self.legs.serve()
        now_s = time.monotonic()
        if now_s - self._watched_s > _WATCH_S:
            self._watched_s = now_s
            self.legs.watch()
            self.watch(now_s)
        return _TURN_S if len(self.legs) or self._connections else _IDLE_TURN_S

    async def _turn(self) -> None:
        if self._returns is not None:
            self._returns.deliver()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    def drain(self) -> None:
        """Take no new calls from now on; those that are open go on. Any thread."""
        self.is_draining = True

    def close(self) -> None:
        """End all streams and free the socket."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        self.legs.end_all("source closed")
        try:
            loop.run_until_complete(asyncio.wait_for(self.hang_up(), _CLOSE_S))
        except (TimeoutError, OSError):
            pass  # peers that do not answer are left
        finally:
            loop.run_until_complete(_cancel_all())
            loop.close()

    def complain(self, peer: str, problem: str, action: str = "closed") -> None:
        """Tell in one line what a peer did wrong."""
        if self._lines.take(time.monotonic()):
            self._desk.report(Fault(where=self.name, problem=plain(f"{peer} {problem}", 300), action=action))

    async def listen(self, host: str, port: int) -> int:
        """Bind; returns the port."""
        raise NotImplementedError

    async def hang_up(self) -> None:
        """Close every connection."""

    def watch(self, now_s: float) -> None:
        """Close connections that are silent, or have not said which call they bring."""
        for connection in list(self._connections):
            if not connection.has_call and now_s - connection.began_s > self._common.hello_s:
                self.break_off(connection, f"has not begun a call for {self._common.hello_s:g} s")
            elif now_s - connection.heard_s > self._common.idle_s:
                self.break_off(connection, f"was silent for {self._common.idle_s:g} s")

    def turned_away(self) -> str:
        """Say why nobody new is let in, or nothing."""
        if self.is_draining:
            return "came while this server is about to stop"
        if len(self._connections) >= self._common.max_connections:
            silent = next((one for one in self._connections if not one.has_call), None)
            if silent is None:
                return f"came while all {self._common.max_connections} connections are in use"
            self.break_off(silent, "had not begun a call when all connections were in use")
        return ""

    def refuse(self, peer: str, problem: str) -> None:
        """Count and tell that a peer was turned away."""
        self.counts.refused += 1
        self.complain(peer, problem, "refused")

    def admit(self, connection: Connection) -> None:
        """Take note of a peer that was let in."""
        self._connections[connection] = None
        self.counts.connections += 1

    def release(self, connection: Connection) -> None:
        """Take note that a peer is gone: its streams end, or wait to be taken up again."""
        self._connections.pop(connection, None)
        for call, path in connection.paths:
            if self._returns is not None:
                self._returns.forget(call, path)
        for leg in connection.legs.values():
            if leg is None or leg.owner is not connection:
                continue
            if connection.end_reason:
                self.legs.end(leg, connection.end_reason)
            else:
                self.legs.lose(leg, connection)

    def break_off(self, connection: Connection, problem: str) -> None:
        """Close the connection of a peer that misbehaves."""
        self._connections.pop(connection, None)
        if connection.is_broken:
            return  # what follows from closing it is no second fault
        connection.is_broken = True
        self.counts.broken += 1
        self.complain(connection.peer, problem)
        self._close_soon(connection, problem, is_broken=True)

    async def open_leg(self, connection: Connection, call: str, channel: str, role: str, rate_hz: int) -> None:
        """Open one party's stream; one that the policy does not let in is left out, the others go on."""
        try:
            leg, before = await self.legs.open(call, channel, role, rate_hz, connection)
        except PeerError:
            raise
        except RtemoError as error:
            connection.legs[channel] = None
            self.complain(connection.peer, f"brings a party that is not taken: {why_not(error)}", "left out")
            return
        connection.legs[channel] = leg
        if isinstance(before, Connection) and before is not connection:
            before.legs = {name: held for name, held in before.legs.items() if held is not leg}
            if not before.legs:
                self._close_soon(before, "taken up by another connection", is_broken=False)

    def send_back(self, call: str, path: ReturnPath, *, hears_assistant: bool = True) -> None:
        """Let audio go back to who brings a party, where that is asked for and the party was let in.

        Args:
            call: Name of the call.
            path: The way back.
            hears_assistant: Whether the party is the one that an assistant speaks to.
        """
        if self._returns is not None and path.connection.legs.get(path.channel) is not None:
            paths = path.connection.paths
            paths[:] = [(of, other) for of, other in paths if other.channel != path.channel]
            paths.append((call, path))
            self._returns.give(call, path, hears_assistant)

    def drop(self, connection: Connection) -> None:
        """Count a packet of a peer that sends far too fast, and say so once."""
        self.counts.dropped += 1
        if not connection.is_surplus_told:
            connection.is_surplus_told = True
            self.complain(connection.peer, "sends audio far faster than real time; the surplus is dropped", "dropped")

    def _close_soon(self, connection: Connection, reason: str, is_broken: bool) -> None:
        if self._loop is not None and connection.closing is None:  # a gateway that closes hangs up everywhere
            connection.closing = task = self._loop.create_task(_hang_up(connection, reason, is_broken))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell what went wrong on the loop itself, as a connection that could not be taken: no open files are left."""
        error = context.get("exception")
        if error is not None:
            _log.debug("on the loop of %s", self.name, exc_info=error)
        reason = "" if error is None else f" ({describe(error)})"
        self.complain("a connection", f"could not be served: {context.get('message', '')}{reason}", "dropped")

    def _is_encrypted(self) -> bool:
        return False

    def _check_free(self, endpoint: Endpoint) -> None:
        check_free(endpoint, f"sources.{self.name}.endpoint")


async def _hang_up(connection: Connection, reason: str, is_broken: bool) -> None:
    """Close a connection, within a bound: a peer that takes nothing would be waited for for ever."""
    try:
        await asyncio.wait_for(connection.hang_up(reason, is_broken), _HANG_UP_S)
    except TimeoutError:
        connection.cut_off()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def need(module: str, extra: str, what: str) -> None:
    """Refuse to go on without a package.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise ConfigError(f"{what} needs the package {module}", f"run: pip install 'rtemo[{extra}]'")
