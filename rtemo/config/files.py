"""Finding and loading the configuration file."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rtemo.api.errors import ConfigError
from rtemo.config.edges import check_edges, with_present_names
from rtemo.config.plugins import check_plugins
from rtemo.config.strict import convert
from rtemo.config.tree import Config

SEARCH_ORDER = "--config FILE, $RTEMO_CONFIG, ./rtemo.toml, $XDG_CONFIG_HOME/rtemo/rtemo.toml (~/.config by default)"
_LARGEST_BYTES = 1 << 20


def find_file(path: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Find the configuration file: the one asked for, or the first that exists in the search order.

    Args:
        path: What the user asked for; nothing else is looked at then.
        environ: Environment, for RTEMO_CONFIG and XDG_CONFIG_HOME.

    Raises:
        ConfigError: A file that was asked for by argument or RTEMO_CONFIG is not there.
    """
    for asked, where in ((path, "--config"), (environ.get("RTEMO_CONFIG"), "RTEMO_CONFIG")):
        if asked:
            if not Path(asked).is_file():
                raise ConfigError(f"{where} names {str(asked)!r}, which is not a file", "correct the path")
            return Path(asked)
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config")
    candidates = [Path("rtemo.toml"), Path(home, "rtemo", "rtemo.toml")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def load_config(
    path: str | Path | None = None, settings: Sequence[str] = (), chain: Sequence[str] | None = None
) -> Config:
    """Load the configuration: defaults, then the file, then single settings, then the chain.

    Args:
        path: File to load; None looks in the search order and falls back to the defaults.
        settings: Texts `key.path=value`, the value in TOML; a value that is no TOML is taken as text.
        chain: Plugins in order, instead of those of the file; errors name them `--chain`.

    Raises:
        ConfigError: A file that cannot be read or parsed, an unknown key, a wrong type, a value out of range.
    """
    file = find_file(path)
    config = parse_config(_read(file), origin=str(file)) if file else Config()
    if settings:
        data = as_tables(config)
        for setting in settings:
            _apply(data, setting)
        config = _checked(data, "--set")
    if chain is not None:
        check_plugins({"chain": list(chain)}, "--chain")
        config = msgspec.structs.replace(config, chain=tuple(chain))
    return config


def parse_config(text: str, origin: str = "rtemo.toml") -> Config:
    """Parse a configuration from TOML.

    Args:
        text: TOML.
        origin: Name for the error texts.

    Raises:
        ConfigError: As `load_config`.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = f"{origin} is not valid TOML ({error})"
        raise ConfigError(problem, "correct it; `rtemo config` prints a valid file") from None
    return _checked(data, origin)


def as_tables(config: Config) -> dict[str, Any]:
    """Turn a configuration into plain tables without unset keys."""
    data: dict[str, Any] = msgspec.to_builtins(config)
    return {key: _without_none(value) for key, value in data.items()}


def _checked(data: dict[str, Any], origin: str) -> Config:
    data = with_present_names(data, origin)
    check_plugins(data, origin)
    check_edges(data, origin)
    config = convert(data, Config, origin=origin)
    config.policy.check()
    return config


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{file} is over 1 MiB, too large for a configuration", "name the right file")
        return file.read_text(encoding="utf-8-sig")  # as Windows editors save it
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror})", "check its permissions") from None


def _apply(data: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise ConfigError(f"--set got {setting!r}, expected key.path=value", "for example --set engine.capacity=128")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    table = data
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set: {part} in {key} is not a table", "see `rtemo config` for the keys")
    table[path[-1]] = value
