"""Walks the steps of a system, in this process; programs of the checkout in their own."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click

from rtemo.api.errors import ConfigError, RtemoError
from rtemo_models.kit.steps import (
    Place,
    Step,
    System,
    arguments,
    digest,
    missing,
    set_aside,
    state_of,
    write_stamp,
)

CHECKOUT = Path(__file__).parents[3]
PACKAGE = __name__.rpartition(".kit.")[0]


class StepError(RtemoError):
    """A step did not come to its end."""


def walk(system: System, place: Place, steps: list[Step], say: Callable[[str], object] = click.echo) -> None:
    """Do the steps that are not done, in order.

    Args:
        system: The system.
        place: Where.
        steps: Which.
        say: Gets a line for every step.

    Raises:
        StepError: A step cannot be done or fails; the steps before it are done, and the same call goes on with it.
    """
    for number, step in enumerate(steps, 1):
        title = f"[{number}/{len(steps)}] {step.name}"
        state = state_of(step, system, place)
        if state == "done":
            say(f"{title}: done before")
            continue
        reason = obstacle(step, place)
        if reason and place.is_smoke:
            say(f"{title}: left out, {reason}")
            continue
        if reason:
            raise StepError(f"{step.name}: {reason}", "the steps before it are kept; run again to go on")
        if state == "changed":
            for path in set_aside(step, place):
                say(f"{title}: its recipe or inputs have changed; what it had made is now {path}")
        say(f"{title}: {'goes on' if state == 'stopped' else 'begins'}")
        mark = digest(step, system, place)
        write_stamp(step, place, mark, "begun")
        do(step, system, place)
        lacking = [name for name in step.writes if not place.path(name).exists()]
        if lacking:
            raise StepError(f"{step.name} came to its end, but {', '.join(lacking)} is not there")
        write_stamp(step, place, mark, "done")


def obstacle(step: Step, place: Place) -> str:
    """Why a step cannot be done, in words; empty when it can."""
    if lacking := missing(step):
        return f"{' and '.join(lacking)} is not installed: pip install {' '.join(lacking)}"
    if step.task.startswith("bench.") and not (CHECKOUT / "bench").is_dir():
        return f"{step.task} is a program of the source checkout"
    absent = [str(place.path(name)) for name in step.reads if not place.path(name).exists()]
    return f"{', '.join(absent)} is not there" if absent else ""


def do(step: Step, system: System, place: Place) -> None:
    """Run a step's command to its end.

    Raises:
        StepError: It failed.
    """
    told = arguments(step, system, place)
    if step.task.startswith("bench."):
        done = subprocess.run([sys.executable, "-m", step.task, *told], cwd=CHECKOUT, check=False)
        if done.returncode:
            raise StepError(f"{step.name}: {step.task} ended with status {done.returncode}")
        return
    try:
        command: click.Command = importlib.import_module(module_of(step, place)).main
    except ModuleNotFoundError as error:
        if str(error.name).startswith(PACKAGE):
            raise ConfigError(f"{step.name}: no task {step.task}") from error
        raise StepError(f"{step.name}: {error.name} is not installed", "pip install 'rtemo[train]'") from error
    known = {parameter.name for parameter in command.params}
    for name, folder in (("data", place.data), ("work", place.work)):
        if name in known:
            told = [f"--{name}", str(folder), *told]
    try:
        command.main(told, prog_name=step.name, standalone_mode=False)
    except click.ClickException as error:
        raise StepError(f"{step.name}: {error.format_message()}") from error


def module_of(step: Step, place: Place) -> str:
    """Full name of the module of a step's task."""
    if step.task.startswith("kit."):
        return f"{PACKAGE}.{step.task}"
    return f"{PACKAGE}.systems.{place.system}.{step.task}"
