"""Steps of a system: what `steps.toml` says, and which of them are done, stopped in their midst, or to be done.

A step that was begun leaves a stamp under the work folder: a digest of its command, of the recipes and of the files it
reads. A step is done when its stamp is of the same digest and what it writes is there. A step that was stopped goes on
where it was; one whose recipe or inputs have changed since is begun anew, and what it had made is set aside.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from rtemo.api.errors import ConfigError

SYSTEMS = Path(__file__).parents[1] / "systems"
State = Literal["done", "stopped", "changed", "to do"]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of a system.

    Attributes:
        name: What it is called.
        task: Module with the click command `main`: of the system (`train.run`), of the kit (`kit.results`), or a
            program of the checkout (`bench.quality.rank.evaluate`), which runs in a process of its own.
        config: Recipes, relative to the system's `recipes`; later ones change earlier ones.
        args: Further arguments. `{data}`, `{work}`, `{system}` and `{recipes}` stand for folders.
        reads: Files it depends on, relative to the work folder; `{data}` and `{system}` may begin a path.
        writes: Files that are there when it is done, relative to the work folder.
        folder: Folder of a run under the work folder, set aside as a whole when the step is begun anew.
        needs: Python packages beyond those of training, by the name that is imported.
        smoke: Further arguments of a smoke run, or the name of a list under `[smoke]`.
        only: `smoke` for steps of a smoke run, `full` for those that a smoke run leaves out.
    """

    name: str
    task: str
    config: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...]
    folder: str = ""
    needs: tuple[str, ...] = ()
    smoke: tuple[str, ...] | str = ()
    only: Literal["", "smoke", "full"] = ""


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `steps.toml` says of a system; see `Step`."""

    summary: str
    bundles: tuple[str, ...] = ()
    limits: str = ""
    smoke: dict[str, tuple[str, ...]] = {}
    step: tuple[Step, ...]


def system_names() -> list[str]:
    """Systems that have steps."""
    return sorted(path.parent.name for path in SYSTEMS.glob("*/steps.toml"))


def read_system(name: str) -> System:
    """Read the steps of a system.

    Raises:
        ConfigError: There is no such system, or its file is wrong.
    """
    path = SYSTEMS / name / "steps.toml"
    if not path.exists():
        raise ConfigError(f"no system {name}", f"one of {', '.join(system_names())}")
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=System)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    twice = {s.name for s in found.step if [t.name for t in found.step].count(s.name) > 1}
    if twice:
        raise ConfigError(f"{path}: two steps are called {', '.join(sorted(twice))}")
    return found


class Place(msgspec.Struct, frozen=True):
    """Where the steps of a system run."""

    system: str
    data: Path
    work: Path
    is_smoke: bool = False

    def filled(self, text: str) -> str:
        """A text with its folders in place."""
        folder = SYSTEMS / self.system
        named = {"{data}": self.data, "{work}": self.work, "{system}": folder, "{recipes}": folder / "recipes"}
        for name, path in named.items():
            text = text.replace(name, str(path))
        return text

    def path(self, text: str) -> Path:
        """A path of `reads` or `writes`."""
        return self.work / self.filled(text)

    def stamp(self, step: Step) -> Path:
        """The file of a step's stamp."""
        return self.work / "steps" / f"{self.system}-{step.name}.json"


def chosen_steps(system: System, place: Place, first: str = "", only: Sequence[str] = ()) -> list[Step]:
    """Steps that are to be walked, in order.

    Args:
        system: The system.
        place: Says whether this is a smoke run.
        first: Begin with this step.
        only: Walk these alone.

    Raises:
        ConfigError: A step is not known.
    """
    left_out = "full" if place.is_smoke else "smoke"
    steps = [step for step in system.step if step.only != left_out]
    names = [step.name for step in steps]
    for name in (*only, *([first] if first else [])):
        if name not in names:
            raise ConfigError(f"{place.system} has no step {name}", f"one of {', '.join(names)}")
    if only:
        return [step for step in steps if step.name in only]
    return steps[names.index(first) :] if first else steps


def arguments(step: Step, system: System, place: Place) -> list[str]:
    """What the step's command is given, less `--data` and `--work`."""
    configs = [word for name in step.config for word in ("--config", "{recipes}/" + name)]
    more: Sequence[str] = ()
    if place.is_smoke:
        more = system.smoke[step.smoke] if isinstance(step.smoke, str) else step.smoke
    return [place.filled(word) for word in (*configs, *step.args, *more)]


def digest(step: Step, system: System, place: Place) -> str:
    """Of all that decides what a step makes: its command, the recipes and the files that it reads."""
    words = arguments(step, system, place)
    told = hashlib.sha256(json.dumps([step.task, words]).encode())
    recipes = [value for option, value in pairwise(words) if option == "--config"]
    for path in (*map(Path, recipes), *map(place.path, step.reads)):
        told.update(str(path.name).encode() + b"\0")
        if path.exists():
            with path.open("rb") as file:
                told.update(hashlib.file_digest(file, "sha256").digest())
    return told.hexdigest()


def state_of(step: Step, system: System, place: Place) -> State:
    """How far a step is."""
    path = place.stamp(step)
    if not path.exists():
        return "to do"
    stamp: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
    if stamp["digest"] != digest(step, system, place):
        return "changed"
    made = stamp["state"] == "done" and all(place.path(name).exists() for name in step.writes)
    return "done" if made else "stopped"


def write_stamp(step: Step, place: Place, digest_of: str, state: Literal["begun", "done"]) -> None:
    """Leave the stamp of a step, whole or not at all."""
    path = place.stamp(step)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"digest": digest_of, "state": state}), encoding="utf-8")
    part.replace(path)


def set_aside(step: Step, place: Place) -> list[Path]:
    """Move what a step had made out of the way; returns where it is now."""
    moved = []
    names = [step.folder] if step.folder else [n for n in step.writes if not n.startswith("{")]
    for name in names:
        path = place.work / name
        if path.exists():
            number = next(k for k in range(1, 10_000) if not path.with_name(f"{path.name}.{k}").exists())
            moved.append(path.rename(path.with_name(f"{path.name}.{number}")))
    return moved


def missing(step: Step) -> list[str]:
    """Packages that a step needs and that are not installed."""
    return [name for name in step.needs if find_spec(name) is None]
