"""Messages: what goes over the WebSocket, and as server-sent events."""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from rtemo.io.web.rows import CallRow, EngineRow
from rtemo.io.wire import CallState

Row = TypeVar("Row")
Event = TypeVar("Event")
_Any = dict[str, Any]
_EPOCH = Meta(description="Random name of the publisher's life: with another one numbers begin again.")


class EventSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """The last event of every kind of every call that is followed: comes first, and in place of what was missed."""

    epoch: Annotated[str, _EPOCH]
    pub_seq: Annotated[int, Meta(description="Number of the last event that is included.")]
    calls: list[CallState[_Any]]


class EventMessage(msgspec.Struct, Generic[Event], frozen=True, kw_only=True, tag_field="type", tag="event"):
    """One event, as it comes."""

    event: Event


class Beat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="beat"):
    """Sign of life, when there was no event for 5 s."""

    is_fed: Annotated[bool, Meta(description="Whether the engine has given a sign of life in the last seconds.")]


class RowSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """All rows, with their trends: comes first."""

    epoch: Annotated[str, _EPOCH]
    pub_seq: Annotated[int, Meta(description="Number of the last event that is included.")]
    t_ms: Annotated[float, Meta(description="UTC in ms.")]
    update_ms: Annotated[float, Meta(description="Time between two updates.")]
    engine: EngineRow
    calls: list[CallRow]


class RowUpdate(msgspec.Struct, Generic[Row], frozen=True, kw_only=True, tag_field="type", tag="update"):
    """The rows that have changed since, each in place of the one before; with none it is a sign of life."""

    epoch: Annotated[str, _EPOCH]
    t_ms: Annotated[float, Meta(description="UTC in ms.")]
    engine: EngineRow
    gone: Annotated[list[str], Meta(description="Calls that are forgotten.")]
    calls: list[Row]
