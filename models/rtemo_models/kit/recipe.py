"""Recipes: settings of a run in TOML files, later ones changing earlier ones, and single settings changed by hand."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rtemo.api.errors import ConfigError

R = TypeVar("R", bound=msgspec.Struct)


def read_recipe(paths: Path | Sequence[Path], kind: type[R], changes: Sequence[str] = ()) -> R:
    """Read a recipe.

    Args:
        paths: TOML files; tables of later ones are put into those of earlier ones, key by key.
        kind: What the settings are.
        changes: Settings as `name=value` or `table.name=value`, the value in TOML; what is no TOML is taken as text.

    Raises:
        ConfigError: A file cannot be read, or a key is unknown, missing or of the wrong type; the message names it.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    named = " + ".join(path.name for path in files)
    values: dict[str, Any] = {}
    try:
        for path in files:
            merge(values, tomllib.loads(path.read_text(encoding="utf-8")))
        for change in changes:
            merge(values, table_of(change))
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigError(f"{named}: {error}", f"{files[0].parent} holds recipes with every key") from error


def table_of(change: str) -> dict[str, Any]:
    """The table that a change `name=value` is in TOML.

    Raises:
        ConfigError: It is no such thing.
    """
    name, equals, value = change.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {change}: expected NAME=VALUE", "for instance --set steps=100 or --set net.width=64")
    try:
        return tomllib.loads(change)
    except tomllib.TOMLDecodeError:
        try:
            return tomllib.loads(f"{name} = {msgspec.json.encode(value).decode()}")
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"--set {change}: {error}", "expected NAME=VALUE, the value in TOML") from error


def merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    """Put `changes` into `values`, table by table."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = value
