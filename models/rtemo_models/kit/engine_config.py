"""Writes a configuration of the engine that names bundles that were trained, for programs that run it."""

from pathlib import Path

import click

from rtemo.api.errors import ConfigError
from rtemo_models.kit.command import PATH, set_option, task


@task(__doc__, set_option, click.option("--out", type=PATH, required=True, help="TOML file to write."))
def main(changes: tuple[str, ...], out: Path) -> None:
    """Command line."""
    lines = []
    for change in changes:
        name, equals, value = change.partition("=")
        table, _, key = name.rpartition(".")
        if not equals or not table:
            raise ConfigError(f"--set {change}: expected TABLE.NAME=TEXT")
        lines += [f"[{table}]", f"{key} = '{value}'", ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
