"""Steps of a system: what is done is not done again, what was stopped goes on, what has changed is begun anew."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from rtemo.api.errors import ConfigError
from rtemo_models.kit.cli import main
from rtemo_models.kit.runner import StepError, walk
from rtemo_models.kit.steps import Place, Step, System, chosen_steps, read_system, state_of, system_names, write_stamp

pytestmark = pytest.mark.unit

CARD = {"name": "a", "version": "1", "sha256": "0" * 64, "parameters": 5, "macs_per_s": 7, "scores": {"uar": 0.51234}}


@dataclass
class Walk:
    """A system of two steps of the kit, and what was said while they were walked."""

    place: Place
    said: list[str] = field(default_factory=list)
    name: str = "plugins.x.bundle=here"

    @property
    def system(self) -> System:
        config = Step(
            name="config",
            task="kit.engine_config",
            args=("--set", self.name, "--out", "{work}/made/engine.toml"),
            writes=("made/engine.toml",),
            folder="made",
        )
        table = Step(
            name="table",
            task="kit.results",
            args=("--card", "{work}/card.json", "--out", "{work}/table.md"),
            reads=("card.json", "made/engine.toml"),
            writes=("table.md",),
        )
        return System(summary="two steps", step=(config, table))

    def again(self) -> list[str]:
        self.said.clear()
        walk(self.system, self.place, list(self.system.step), self.said.append)
        return self.said

    def states(self) -> list[str]:
        return [state_of(step, self.system, self.place) for step in self.system.step]


@pytest.fixture
def steps(tmp_path: Path) -> Walk:
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    return Walk(Place("merit", tmp_path / "data", tmp_path))


def test_steps_that_are_done_are_not_done_again(steps: Walk) -> None:
    assert steps.states() == ["to do", "to do"]
    assert steps.again() == ["[1/2] config: begins", "[2/2] table: begins"]
    assert "| uar | 0.5123 |" in (steps.place.work / "table.md").read_text()
    assert steps.again() == ["[1/2] config: done before", "[2/2] table: done before"]


def test_a_changed_setting_sets_aside_what_was_made_and_what_hangs_on_it(steps: Walk) -> None:
    steps.again()
    steps.name = "plugins.x.bundle=there"
    assert steps.states() == ["changed", "done"]
    said = steps.again()
    assert "made.1" in said[0]
    assert (steps.place.work / "made.1" / "engine.toml").read_text().endswith("bundle = 'here'\n")
    assert "there" in (steps.place.work / "made" / "engine.toml").read_text()
    assert "recipe or inputs have changed" in said[2]  # the table reads the configuration


def test_a_step_that_was_stopped_goes_on_in_its_folder(steps: Walk) -> None:
    steps.again()
    stamp = json.loads(steps.place.stamp(steps.system.step[0]).read_text())
    write_stamp(steps.system.step[0], steps.place, stamp["digest"], "begun")
    assert steps.states() == ["stopped", "done"]
    assert steps.again()[0] == "[1/2] config: goes on"
    assert not (steps.place.work / "made.1").exists()


def test_a_step_whose_output_was_removed_is_done_again(steps: Walk) -> None:
    steps.again()
    (steps.place.work / "table.md").unlink()
    assert steps.again() == ["[1/2] config: done before", "[2/2] table: goes on"]


def test_what_a_step_lacks_is_said_in_one_line_and_the_steps_before_are_kept(steps: Walk) -> None:
    (steps.place.work / "card.json").unlink()
    with pytest.raises(StepError, match=r"table: .*card\.json is not there"):
        steps.again()
    assert steps.states()[0] == "done"


def test_steps_are_chosen_by_name(steps: Walk) -> None:
    system, place = steps.system, steps.place
    assert [s.name for s in chosen_steps(system, place, first="table")] == ["table"]
    assert [s.name for s in chosen_steps(system, place, only=("config",))] == ["config"]
    with pytest.raises(ConfigError, match="no step tabel; one of config, table"):
        chosen_steps(system, place, only=("tabel",))


@pytest.mark.parametrize("name", system_names())
def test_every_system_shows_its_steps_and_their_recipes_are_there(name: str, tmp_path: Path, capsys) -> None:
    system = read_system(name)
    for is_smoke in (False, True):
        place = Place(name, tmp_path, tmp_path, is_smoke)
        for step in chosen_steps(system, place):
            assert all(Path(place.filled("{recipes}/" + recipe)).exists() for recipe in step.config)
    main.main(["steps", name, "--data", str(tmp_path), "--work", str(tmp_path)], standalone_mode=False)
    said = capsys.readouterr().out
    assert all(step.name in said for step in system.step if step.only != "smoke")


def test_the_systems_are_listed_with_their_scores(capsys) -> None:
    main.main(["list"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "merit-listen 0.1.0, UAR RAVDESS 8 classes clean: 0.602" in said


def test_a_user_s_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"no system merlt; one of .*full_merit, gem, gem_large, merit"):
        main.main(["run", "merlt", "--data", str(tmp_path), "--work", str(tmp_path)], standalone_mode=False)
    with pytest.raises(click.UsageError, match="give --data"):
        main.main(["run", "gem", "--work", str(tmp_path)], standalone_mode=False)
