"""`python -m rtemo_models`: the systems, their steps, and the corpora they learn from."""

import csv
from collections.abc import Callable
from pathlib import Path

import click

from rtemo_models.kit.command import HELP, PATH, Task
from rtemo_models.kit.corpora.made_up import make_data
from rtemo_models.kit.corpora.manifest import READERS, enter, read_corpus
from rtemo_models.kit.runner import obstacle, walk
from rtemo_models.kit.steps import SYSTEMS, Place, chosen_steps, read_system, state_of, system_names


@click.group(context_settings=HELP)
def main() -> None:
    """Train, export and measure the systems of rtemo."""


@main.command("list", cls=Task)
def list_systems() -> None:
    """List the systems, what they make, and the scores that are noted of them."""
    with (SYSTEMS / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in system_names():
        system = read_system(name)
        made = f" -> {', '.join(system.bundles)}" if system.bundles else ""
        click.echo(f"{name}: {system.summary}{made}")
        count = len([s for s in system.step if s.only != "smoke"])
        click.echo(f"    {count} steps, {SYSTEMS / name / 'README.md'}")
        for row in rows:
            if row["system"] == name:
                click.echo(f"    {row['bundle']}, {row['score']}: {row['value']} ({row['split_rule']})")


PLACE = (
    click.argument("system"),
    click.option("--data", type=PATH, envvar="RTEMO_DATA", help="Folder of the corpora; made up for a smoke run."),
    click.option("--work", type=PATH, required=True, help="Folder for caches, runs and bundles."),
    click.option("--from", "first", default="", metavar="STEP", help="Begin with this step."),
    click.option("--only", multiple=True, metavar="STEP", help="Do this step alone; several times for several."),
    click.option("--smoke", is_flag=True, help="Tiny runs under WORK/smoke: does all fit together?"),
)


def placed(system: str, data: Path | None, work: Path, smoke: bool) -> Place:
    """Where the steps run; a smoke run has a work folder of its own."""
    if smoke:
        return Place(system, data or make_data(work / "smoke" / "data"), work / "smoke", is_smoke=True)
    if data is None:
        raise click.UsageError("give --data, the folder of the corpora (or set RTEMO_DATA); --smoke makes one up")
    return Place(system, data.resolve(), work.resolve())


def with_place(function: Callable[..., object]) -> Callable[..., object]:
    """The argument and options that say where."""
    for option in reversed(PLACE):
        function = option(function)
    return function


@main.command(cls=Task)
@with_place
def run(system: str, data: Path | None, work: Path, first: str, only: tuple[str, ...], smoke: bool) -> None:
    """Do the steps of a SYSTEM that are not done; run again to go on after a stop."""
    found = read_system(system)
    place = placed(system, data, work, smoke)
    walk(found, place, chosen_steps(found, place, first, only))


@main.command(cls=Task)
@with_place
def steps(system: str, data: Path | None, work: Path, first: str, only: tuple[str, ...], smoke: bool) -> None:
    """Show the steps of a SYSTEM and how far each is; nothing is done."""
    found = read_system(system)
    folder = work / "smoke" if smoke else work
    place = Place(system, data or folder / "data", folder, smoke)
    for step in chosen_steps(found, place, first, only):
        state = state_of(step, found, place)
        reason = obstacle(step, place) if state != "done" else ""
        why = f"  ({reason})" if reason else ""
        click.echo(f"{step.name:16} {state:8} {step.task:28} -> {', '.join(step.writes)}{why}")
    if found.limits:
        click.echo(found.limits)


@main.command(cls=Task)
@click.argument("name")
@click.argument("folder", type=PATH)
@click.option("--out", type=PATH, required=True, help="Manifest that gets the rows, DATA/emotion/manifest.csv.")
def corpus(name: str, folder: Path, out: Path) -> None:
    """Enter the corpus NAME, unpacked in FOLDER as it was released, into a manifest."""
    found = read_corpus(name, folder)
    path = enter(found, out, READERS[name].language)
    splits = {s: sum(c.split == s for c in found.clips) for s in ("train", "dev", "test")}
    click.echo(f"{path}: {len(found.clips)} clips of {name}, " + ", ".join(f"{s} {n}" for s, n in splits.items()))
    for reason, count in found.left_out.items():
        click.echo(f"left out: {count} clips {reason}")
