"""WebhookPublisher: alerts as signed HTTP requests; a target that is down or slow holds up nobody."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from rtemo.api import Alert, Event, RtemoError, StreamEnd, StreamFormat
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.publishers.webhook_message import WebhookMessage
from rtemo.io.publishers.webhook_options import WebhookOptions, WebhookTarget
from rtemo.io.publishers.webhook_request import Sender, read_secrets, read_url
from rtemo.io.wire import WireEvent, encode

_CLOSE_S = 0.5
_JITTER = 0.5
_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    message_id: str
    body: bytes
    since_s: float


class Delivery:
    """Sends to one target on a thread of its own, oldest first.

    After a failure the whole target is left alone for a while, twice as long each time, with jitter. An event is given
    up after so many attempts or so much time, or when the target says that it is the event which is wrong.

    Args:
        target: Where to, and what.
        options: Bounds.

    Attributes:
        delivered: Events the target has taken.
        dropped: Events given up: no room, too old, too often in vain, refused.
        is_gone: Whether the target has said that it wants nothing any more (410).

    Raises:
        EndpointError: The target cannot be used.
    """

    def __init__(self, target: WebhookTarget, options: WebhookOptions) -> None:
        self.delivered = 0
        self.dropped = 0
        self.is_gone = False
        self._target = target
        self._options = options
        url = read_url(target.url, target.insecure_plaintext)
        self._name = target.name or str(url.hostname)
        self._sender = Sender(url, read_secrets(Path(target.secret_file)), target.ca_file, options.timeout_s)
        self._queue: deque[_Waiting] = deque()
        self._news = threading.Condition()
        self._is_closing = False
        self._is_down = False
        self._sending_since_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"rtemo webhook {self._name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wants(self, event: WireEvent[Any]) -> bool:
        """Whether an event goes to this target."""
        target = self._target
        if event.kind not in target.kinds or not event.call.startswith(target.calls):
            return False
        return not target.rules or not isinstance(event.data, Alert) or event.data.rule in target.rules

    def offer(self, message_id: str, body: bytes) -> None:
        """Queue a message; never waits."""
        with self._news:
            if self.is_gone:
                return
            if len(self._queue) >= self._options.queue_events:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(_Waiting(message_id, body, time.monotonic()))
            self._news.notify()

    def tick(self) -> None:
        """End a request that takes longer than it may, however slowly something comes."""
        since_s = self._sending_since_s
        if since_s and time.monotonic() - since_s > self._options.timeout_s:
            self._sender.abort()

    def close(self, until_s: float) -> None:
        """Send what waits until then, and end.

        Args:
            until_s: On the monotonic clock.
        """
        with self._news:
            self._is_closing = True
            self._news.notify()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, until_s - time.monotonic()))
            if self._thread.is_alive():
                self._sender.abort()
        left = len(self._queue)
        if left:
            _log.warning("webhook %s: %d events were not sent before the end", self._name, left)

    def _run(self) -> None:
        failures = tries = 0
        tried = None
        while (first := self._next()) is not None:
            tries = tries if first is tried else 0
            tried = first
            if time.monotonic() - first.since_s > self._options.max_age_s:
                self._give_up(first, "it is too old")
                continue
            self._sending_since_s = time.monotonic()
            answer = self._sender.send(first.message_id, first.body)
            self._sending_since_s = 0.0
            tries += 1
            if answer.is_gone:
                self._stop_for_good()
                return
            if answer.is_taken or answer.is_refused:
                failures = 0
                if self._is_down:
                    self._is_down = False
                    _log.warning("webhook %s answers again", self._name)
            if answer.is_taken:
                self.delivered += 1
                self._remove(first)
            elif answer.is_refused:
                self._give_up(first, f"the target {answer.what}")
            else:
                failures += 1
                if not self._is_down:
                    self._is_down = True
                    _log.warning("webhook %s %s; it is tried again", self._name, answer.what)
                if tries >= self._options.attempts:
                    self._give_up(first, f"the target {answer.what}")
                self._rest(max(self._wait_s(failures), answer.wait_s))

    def _wait_s(self, failures: int) -> float:
        wait_s = min(self._options.most_wait_s, self._options.first_wait_s * 2.0 ** min(failures - 1, 30))
        return wait_s * random.uniform(1 - _JITTER, 1 + _JITTER)

    def _next(self) -> _Waiting | None:
        """Wait for the oldest message; None at the end."""
        with self._news:
            while not self._queue and not self._is_closing:
                self._news.wait()
            # At the end a target that is down is not tried again: nobody waits for it.
            return self._queue[0] if self._queue and not (self._is_closing and self._is_down) else None

    def _remove(self, message: _Waiting) -> bool:
        with self._news:
            is_there = bool(self._queue) and self._queue[0] is message  # it may have made room for newer ones
            if is_there:
                self._queue.popleft()
            return is_there

    def _give_up(self, message: _Waiting, reason: str) -> None:
        self.dropped += self._remove(message)
        _log.warning("webhook %s: event %s is given up: %s", self._name, message.message_id, reason)

    def _stop_for_good(self) -> None:
        with self._news:
            self.is_gone = True
            self.dropped += len(self._queue)
            self._queue.clear()
        _log.warning("webhook %s answers 410: nothing is sent to it any more", self._name)

    def _rest(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        with self._news:
            while not self._is_closing and (left_s := until_s - time.monotonic()) > 0:
                self._news.wait(left_s)


class WebhookPublisher:
    """Sends alerts as signed HTTP requests (Standard Webhooks), with retries, to one or several targets.

    Args:
        options: Targets and bounds.
        purpose: What the results are used for; stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.

    Attributes:
        deliveries: One for each target.
    """

    name = "webhook"
    options_type: ClassVar[type[WebhookOptions]] = WebhookOptions

    def __init__(
        self, options: WebhookOptions | None = None, *, purpose: str = "", format: StreamFormat | None = None
    ) -> None:
        self._options = options or WebhookOptions()
        self._numbering = Numbering("main", purpose, format)
        self.deliveries: list[Delivery] = []

    def check(self) -> None:
        """Look at targets, secrets and certificates, before the seconds of warming up.

        Raises:
            RtemoError: There is no target, or one cannot be used.
        """
        self._made()

    def open(self) -> None:
        """Start a thread for each target.

        Raises:
            RtemoError: See `check`.
        """
        self.deliveries = self._made()
        for delivery in self.deliveries:
            delivery.start()

    def publish(self, events: Sequence[Event]) -> None:
        """Queue the events that a target wants; never waits."""
        for event in events:
            wire = self._numbering.number(event)[1]
            wanting = [delivery for delivery in self.deliveries if delivery.wants(wire)]
            if wanting:
                message_id = f"{wire.epoch}-{wire.pub_seq}"
                body = _body(wire)
                for delivery in wanting:
                    delivery.offer(message_id, body)
            if type(event.data) is StreamEnd:
                self._numbering.forget(event.call, event.channel)

    def tick(self) -> None:
        """End requests that take too long."""
        for delivery in self.deliveries:
            delivery.tick()

    def close(self) -> None:
        """Send what waits for half a second, and end; what is left is lost, and logged."""
        deliveries, self.deliveries = self.deliveries, []
        until_s = time.monotonic() + _CLOSE_S
        for delivery in deliveries:
            delivery.close(until_s)

    def _made(self) -> list[Delivery]:
        if not self._options.targets:
            raise RtemoError(
                "the publisher 'webhook' has no target", "add [[publishers.webhook.targets]], see docs/web.md"
            )
        return [Delivery(target, self._options) for target in self._options.targets]


def _body(event: WireEvent[Any]) -> bytes:
    """Write what is sent."""
    happened = datetime.fromtimestamp(event.t_pub_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(
        WebhookMessage(type=f"rtemo.{event.kind}", timestamp=happened, data=msgspec.Raw(encode(event)))
    )
