"""Text from outside, made safe to show and to encode: names, roles, reasons, error texts that strangers can choose."""

import os
from typing import Any, TypeVar

import msgspec

Struct = TypeVar("Struct", bound=msgspec.Struct)

_SHOWN = "\ufffd"
_LONGEST_CHARS = 2_000


def shown(name: str | os.PathLike[str]) -> str:
    r"""Write a name, of a file or a call, as valid Unicode: bytes that are no UTF-8 become `\xNN`.

    Python keeps such bytes of a file name as lone surrogates, which no JSON and no terminal takes.

    >>> print(shown("caf\udce9.wav"), shown("café.wav"))
    caf\xe9.wav café.wav
    """
    text = os.fspath(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def plain(text: str, longest_chars: int = _LONGEST_CHARS) -> str:
    r"""Replace what a terminal or a log would obey instead of showing it, and cut what is too long.

    Control characters of both sets (C0, C1: escape sequences, newlines), controls of writing direction, characters
    without width, line separators, lone surrogates and unassigned code points each become one replacement character.

    >>> plain("call\x1b[2J\n\x9b1m\u202egnp")
    'call�[2J��1m�gnp'
    """
    if len(text) > longest_chars:
        text = text[: longest_chars - 1] + "…"
    return text if text.isprintable() else "".join(char if char.isprintable() else _SHOWN for char in text)


def plain_json(text: str) -> str:
    r"""Escape in a JSON text what a terminal would obey, so that it stays the same JSON.

    JSON itself escapes C0 only; what is left can stand in strings alone, where an escape means the same.

    >>> plain_json('{"call":"a\x9b2J\u202e"}')
    '{"call":"a\\u009b2J\\u202e"}'
    """
    if text.isascii() or text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def plain_values(value: Any) -> Any:
    """Make every text within builtin containers `plain`, keys too."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain_values(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value


def plain_struct(data: Struct) -> Struct:
    """Make every text within an event payload `plain`; the same object where nothing had to be replaced."""
    builtins = msgspec.to_builtins(data)
    cleaned = plain_values(builtins)
    return data if cleaned == builtins else msgspec.convert(cleaned, type(data))


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
