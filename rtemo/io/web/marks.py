"""Marks: what a person says of an alert (seen, not now, wrong): shown on every wall, kept in a store when asked."""

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.api import RtemoError, StreamFormat
from rtemo.io.publishers.store import append
from rtemo.io.web.rows import AlertRow
from rtemo.io.wire import EVENT_SCHEMA, UNREADABLE, WireEvent, utc_ms

if TYPE_CHECKING:
    from starlette.requests import Request

SNOOZE_S = 300.0
_MOST_BYTES = 4096
_PATIENCE_S = 5.0
_log = logging.getLogger(__name__)

Word = Literal["acknowledged", "snoozed", "wrong", "open"]


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of an alert."""

    call: Annotated[str, Meta(description="Name of the call that the alert is about.")]
    mark: Annotated[Word, Meta(description="`open` takes back what was said before.")]


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a mark."""

    alert: AlertRow
    is_kept: Annotated[bool, Meta(description="Whether it stands in a store, too (publishers.web.marks).")]


class AlertMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="alert_mark"):
    """What stands in a store: an event as any other, so that it is exported, erased and outdated with its call.

    Of several of one alert the last one counts.
    """

    alert: str
    """Epoch and number of the alert's event, as the web publisher counts."""
    rule: str
    mark: str
    by: str
    """Name of the token."""
    values: dict[str, float]
    """What the rule saw."""
    t_ms: float
    """UTC in ms of the alert; that of the event is the mark's."""


async def read_mark(request: "Request") -> Mark | None:
    """Read what is asked; None when it makes no sense, is too long, or does not come."""
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BYTES:
                    return None
        return msgspec.json.decode(body, type=Mark)
    except (TimeoutError, *UNREADABLE):
        return None


def keep(path: str, call: str, alert: AlertRow, by: str) -> bool:
    """Write a mark into a store; False when it cannot be written, which is logged."""
    now_ms, end_sample = utc_ms(time.time_ns()), round(alert.t_s * StreamFormat().sample_rate_hz)
    epoch, _, number = alert.id.rpartition("-")
    data = AlertMark(
        alert=alert.id, rule=alert.rule, mark=alert.mark or "open", by=by, values=alert.values, t_ms=alert.t_pub_ms
    )
    event = WireEvent(
        schema=EVENT_SCHEMA,
        epoch=epoch,
        seq=0,
        pub_seq=int(number),
        stream_seq=0,
        call=call,
        channel=alert.channel,
        kind="alert_mark",
        plugin="web",
        start_sample=end_sample,
        end_sample=end_sample,
        t0_ms=alert.t_s * 1000,
        t1_ms=alert.t_s * 1000,
        t_pub_ms=now_ms,
        data=data,
    )
    try:
        append(Path(path), event)
    except RtemoError as error:
        _log.warning("a mark on an alert was not kept: %s", error)
        return False
    return True
