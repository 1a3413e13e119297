"""Settings of a training run: a recipe in TOML, some of them changed on the command line."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


def read_settings(path: Path, kind: type[R], changes: dict[str, Any] | None = None) -> R:
    """Read a recipe, with some of its settings changed.

    Raises:
        msgspec.ValidationError: A key is unknown, missing or of the wrong type; the message names it.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return msgspec.convert(table | (changes or {}), kind)


def changes_of(told: Sequence[str]) -> dict[str, Any]:
    """Settings given as `name=value`, the value as JSON."""
    return {name: json.loads(value) for name, value in (setting.split("=", 1) for setting in told)}
