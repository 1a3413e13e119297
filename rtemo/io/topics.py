"""Topics: `v1/<tenant>/<call>/<channel>/<kind>/`, the byte prefixes that subscribers filter by.

The final slash belongs to the topic: subscriptions match by prefix, and without it `call1` would match
`call12` too.
"""

from urllib.parse import quote, unquote

VERSION = "v1"
ENGINE = "_engine"
"""Stands for the call, and `_` for the channel, of events about the engine itself."""

HEARTBEAT = "_hb"
"""Last part of heartbeat topics: `v1/<tenant>/_hb/` for all, `v1/<tenant>/<call>/_hb/` for one call."""

_SAFE = "-._~+:@=,"


def escape(part: str) -> str:
    """Make any text a topic part: percent-encoded UTF-8, never empty, never with a leading underscore.

    Names that begin with an underscore are ours (`_hb`, `_engine`), so no call can be mistaken for one.

    >>> escape("+49 30/1234"), escape("_hb"), escape("")
    ('+49%2030%2F1234', '%5Fhb', '_')
    """
    if not text_is_plain(part):
        part = quote(part.encode("utf-8", "replace"), safe=_SAFE)
    return "%5F" + part[1:] if part.startswith("_") else part or "_"


def text_is_plain(part: str) -> bool:
    """Tell, fast, whether a part consists of ASCII letters and digits only."""
    return part.isascii() and part.isalnum()


def unescape(part: str) -> str:
    """Give the text back from a topic part.

    >>> unescape("+49%2030%2F1234"), unescape("_")
    ('+49 30/1234', '')
    """
    return "" if part == "_" else unquote(part)


def event_topic(tenant: str, call: str, channel: str, kind: str) -> str:
    """Build the topic of an event.

    >>> event_topic("main", "call 1", "0", "emotion")
    'v1/main/call%201/0/emotion/'
    >>> event_topic("main", "", "", "health")
    'v1/main/_engine/_/health/'
    """
    return f"{call_prefix(tenant, call)}{escape(channel)}/{escape(kind)}/"


def call_prefix(tenant: str, call: str) -> str:
    """Build the prefix of everything about one call; an empty call is the engine itself."""
    return f"{tenant_prefix(tenant)}{escape(call) if call else ENGINE}/"


def tenant_prefix(tenant: str) -> str:
    """Build the prefix of everything a publisher sends."""
    return f"{VERSION}/{escape(tenant)}/"


def heartbeat_topic(tenant: str, call: str | None = None) -> str:
    """Build the topic of the heartbeat of a publisher, or of one call.

    >>> heartbeat_topic("main"), heartbeat_topic("main", "a")
    ('v1/main/_hb/', 'v1/main/a/_hb/')
    """
    return f"{tenant_prefix(tenant) if call is None else call_prefix(tenant, call)}{HEARTBEAT}/"
