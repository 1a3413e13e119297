"""Components: the schemas that OpenAPI and AsyncAPI share, generated from the types."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from rtemo.api import SHARED_TYPES
from rtemo.io.schema import settle

ADVISORY = (
    "Perceived vocal expression, not what a person feels; advice to a human, often wrong. `data` of an event is one of "
    "the schemas that have a `kind`, or of a plugin's own kind (docs/schema/event.json has those of the plugins that "
    "come with rtemo)."
)
_GENERIC = re.compile(r"(?<=[/\"])([A-Z][A-Za-z]+)_[^\"]*(?=\")")
_Any = dict[str, Any]


def components(types: Sequence[Any]) -> tuple[list[_Any], _Any]:
    """Make the schema of every type.

    Returns:
        A reference for each type, and name → schema of all that they are made of, and of every kind of payload.
    """
    kinds = sorted(SHARED_TYPES.items())
    roots, parts = msgspec.json.schema_components(
        [*types, *(cls for _, cls in kinds)], ref_template="#/components/schemas/{name}"
    )
    text = _GENERIC.sub(r"\1", msgspec.json.encode([roots, dict(sorted(parts.items()))]).decode())
    roots, schemas = msgspec.json.decode(text)
    settle([roots, schemas])
    payloads = [root["$ref"] for root in roots[len(types) :]]
    data = schemas["WireEvent"]["properties"]["data"]
    other = {
        "type": "object",
        "description": "Of a plugin's own kind.",
        "required": ["kind"],
        "properties": {"kind": {"type": "string", "not": {"enum": [kind for kind, _ in kinds]}}},
    }
    schemas["WireEvent"]["properties"]["data"] = {
        "description": data.get("description", ""),
        "anyOf": [*({"$ref": ref} for ref in payloads), other],
    }
    return roots[: len(types)], schemas


def as_text(document: _Any) -> bytes:
    """Write a document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
