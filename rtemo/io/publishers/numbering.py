"""Numbering: turns the engine's events into wire events with epoch, sequence numbers and times."""

import secrets
import time

from rtemo.api import Event, SessionStart, StreamFormat, StreamStart
from rtemo.api.units import samples_to_ms
from rtemo.io.topics import event_topic
from rtemo.io.wire import EVENT_SCHEMA, EventPolicy, WireEvent, utc_ms


class Numbering:
    """Counts events per topic and over all topics, for one life of a publisher.

    The engine's own `seq` counts all kinds of a stream together, so somebody who reads one kind could not
    tell a loss from a kind left out; hence a number per topic. A topic keeps counting until `forget`.

    Args:
        tenant: Second part of every topic.
        purpose: What the results are used for, stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.

    Attributes:
        epoch: Random name of this life.
        pub_seq: Number of the last event.
    """

    def __init__(self, tenant: str, purpose: str = "", format: StreamFormat | None = None) -> None:
        self.epoch = secrets.token_hex(8)
        self.pub_seq = 0
        self._tenant = tenant
        self._policy = EventPolicy(purpose=purpose) if purpose else None
        self._rate_hz = (format or StreamFormat()).sample_rate_hz
        self._topics: dict[str, dict[tuple[str, str], Topic]] = {}
        self._roles: dict[str, dict[str, str]] = {}

    def number(self, event: Event) -> "tuple[Topic, WireEvent[object]]":
        """Give the topic and the wire form of the next event."""
        kind, data = event.kind, event.data
        if type(data) is StreamStart:
            self._roles.setdefault(event.call, {})[event.channel] = data.role
        elif type(data) is SessionStart:
            self._rate_hz = data.sample_rate_hz
        topics = self._topics.get(event.call)
        if topics is None:
            topics = self._topics[event.call] = {}
        topic = topics.get((event.channel, kind))
        if topic is None:
            name = event_topic(self._tenant, event.call, event.channel, kind)
            topic = topics[event.channel, kind] = Topic(name)
        topic.seq += 1
        self.pub_seq += 1
        now_ns = time.time_ns()
        capture_ns = event.capture_ns
        return topic, WireEvent(
            schema=EVENT_SCHEMA,
            epoch=self.epoch,
            seq=topic.seq,
            pub_seq=self.pub_seq,
            stream_seq=event.seq,
            call=event.call,
            channel=event.channel,
            role=self._roles.get(event.call, {}).get(event.channel, ""),
            kind=kind,
            plugin=event.plugin,
            start_sample=event.start_sample,
            end_sample=event.end_sample,
            t0_ms=samples_to_ms(event.start_sample, self._rate_hz),
            t1_ms=samples_to_ms(event.end_sample, self._rate_hz),
            t_capture_ms=utc_ms(capture_ns) if capture_ns else None,
            t_pub_ms=utc_ms(now_ns),
            age_ms=(now_ns - capture_ns) // 1000 / 1000 if capture_ns else None,
            policy=self._policy,
            data=data,
        )

    def seqs(self, call: str) -> dict[str, int]:
        """Tell the last number of every topic of a call."""
        return {topic.name: topic.seq for topic in self._topics.get(call, {}).values()}

    def forget(self, call: str, channel: str | None = None) -> None:
        """Drop what is known about a call, or a channel of it; its topics would begin again at 1."""
        if channel is None:
            self._topics.pop(call, None)
            self._roles.pop(call, None)
            return
        topics = self._topics.get(call, {})
        for key in [key for key in topics if key[0] == channel]:
            del topics[key]
        if not topics:
            self._topics.pop(call, None)
        roles = self._roles.get(call, {})
        roles.pop(channel, None)
        if not roles:
            self._roles.pop(call, None)


class Topic:
    """A topic and the number of its last event.

    Attributes:
        name: The topic as text.
        frame: The topic as the first frame of a message.
        seq: Number of the last event.
    """

    __slots__ = ("frame", "name", "seq")

    def __init__(self, name: str) -> None:
        self.name = name
        self.frame = name.encode()
        self.seq = 0
