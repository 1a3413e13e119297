"""JSON Schema of all that is on the wire, generated from the types: `python -m rtemo.io.schema --out docs/schema`.

Beside it OpenAPI and AsyncAPI of the web publisher.

Events may be of any kind that the engine or a plugin installed here says.
"""

import argparse
import ast
import functools
import inspect
import operator
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from rtemo.extensions import payload_types
from rtemo.io import audio_feed_wire, audio_wire, query_wire, wire
from rtemo.io.gateways import ports_wire

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARAMETERS = re.compile(r"(?<=[/\"])([A-Za-z]+)_[A-Za-z_]+\.[^\"]*(?=\")")  # of generic types, part of their names


SCHEMAS: dict[str, tuple[str, Any]] = {
    "event": (wire.EVENT_SCHEMA, wire.WireEvent),
    "heartbeat": (wire.HEARTBEAT_SCHEMA, wire.Heartbeat),
    "state": (wire.STATE_SCHEMA, wire.CallState),
    "query-request": ("request on the query socket", query_wire.QueryRequest),
    "query-reply": (query_wire.REPLY_SCHEMA, query_wire.QueryReply),
    "ingest-request": (f"{audio_wire.INGEST_SCHEMA}, client to server", audio_wire.Request),
    "ingest-response": (f"{audio_wire.INGEST_SCHEMA}, server to client", audio_wire.Response),
    "ports-request": (f"{ports_wire.PORTS_SCHEMA}, client to server", ports_wire.PortsRequest),
    "ports-reply": (f"{ports_wire.PORTS_SCHEMA}, server to client", ports_wire.PortsReply),
    "audio-note": (audio_feed_wire.AUDIO_SCHEMA, audio_feed_wire.Note),
}
"""File stem → title and type; the generic ones are of the payloads of all installed plugins."""


def schema_text(stem: str) -> str:
    """Generate one schema as indented JSON."""
    title, kind = SCHEMAS[stem]
    modules: list[ModuleType] = [wire, query_wire, audio_wire, audio_feed_wire, ports_wire]
    if getattr(kind, "__parameters__", ()):
        payloads = [cls for _, cls in sorted(payload_types().items())]
        kind = kind[functools.reduce(operator.or_, payloads)]
        modules += dict.fromkeys(sys.modules[cls.__module__] for cls in payloads)
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    text = msgspec.json.encode({"$schema": _DIALECT, "title": title, **root, "$defs": dict(sorted(parts.items()))})
    schema = msgspec.json.decode(_PARAMETERS.sub(r"\1", text.decode()))
    settle([schema])
    for module in modules:
        _describe(schema["$defs"], module)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def settle(todo: list[Any]) -> None:
    """Write down one way what releases of Python and msgspec write differently: indentation, and where null stands."""
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if isinstance(text := part.get("description"), str):
                part["description"] = inspect.cleandoc(text)
            if isinstance(title := part.get("title"), str):
                part["title"] = title.partition("[")[0]  # what a generic type is of stands in its fields
            if isinstance(either := part.get("anyOf"), list):
                either.sort(key=lambda choice: choice == {"type": "null"})
            todo += part.values()
        elif isinstance(part, list):
            todo += part


def _describe(parts: dict[str, Any], module: ModuleType) -> None:
    """Add the string below a field, which Python itself forgets, as the description of the field."""
    for item in ast.parse(inspect.getsource(module)).body:
        if not isinstance(item, ast.ClassDef) or item.name not in parts:
            continue
        properties = parts[item.name].get("properties", {})
        for field, text in pairwise(item.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                name, words = field.target.id, ast.literal_eval(text.value)
                properties[name] = {"description": " ".join(words.split()), **properties[name]}


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas into a folder and give the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stem in SCHEMAS:
        file = folder / f"{stem}.json"
        file.write_text(schema_text(stem))
        files.append(file)
    for stem, text in documents().items():
        file = folder / f"{stem}.json"
        file.write_bytes(text)
        files.append(file)
    return files


def documents() -> dict[str, bytes]:
    """Write what the web publisher offers: file stem → the description that it serves, too."""
    from rtemo.io.web.asyncapi import asyncapi
    from rtemo.io.web.openapi import openapi

    return {"asyncapi": asyncapi(), "openapi": openapi()}


def main() -> None:
    """Write the schemas where `--out` says."""
    parser = argparse.ArgumentParser(description="Write the JSON Schema of the wire format.")
    parser.add_argument("--out", type=Path, default=Path("docs/schema"), help="folder to write to")
    for file in write_schemas(parser.parse_args().out):
        print(file)


if __name__ == "__main__":
    main()
