"""Strict conversion of parsed TOML into option structs, with errors that name the key and the mend."""

import difflib
import json
import re
import types
import typing
from typing import Any, TypeVar

import msgspec

from rtemo.api.errors import ConfigError

T = TypeVar("T")

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`(?:, got `[^`]*`)?(?P<bound>.*)")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def convert(data: Any, kind: type[T], *, origin: str, prefix: str = "") -> T:
    """Convert parsed TOML to an options struct, refusing everything it does not know.

    Args:
        data: What `tomllib` returned, or a part of it.
        kind: A `msgspec.Struct` type.
        origin: Name of the file, for the error text.
        prefix: Key path of `data` within the file, ending in a dot unless empty.

    Raises:
        ConfigError: An unknown key, a wrong type or a value out of range; the text names file and key path.
    """
    _refuse(data, kind, origin, prefix)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(*_explain(str(error), data, origin, prefix)) from None


def suggest(word: str, known: typing.Iterable[str]) -> str:
    """Phrase the mend for a mistyped word.

    >>> suggest("capcity", ["capacity", "ring_s"])
    "did you mean 'capacity'?"
    >>> suggest("zzz", ["capacity", "ring_s"])
    'known here: capacity, ring_s'
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(names)}" if names else "nothing may stand here"


def _refuse(data: Any, kind: Any, origin: str, prefix: str) -> None:
    """Refuse what msgspec would refuse too, but without a hint: unknown keys, and words outside a choice."""
    if isinstance(data, list):
        item = _item(kind)
        for index, value in enumerate(data if item is not None else ()):
            _refuse(value, item, origin, f"{prefix.rstrip('.')}[{index}].")
        return
    struct, choices = _parts(kind)
    if choices and isinstance(data, str) and data not in choices:
        words = [choice for choice in choices if isinstance(choice, str)]
        raise ConfigError(
            f"{origin}: {prefix.rstrip('.')} is {_as_toml(data)}, expected one of {', '.join(map(_as_toml, words))}",
            suggest(data, words) if difflib.get_close_matches(data, words, n=1) else "correct it",
        )
    if struct is None or not isinstance(data, dict):
        return
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = {field.encode_name: hints[field.name] for field in msgspec.structs.fields(struct)}
    for key, value in data.items():
        if key not in fields:
            raise ConfigError(f"{origin}: unknown key {prefix}{key}", suggest(key, fields))
        _refuse(value, fields[key], origin, f"{prefix}{key}.")


def _parts(kind: Any) -> tuple[type[msgspec.Struct] | None, tuple[Any, ...]]:
    """Find the struct or the choices within an annotated or optional type."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _parts(typing.get_args(kind)[0])
    if origin is typing.Literal:
        return None, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        found = [_parts(part) for part in typing.get_args(kind) if part is not type(None)]
        return found[0] if len(found) == 1 else (None, ())
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, ()
    return None, ()


def _item(kind: Any) -> Any:
    """Find the type of the items of a list or tuple within an annotated or optional type; None of anything else."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _item(parts[0])
    if origin in (typing.Union, types.UnionType):
        found = [item for part in parts if (item := _item(part)) is not None]
        return found[0] if len(found) == 1 else None
    if origin is list or (origin is tuple and len(parts) == 2 and parts[1] is ...):
        return parts[0]
    return None


def _explain(text: str, data: Any, origin: str, prefix: str) -> tuple[str, str]:
    match = _PATH.search(text)
    path = match["path"].lstrip(".") if match else ""
    what = text[: match.start()] if match else text
    key = (prefix + path).rstrip(".")
    value = _value_at(data, path)
    shown = f"{key} is {_as_toml(value)}" if value is not _MISSING else key
    missing = re.match(r"Object missing required field `(?P<field>[^`]+)`", what)
    if missing:
        whole = f"{key}.{missing['field']}".lstrip(".")
        return f"{origin}: {whole} is missing", "see `rtemo config` for its meaning"
    return f"{origin}: {shown}, expected {_expectation(what)}", f"correct {key}; `rtemo config` explains every key"


def _expectation(what: str) -> str:
    """Say in words what msgspec expected.

    >>> _expectation("Expected `int` >= 1")
    'a whole number >= 1'
    """
    match = _EXPECTED.match(what)
    if not match:
        return f"another value ({what[:1].lower()}{what[1:]})"
    kinds = [kind.strip() for kind in match["kinds"].split("|")]
    return " or ".join(_WORDS.get(kind, kind) for kind in kinds if kind != "null") + match["bound"]


_MISSING = object()


def _value_at(data: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+|\[\d+\]", path):
        try:
            data = data[int(part[1:-1])] if part.startswith("[") else data[part]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return data


def _as_toml(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
