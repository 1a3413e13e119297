"""OpenAPI: the description of the routes, its schemas generated from the types."""

import functools
from typing import Any

import msgspec

from rtemo.io.web.components import ADVISORY, as_text, components
from rtemo.io.web.marks import Mark, Marked
from rtemo.io.web.rows import Calls, Problem
from rtemo.io.wire import CallState, WireEvent

_Any = dict[str, Any]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `/v1/events`."""

    epoch: str
    """Random name of the publisher's life: with another one numbers begin again."""
    is_complete: bool
    """Whether nothing after the number asked for has been dropped."""
    next_after_seq: int
    """What to ask after next."""
    events: list[WireEvent[_Any]]


_FILTERS = (
    ("call", "Only these calls; may be repeated.", "string"),
    ("kind", "Only these kinds; may be repeated, or have commas.", "string"),
)
_AFTER = (
    "after",
    "Go on after this event, `EPOCH-NUMBER` (SSE sends Last-Event-ID); else a snapshot comes first.",
    "string",
)
_ROUTES: tuple[tuple[str, str, Any, tuple[tuple[str, str, str], ...]], ...] = (
    ("/v1/calls", "All calls, a row each", Calls, (("prefix", "Only calls whose names begin so.", "string"),)),
    ("/v1/calls/{call}", "The last event of every kind of a call", CallState[_Any], ()),
    (
        "/v1/events",
        "Events after a number, oldest first",
        Events,
        (
            ("after_seq", "`pub_seq` of the last event that is known.", "integer"),
            ("limit", "Most events, 1 to 5000.", "integer"),
            *_FILTERS,
        ),
    ),
    ("/v1/events/stream", "Events as they come, as server-sent events", None, (*_FILTERS, _AFTER)),
    (
        "/v1/ws",
        "Events as they come (`view=events`), or rows of calls a few times a second (`view=calls`), over a WebSocket "
        "of subprotocol `rtemo.v1`; a browser sends its token as the subprotocol `bearer.TOKEN`",
        None,
        (("view", "`events` or `calls`.", "string"), *_FILTERS, _AFTER),
    ),
    ("/healthz", "Whether this process answers", dict[str, str], ()),
    ("/readyz", "Whether the engine runs", dict[str, str], ()),
    ("/metrics", "Metrics for Prometheus; scope `metrics`", None, ()),
)


@functools.cache
def openapi() -> bytes:
    """Write the description as JSON."""
    answers = [answer for _, _, answer, _ in _ROUTES if answer is not None]
    roots, parts = components([*answers, Problem, Mark, Marked])
    schemas = dict(zip(map(id, answers), roots, strict=False))
    refusal = {"description": "Refused", "content": {"application/json": {"schema": roots[len(answers)]}}}
    paths: _Any = {}
    for path, summary, answer, parameters in _ROUTES:
        content = {"application/json": {"schema": schemas[id(answer)]}} if answer is not None else _streamed(path)
        parts_of_path = [("call", "Name of the call.", "path", "string", True)] if "{call}" in path else []
        paths[path] = {
            "get": {
                "summary": summary,
                "parameters": [
                    {"name": name, "in": place, "required": needed, "description": text, "schema": {"type": kind}}
                    for name, text, place, kind, needed in (
                        *parts_of_path,
                        *((name, text, "query", kind, False) for name, text, kind in parameters),
                    )
                ],
                "responses": {"200": {"description": summary, "content": content}, "default": refusal},
            }
        }
    paths["/v1/alerts/{alert}"] = {
        "post": {
            "summary": "Say of an alert that it was seen, comes again in five minutes, or is wrong; scope `mark`",
            "parameters": [
                {
                    "name": "alert",
                    "in": "path",
                    "required": True,
                    "description": "`id` of the alert.",
                    "schema": {"type": "string"},
                }
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": roots[-2]}}},
            "responses": {
                "200": {"description": "Marked", "content": {"application/json": {"schema": roots[-1]}}},
                "default": refusal,
            },
        }
    }
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "rtemo",
            "version": "1",
            "description": ADVISORY,
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return as_text(document)


def _streamed(path: str) -> _Any:
    kind = {"/v1/events/stream": "text/event-stream", "/metrics": "text/plain"}.get(path, "application/json")
    return {kind: {"schema": {"type": "string"}}}
