"""How results leave: one JSON object a line, or a picture in a file."""

from pathlib import Path

import click
import msgspec

from rtemo.cli.bench.machine import this_machine


def tell(bench: str, found: msgspec.Struct | dict[str, object]) -> None:
    """Print a result as one JSON object that says which measurement it is of, and on what it was made."""
    machine = msgspec.to_builtins(this_machine())
    click.echo(msgspec.json.encode({"bench": bench, **msgspec.to_builtins(found), "machine": machine}))


def write_picture(path: Path, svg: str) -> None:
    """Write a picture.

    Raises:
        ConfigError: The file cannot be written.
    """
    from rtemo.api import ConfigError

    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--svg {path} cannot be written ({error.strerror})", "choose another place") from None
