"""Hub: hands what comes from the engine to every client, each behind a bounded queue; nobody waits for anybody."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from rtemo.io.web.access import Access, Tokens
from rtemo.io.web.link import BEAT, EVENT, Frame
from rtemo.io.web.live import Live
from rtemo.io.web.messages import EventSnapshot, RowSnapshot, RowUpdate
from rtemo.io.web.options import WebOptions
from rtemo.io.web.recent import Kept, Recent
from rtemo.io.wire import utc_ms

_FORGET_S = 1.0
_encode = msgspec.json.encode


class EventClient:
    """Somebody who wants events.

    One that falls behind by more than its queue holds loses what is in it, and gets the last values of all kinds in
    their place as soon as it reads again.

    Args:
        access: What it may see.
        calls: Names of calls it wants; empty for all.
        kinds: Kinds it wants; empty for all.
        queue_events: Most that waits for it.

    Attributes:
        evictions: How often it was too slow.
        needs_snapshot: Whether it gets a snapshot next.
        wake: Set when there is something for it.
    """

    def __init__(self, access: Access, calls: Collection[str], kinds: Collection[str], queue_events: int) -> None:
        self.access = access
        self.evictions = 0
        self.needs_snapshot = False
        self.is_closed = False
        self.wake = asyncio.Event()
        self._calls = frozenset(calls)
        self._kinds = frozenset(kinds)
        self._queue: deque[Kept] = deque()
        self._queue_events = queue_events

    def wants(self, kept: Kept) -> bool:
        """Whether it asked for such an event, and may see it."""
        return (
            (not self._kinds or kept.kind in self._kinds)
            and (not self._calls or kept.call in self._calls)
            and self.access.sees(kept.call)
        )

    def wants_call(self, call: str) -> bool:
        """Whether it asked for a call, and may see it."""
        return (not self._calls or call in self._calls) and self.access.sees(call)

    def offer(self, kept: Kept) -> None:
        """Queue an event that it wants."""
        if self.needs_snapshot or not self.wants(kept):
            return
        if len(self._queue) >= self._queue_events:
            self._queue.clear()
            self.needs_snapshot = True
            self.evictions += 1
        else:
            self._queue.append(kept)
        self.wake.set()

    def take(self) -> list[Kept]:
        """Take what waits."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def close(self) -> None:
        """Have its connection closed."""
        self.is_closed = True
        self.wake.set()


