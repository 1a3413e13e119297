"""StateFeed: the latest of each call to whoever has subscribed to it, on a thread of its own."""

import bisect
import contextlib
import threading
import time
from typing import Any, Literal

import zmq

from rtemo.io.publishers.history import History, Latest
from rtemo.io.sockets import Socket
from rtemo.io.subscriptions import Subscriptions
from rtemo.io.topics import call_prefix
from rtemo.io.wire import STATE_SCHEMA, CallState, ChannelState, LatestEvent, encode, utc_ms

_REPEAT_S = 1.0
_TURN_S = 0.01
_BUSY_S = 0.004  # spent on states in one turn: the interpreter belongs to the driver and to events first

_Channels = dict[str, tuple[str, bool, dict[str, Latest]]]


class StateFeed:
    """Sends the state of a call when something has changed, and once a second while the call is open.

    However many calls are remembered and however many prefixes are subscribed to, a turn takes a bounded time, and
    events are not delayed: they go out on another thread, and what the two share is locked only for copying.

    Args:
        socket: An XPUB socket that is bound; belongs to the feed's thread once it has been started.
        subscriptions: Those of the socket.
        history: Where the last values stand; written by another thread.
        tenant: Second part of every topic.
        epoch: Random name of this life of the publisher.
        interval_s: Least time between two states of one call.
        encoding: How states are written.
    """

    def __init__(
        self,
        socket: Socket,
        subscriptions: Subscriptions,
        history: History,
        tenant: str,
        epoch: str,
        interval_s: float,
        encoding: Literal["json", "msgpack"],
    ) -> None:
        self._socket = socket
        self._subscriptions = subscriptions
        self._history = history
        self._tenant = tenant
        self._epoch = epoch
        self._interval_s = interval_s
        self._encoding = encoding
        self._due: dict[str, None] = {}
        self._sent_s: dict[str, float] = {}
        self._repeated_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtemo-state", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Stop the thread; the socket may be closed afterwards."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        # A socket that was closed under us, since the publisher could not wait any longer, is no news to anybody.
        with contextlib.suppress(zmq.ZMQError):
            while not self._stop.wait(min(_TURN_S, self._interval_s / 2)):
                self.turn(time.monotonic())

    def turn(self, now_s: float) -> None:
        """See who has subscribed, and send what is due, for a few milliseconds at most."""
        new = self._subscriptions.serve()
        history = self._history
        with history.lock:
            changed, history.changed = history.changed, set()
        if not len(self._subscriptions):
            self._due.clear()
            self._sent_s.clear()
            return
        for call in changed:
            if call:
                self._due[call] = None
        if new:
            self._look_up(new)
        if now_s - self._repeated_s >= _REPEAT_S:
            self._repeated_s = now_s
            with history.lock:
                open_calls = [call for call, record in history.calls.items() if call and record.is_open]
                known = set(history.calls)
            self._due |= dict.fromkeys(call for call in open_calls if now_s - self._sent_s.get(call, 0.0) >= _REPEAT_S)
            self._sent_s = {call: sent_s for call, sent_s in self._sent_s.items() if call in known}
        self._send_due(now_s)

    def _look_up(self, prefixes: list[bytes]) -> None:
        """Make the calls due that somebody has just subscribed to."""
        with self._history.lock:
            calls = [call for call in self._history.calls if call]
        topics = sorted((call_prefix(self._tenant, call).encode(), call) for call in calls)
        for prefix in set(prefixes):
            index = bisect.bisect_left(topics, (prefix,))
            while index < len(topics) and topics[index][0].startswith(prefix):
                call = topics[index][1]
                if call not in self._due:
                    self._due[call] = None
                    self._sent_s.pop(call, None)
                index += 1
            if len(self._due) == len(topics):
                return

    def _send_due(self, now_s: float) -> None:
        until_s = time.monotonic() + _BUSY_S
        for call in list(self._due):
            if now_s - self._sent_s.get(call, -self._interval_s) < self._interval_s:
                continue
            del self._due[call]
            topic = call_prefix(self._tenant, call).encode()
            if not self._subscriptions.wants(topic):
                continue
            state = self._state_of(call)
            if state is not None:
                self._sent_s[call] = now_s
                with contextlib.suppress(zmq.Again):
                    self._socket.send(topic + b" " + encode(state, self._encoding), zmq.NOBLOCK)
            if time.monotonic() > until_s:
                return

    def _state_of(self, call: str) -> CallState[Any] | None:
        with self._history.lock:
            record = self._history.calls.get(call)
            if record is None:
                return None
            pub_seq = record.pub_seq
            channels: _Channels = {
                name: (channel.role, channel.is_open, dict(channel.latest)) for name, channel in record.channels.items()
            }
        return CallState(
            schema=STATE_SCHEMA,
            epoch=self._epoch,
            pub_seq=pub_seq,
            t_pub_ms=utc_ms(time.time_ns()),
            call=call,
            channels={
                name: ChannelState(
                    role=role,
                    is_open=is_open,
                    latest={
                        key: LatestEvent(
                            seq=item.event.seq,
                            t1_ms=item.event.t1_ms,
                            t_capture_ms=item.event.t_capture_ms,
                            data=item.event.data,
                        )
                        for key, item in latest.items()
                    },
                )
                for name, (role, is_open, latest) in channels.items()
            },
        )
