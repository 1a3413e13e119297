"""Options that several verbs share, and how they become a configuration."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rtemo.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def configured(command: Command) -> Command:
    """Give a command `--config`, `--set` and `--chain`; it receives the loaded `config`."""

    @click.option("--config", "config_path", metavar="FILE", help="Configuration file (see rtemo config).")
    @click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one key, as engine.capacity=128.")
    @click.option("--chain", "chain", metavar="NAMES", help="Plugins in order, as level,vad,emotion.")
    @functools.wraps(command)
    def wrapped(
        *args: Any, config_path: str | None, settings: tuple[str, ...], chain: str | None, **kwargs: Any
    ) -> Any:
        return command(*args, config=load(config_path, settings, chain), **kwargs)

    return wrapped  # type: ignore[return-value]


def load(path: str | None, settings: tuple[str, ...] = (), chain: str | None = None) -> "Config":
    """Load the configuration and apply what the command line says on top.

    Args:
        path: File, or None for the search order.
        settings: Texts `key.path=value`.
        chain: Plugin names with commas between them.
    """
    from rtemo.config import load_config

    if chain is not None:
        names = [name.strip() for name in chain.split(",") if name.strip()]
        settings = (*settings, f"chain={names!r}")
    return load_config(path, settings)


def names(text: str | None) -> tuple[str, ...]:
    """Split names given with commas between them."""
    return tuple(part.strip() for part in (text or "").split(",")) if text else ()


def own_process(config: "Config", **engine: Any) -> "Config":
    """Tell the engine that the process is its own, and change other engine settings as needed."""
    import msgspec

    changed = msgspec.structs.replace(config.engine, owns_process=True, **engine)
    return msgspec.structs.replace(config, engine=changed)