class RowClient:
    """Somebody who wants the rows of the wall: only the last of each, so that nothing can pile up.

    Attributes:
        due: Calls whose rows it has not got yet.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self.needs_snapshot = True
        self.is_closed = False
        self.wake = asyncio.Event()
        self.wake.set()
        self.due: dict[str, None] = {}
        self.gone: set[str] = set()

    def close(self) -> None:
        """Have its connection closed."""
        self.is_closed = True
        self.wake.set()


class Hub:
    """Everything between the link and the clients.

    Args:
        options: Bounds.
        tokens: Who may read; read again when their file changes.

    Attributes:
        live: Present state.
        recent: The last events.
        on_event: Called for every event, for metrics.
    """

    def __init__(self, options: WebOptions, tokens: Tokens) -> None:
        self.options = options
        self.tokens = tokens
        self.live = Live(options.max_calls, options.keep_ended_s)
        self.recent = Recent(options.replay_bytes)
        self.on_event: Callable[[Any], None] = lambda arrived: None
        self._evictions = 0
        self._events: set[EventClient] = set()
        self._rows: set[RowClient] = set()
        self._row_bytes: dict[str, bytes] = {}
        self._forgot_s = 0.0

    @property
    def clients(self) -> dict[str, int]:
        """Kind of client → how many there are."""
        return {"events": len(self._events), "rows": len(self._rows)}

    @property
    def evictions(self) -> int:
        """How often a client was too slow and lost what waited for it."""
        return self._evictions + sum(client.evictions for client in self._events)

    def take(self, frame: Frame) -> None:
        """Take a message of the link."""
        if frame.what == BEAT:
            self.live.beat()
        elif frame.what == EVENT:
            arrived = self.live.take(frame.key, frame.message)
            event = arrived.event
            kept = Kept(event.pub_seq, event.call, event.kind, frame.message)
            self.recent.add(kept)
            self.on_event(arrived)
            for client in self._events:
                client.offer(kept)

    def add_events(self, access: Access, calls: Collection[str], kinds: Collection[str]) -> EventClient:
        """Let in somebody who wants events."""
        client = EventClient(access, calls, kinds, self.options.client_events)
        self._events.add(client)
        return client

    def add_rows(self, access: Access) -> RowClient:
        """Let in somebody who wants rows."""
        client = RowClient(access)
        self._rows.add(client)
        return client

    def drop(self, client: EventClient | RowClient) -> None:
        """Forget somebody."""
        if isinstance(client, EventClient):
            self._evictions += client.evictions
            self._events.discard(client)
        else:
            self._rows.discard(client)

    async def run(self) -> None:
        """Tell who wants rows what has changed, and see to what is due now and then, for ever."""
        while True:
            await asyncio.sleep(self.options.update_s)
            self.turn(time.monotonic())

    def turn(self, now_s: float) -> None:
        """Do one turn of `run`."""
        live = self.live
        if now_s - self._forgot_s >= _FORGET_S:
            self._forgot_s = now_s
            live.forget()
            if self.tokens.read_again():
                self._put_out()
        changed, live.changed = live.changed, {}
        gone, live.gone = live.gone, set()
        for call in (*changed, *gone):
            self._row_bytes.pop(call, None)
        for client in self._rows:
            sees = client.access.sees
            client.due |= {call: None for call in changed if sees(call)}
            if gone:
                client.gone |= {call for call in gone if sees(call)}
                client.due = {call: None for call in client.due if call not in gone}
            client.wake.set()  # with nothing new it is a sign of life

    def _put_out(self) -> None:
        """Close the connections of tokens that are gone, or may see something else now."""
        allowed = self.tokens.all_access()
        clients: list[EventClient | RowClient] = [*self._events, *self._rows]
        for client in clients:
            if self.tokens.are_needed and client.access not in allowed:
                client.close()

    def snapshot_of_rows(self, client: RowClient) -> bytes:
        """Write all rows, with their trends, and take them as told."""
        client.needs_snapshot = False
        client.due.clear()
        client.gone.clear()
        live = self.live
        names = live.names(client.access.sees)
        return _encode(
            RowSnapshot(
                epoch=live.epoch,
                pub_seq=live.pub_seq,
                t_ms=utc_ms(time.time_ns()),
                update_ms=self.options.update_s * 1000,
                engine=live.engine(client.access.sees("")),
                calls=[row for name in names if (row := live.row(name, with_trend=True)) is not None],
            )
        )

    def update_of_rows(self, client: RowClient) -> bytes:
        """Write the rows that have changed, and take them as told."""
        rows = [row for row in map(self._row, client.due) if row is not None]
        update = RowUpdate(
            epoch=self.live.epoch,
            t_ms=utc_ms(time.time_ns()),
            engine=self.live.engine(client.access.sees("")),
            gone=sorted(client.gone),
            calls=[msgspec.Raw(row) for row in rows],
        )
        client.due.clear()
        client.gone.clear()
        return _encode(update)

    def _row(self, call: str) -> bytes | None:
        """Write a row once for all clients."""
        found = self._row_bytes.get(call)
        if found is None:
            row = self.live.row(call)
            if row is None:
                return None
            found = self._row_bytes[call] = _encode(row)
        return found

    def snapshot_of_events(self, client: EventClient) -> bytes:
        """Write the last value of every kind of every call that a client wants, in place of what it has missed."""
        client.take()
        client.needs_snapshot = False
        live = self.live
        states = [state for name in live.names(client.wants_call) if (state := live.state(name)) is not None]
        return _encode(EventSnapshot(epoch=live.epoch, pub_seq=live.pub_seq, calls=states))
