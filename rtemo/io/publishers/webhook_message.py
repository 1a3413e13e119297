"""The body of a webhook."""

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

Event = TypeVar("Event")


class WebhookMessage(msgspec.Struct, Generic[Event], frozen=True, kw_only=True):
    """What is POSTed to a target: what it is about, when it happened, and the event as on every other way out."""

    type: Annotated[str, Meta(description="`rtemo.` and the kind of the event.")]
    timestamp: Annotated[str, Meta(description="When the event was published, ISO 8601 in UTC.")]
    data: Event
