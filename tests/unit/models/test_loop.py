"""The training loop: batches made ahead, the schedule, recipes."""

from pathlib import Path

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo.api.errors import ConfigError  # noqa: E402
from rtemo_models.kit.loop import Run, prefetch  # noqa: E402
from rtemo_models.kit.recipe import read_recipe  # noqa: E402
from rtemo_models.kit.schedule import cosine_share  # noqa: E402

pytestmark = pytest.mark.unit


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    steps: int
    loss: str = "l1"
    net: dict[str, int] = {}


class LineRun(Run[torch.nn.Linear]):
    """Learns y = 2 x with dropout, so that a step hangs on its seed."""

    def __init__(self, folder: Path, steps: int = 6) -> None:
        super().__init__(folder, seed=3, steps=steps, report_every_steps=2, average_decay=0.5, title="")
        net = torch.nn.Linear(1, 1)
        self.begin(net, torch.optim.AdamW([{"params": list(net.parameters()), "pace": 0.5}]))
        self.rates: list[float] = []

    def rate_at(self, step: int) -> float:
        return 0.1 * (step + 1)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        x = torch.nn.functional.dropout(torch.ones(8, 1), 0.5)
        loss = (self.net(x) - 2 * x).square().mean()
        self.learn(loss)
        self.rates.append(self.optimiser.param_groups[0]["lr"])
        return {"loss": loss}


def test_a_run_that_was_stopped_takes_the_same_steps(tmp_path: Path) -> None:
    whole = LineRun(tmp_path / "whole")
    whole.train()
    LineRun(tmp_path / "halves").train(until=3)
    again = LineRun(tmp_path / "halves")
    assert again.step == 3
    again.train()
    for name in ("weight", "bias"):
        assert torch.equal(getattr(whole.net, name), getattr(again.net, name))
        assert torch.equal(getattr(whole.average, name), getattr(again.average, name))
    assert whole.rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert again.rates == whole.rates[3:]


def test_what_goes_wrong_in_a_batch_made_ahead_is_raised_where_it_is_wanted() -> None:
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("clip 7 is empty")
        return step

    made = prefetch(make, 0, 5)
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ValueError, match="clip 7 is empty"):
        next(made)


def test_the_schedule_warms_up_before_or_within_the_cosine() -> None:
    assert [cosine_share(k, 100, 10) for k in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert cosine_share(55, 100, 10, floor=0.02) == pytest.approx(0.51)
    assert cosine_share(50, 100, 10, floor=0.02, warmup_overlaps=True) == pytest.approx(0.51)
    assert cosine_share(0, 100, 10, warmup_overlaps=True) == pytest.approx(0.1)
    assert cosine_share(100, 100, floor=0.01) == pytest.approx(0.01)


def test_later_recipes_and_settings_change_earlier_ones_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("steps = 5\n[net]\nwidth = 8\ndepth = 2\n")
    (tmp_path / "b.toml").write_text("[net]\nwidth = 16\n")
    read = read_recipe([tmp_path / "a.toml", tmp_path / "b.toml"], Settings, ["loss=l2", "net.depth=3"])
    assert read == Settings(steps=5, loss="l2", net={"width": 16, "depth": 3})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stepz=3", "a.toml: Object contains unknown field `stepz`"),
        ("steps=many", "a.toml: Expected `int`, got `str` - at `$.steps`"),
        ("steps", "--set steps: expected NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path, change: str, told: str) -> None:
    (tmp_path / "a.toml").write_text("steps = 5\n")
    with pytest.raises(ConfigError) as error:
        read_recipe(tmp_path / "a.toml", Settings, [change])
    assert told in str(error.value)
