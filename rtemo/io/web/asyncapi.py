"""AsyncAPI: the description of what is told as it happens: WebSocket, server-sent events, webhooks."""

import functools
from typing import Any

from rtemo.io.publishers.webhook_message import WebhookMessage
from rtemo.io.web.components import ADVISORY, as_text, components
from rtemo.io.web.messages import Beat, EventMessage, EventSnapshot, RowSnapshot, RowUpdate
from rtemo.io.web.rows import CallRow
from rtemo.io.wire import WireEvent

_Any = dict[str, Any]
_TEXT = {"type": "string"}
_FILTERS = {
    "call": {**_TEXT, "description": "Only these calls; may be repeated."},
    "kind": {**_TEXT, "description": "Only these kinds; may be repeated, or have commas."},
    "after": {**_TEXT, "description": "Go on after this event, `EPOCH-NUMBER`; else a snapshot comes first."},
}
_MESSAGES: dict[str, Any] = {
    "eventSnapshot": EventSnapshot,
    "event": EventMessage[WireEvent[_Any]],
    "beat": Beat,
    "rowSnapshot": RowSnapshot,
    "rowUpdate": RowUpdate[CallRow],
    "streamedEvent": WireEvent[_Any],
    "alert": WebhookMessage[WireEvent[_Any]],
}
"""Name of a message → its type."""


@functools.cache
def asyncapi() -> bytes:
    """Write the description as JSON."""
    roots, schemas = components(list(_MESSAGES.values()))
    messages = {
        name: {
            "name": name,
            "summary": schemas[root["$ref"].rpartition("/")[2]]["description"],
            "contentType": "application/json",
            "payload": root,
        }
        for (name, _), root in zip(_MESSAGES.items(), roots, strict=True)
    }
    messages["alert"]["headers"] = {
        "type": "object",
        "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
        "properties": {
            "webhook-id": {**_TEXT, "description": "The same at every try."},
            "webhook-timestamp": {**_TEXT, "description": "Unix time in s."},
            "webhook-signature": {
                **_TEXT,
                "description": "`v1,` and base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`; several with spaces between.",
            },
        },
    }
    channels = {
        "events": _channel(
            *("/v1/ws", "Events as they come, over a WebSocket of subprotocol `rtemo.v1`."),
            ("eventSnapshot", "event", "beat"),
            bindings={"ws": {"query": {"type": "object", "properties": {"view": {"const": "events"}, **_FILTERS}}}},
        ),
        "rows": _channel(
            *("/v1/ws", "Rows of calls, a few times a second: what the wall reads."),
            ("rowSnapshot", "rowUpdate"),
            bindings={
                "ws": {"query": {"type": "object", "required": ["view"], "properties": {"view": {"const": "calls"}}}}
            },
        ),
        "stream": _channel(
            *("/v1/events/stream", "Events as they come, as server-sent events `snapshot` and `event`."),
            ("eventSnapshot", "streamedEvent"),
        ),
        "webhook": _channel(
            None, "Alerts, POSTed to the targets of the publisher 'webhook' and signed (Standard Webhooks).", ("alert",)
        ),
    }
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "rtemo", "version": "1", "description": ADVISORY},
        "defaultContentType": "application/json",
        "servers": {
            "socket": {"host": "127.0.0.1:8765", "protocol": "ws", "security": [{"$ref": _TOKEN}]},
            "http": {"host": "127.0.0.1:8765", "protocol": "http", "security": [{"$ref": _TOKEN}]},
        },
        "channels": channels,
        "operations": {
            f"tell_{name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in channels
        },
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "In a browser's WebSocket as the subprotocol `bearer.TOKEN`. Without tokens in the "
                    "configuration nobody needs one.",
                }
            },
        },
    }
    channels["events"]["servers"] = channels["rows"]["servers"] = [{"$ref": "#/servers/socket"}]
    channels["stream"]["servers"] = [{"$ref": "#/servers/http"}]
    return as_text(document)


_TOKEN = "#/components/securitySchemes/token"


def _channel(address: str | None, description: str, names: tuple[str, ...], **more: Any) -> _Any:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    return {"address": address, "description": description, "messages": messages, **more}
