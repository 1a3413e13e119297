"""What the commands of all systems share: options by one name each, and errors in one line.

A system's step is a module with a click command `main`: `python -m rtemo_models.systems.X.train.run --help`. Its
`steps.toml` names these modules, and `python -m rtemo_models run X` calls them one after the other.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from rtemo.api.errors import RtemoError
from rtemo_models.kit.recipe import read_recipe

F = Callable[..., Any]
R = TypeVar("R", bound=msgspec.Struct)
PATH = click.Path(path_type=Path)

data_option = click.option(
    "--data", type=PATH, required=True, envvar="RTEMO_DATA", help="Folder of the corpora, with a manifest per kind."
)
work_option = click.option("--work", type=PATH, required=True, help="Folder for caches and runs.")
set_option = click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; several times for several."
)
until_option = click.option("--until", type=click.IntRange(0), help="Stop at this step; run again to go on.")


def config_option(recipe: Path) -> Callable[[F], F]:
    """`--config`: recipes, later ones changing earlier ones; `recipe` by default."""
    return click.option(
        "--config",
        type=PATH,
        multiple=True,
        default=(recipe,),
        help=f"Recipe, {recipe.name} of the system by default; a later one changes an earlier one.",
    )


def run_option(name: str) -> Callable[[F], F]:
    """`--run`: name of the run's folder under `--work`."""
    return click.option("--run", "name", default=name, show_default=True, help="Name of the run's folder under --work.")


def threads_option(count: int = 1) -> Callable[[F], F]:
    """`--threads`: of torch."""
    return click.option("--threads", type=click.IntRange(1), default=count, show_default=True, help="Threads of torch.")


class Task(click.Command):
    """A command whose users' mistakes are told in one line: what was got, what to do."""

    def invoke(self, context: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(context)
        except FileNotFoundError as error:
            told = f"{error.filename} is not there" if error.filename else str(error)
            raise click.ClickException(told) from error
        except (RtemoError, ValueError) as error:
            raise click.ClickException(str(error)) from error


def task(doc: str | None, *options: Callable[[F], F], **attributes: Any) -> Callable[[F], Task]:
    """A function as a command.

    Args:
        doc: The module's docstring; its first line is the help, less what the command is called.
        options: In the order of the help.
        attributes: Of the click command.
    """
    first = (doc or "").strip().splitlines()[0].split(": `")[0].rstrip(".") + "."

    def wrap(function: F) -> Task:
        for option in reversed(options):
            function = option(function)
        made: Task = click.command(cls=Task, help=first, context_settings=HELP, **attributes)(function)
        return made

    return wrap


@dataclass(frozen=True, slots=True)
class Training:
    """What every command that trains is told.

    Attributes:
        data: Folder of the corpora.
        work: Folder for caches and runs.
        folder: Of this run.
        until: Step to stop at; None for the last.
        config: Recipes, later ones changing earlier ones.
        changes: Settings that are changed by hand.
    """

    data: Path
    work: Path
    folder: Path
    until: int | None
    config: tuple[Path, ...]
    changes: tuple[str, ...]

    def recipe(self, kind: type[R]) -> R:
        """Read the recipe, with what `--set` changes; see `read_recipe`."""
        return read_recipe(self.config, kind, self.changes)


def training(
    doc: str | None, recipe: Path, run: str, *options: Callable[[F], F], threads: int = 1
) -> Callable[[F], Task]:
    """A command that trains: its function is given a `Training` and what its own options say.

    Args:
        doc: As of `task`.
        recipe: The recipe by default.
        run: Name of the run's folder by default.
        options: Of this command alone.
        threads: Threads of torch by default.
    """

    def wrap(function: F) -> Task:
        @functools.wraps(function)
        def told(
            config: tuple[Path, ...],
            changes: tuple[str, ...],
            data: Path,
            work: Path,
            name: str,
            until: int | None,
            threads: int,
            **others: Any,
        ) -> Any:
            import torch

            torch.set_num_threads(threads)
            return function(Training(data, work, work / name, until, config, changes), **others)

        shared = (config_option(recipe), set_option, data_option, work_option, run_option(run))
        return task(doc, *shared, *options, until_option, threads_option(threads))(told)

    return wrap


HELP: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
