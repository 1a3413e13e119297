"""Writing of option structs as TOML with their descriptions as comments; the standard library only reads TOML."""

import enum
import json
import math
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100


def render(
    options: msgspec.Struct, tables: Mapping[str, Mapping[str, msgspec.Struct]] | None = None, *, comments: bool = True
) -> str:
    """Write an options struct as TOML that loads back to the same values.

    Args:
        options: The struct; nested structs become tables.
        tables: Structs to write in place of a field that holds free tables, as field → name → struct:
            that is how plugin options get their comments.
        comments: Whether to write the description, bounds and choices of every key above it.
    """
    return "\n".join(_table(options, (), tables or {}, comments)).strip() + "\n"


def as_toml(value: Any) -> str:
    r"""Write one value as TOML.

    >>> as_toml(("a\n", True, 0.5))
    '["a\\n", true, 0.5]'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return as_toml(value.value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, msgspec.Struct):
        return as_toml({key: item for key, item in msgspec.structs.asdict(value).items() if item is not None})
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    raise TypeError(f"TOML cannot hold {type(value).__name__}")


def description(hint: Any) -> str:
    """Find what a field's annotation says about it: description, bounds and choices, as one line."""
    parts = [meta.description for meta in _metas(hint) if meta.description]
    parts += [bound for meta in _metas(hint) if (bound := _bound(meta))]
    choices = _choices(hint)
    if choices:
        parts.append("One of " + ", ".join(as_toml(choice) for choice in choices) + ".")
    return " ".join(parts)


def _table(
    options: msgspec.Struct,
    path: tuple[str, ...],
    tables: Mapping[str, Mapping[str, msgspec.Struct]],
    comments: bool,
) -> Iterator[str]:
    hints = typing.get_type_hints(type(options), include_extras=True)
    later: list[tuple[str, str, Any]] = []
    for field in msgspec.structs.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, msgspec.Struct) or (isinstance(value, Mapping) and (not path or field.name in tables)):
            later.append((field.encode_name, description(hints[field.name]), tables.get(field.name, value)))
            continue
        if comments:
            yield from _comment(description(hints[field.name]))
        yield f"# {_key(field.encode_name)} =" if value is None else f"{_key(field.encode_name)} = {as_toml(value)}"
    for name, text, value in later:
        here = (*path, name)
        if isinstance(value, msgspec.Struct):
            yield from _section(here, text, value, comments)
            continue
        if comments and text:
            yield ""
            yield from _comment(text)
        for key, item in value.items():
            if isinstance(item, msgspec.Struct):
                yield from _section((*here, key), _summary(item), item, comments)
            else:
                yield ""
                yield f"[{'.'.join(map(_key, (*here, key)))}]"
                yield from (f"{_key(name)} = {as_toml(entry)}" for name, entry in item.items() if entry is not None)


def _section(path: tuple[str, ...], text: str, options: msgspec.Struct, comments: bool) -> Iterator[str]:
    yield ""
    if comments:
        yield from _comment(text)
    yield f"[{'.'.join(map(_key, path))}]"
    yield from _table(options, path, {}, comments)


def _summary(options: msgspec.Struct) -> str:
    doc = type(options).__doc__ or ""
    return "" if "Struct" in doc.split("(")[0] else doc.strip().split("\n")[0]


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - 2, break_on_hyphens=False):
        yield f"# {line}"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else as_toml(key)


def _metas(hint: Any) -> Iterator[msgspec.Meta]:
    if typing.get_origin(hint) is typing.Annotated:
        inner, *extras = typing.get_args(hint)
        yield from (extra for extra in extras if isinstance(extra, msgspec.Meta))
        yield from _metas(inner)
    elif typing.get_origin(hint) in (typing.Union, types.UnionType):
        for part in typing.get_args(hint):
            yield from _metas(part)


def _bound(meta: msgspec.Meta) -> str:
    low = _first(("at least", meta.ge), ("above", meta.gt))
    high = _first(("at most", meta.le), ("below", meta.lt))
    if meta.ge is not None and meta.le is not None:
        return f"{meta.ge} to {meta.le}."
    both = " and ".join(part for part in (low, high) if part)
    return f"{both[:1].upper()}{both[1:]}." if both else ""


def _first(*bounds: tuple[str, float | None]) -> str:
    return next((f"{word} {value}" for word, value in bounds if value is not None), "")


def _choices(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(hint)
    if origin is typing.Annotated or origin in (typing.Union, types.UnionType):
        parts = typing.get_args(hint)[:1] if origin is typing.Annotated else typing.get_args(hint)
        return next((found for part in parts if (found := _choices(part))), ())
    return ()
