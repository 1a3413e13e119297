"""The parts of several runs become one network."""

import pytest
import torch

from rtemo_models.systems.merit.train.join import join

pytestmark = pytest.mark.unit


def saved(value: float, distil_width: int) -> dict[str, object]:
    weights = {
        "listener.stem": torch.full((2, 2), value),
        "listener.distil": torch.full((distil_width,), value),
        "enhancer.stem": torch.full((3,), value),
    }
    return {"weights": weights, "net": {"listener": {"teacher_width": distil_width}}}


def test_listeners_are_averaged_and_the_enhancer_is_that_of_its_own_run() -> None:
    joined = join([saved(1.0, 4), saved(3.0, 4)], saved(7.0, 4))["weights"]
    assert joined["listener.stem"].unique().item() == 2.0
    assert joined["listener.distil"].unique().item() == 2.0
    assert joined["enhancer.stem"].unique().item() == 7.0


def test_what_differs_in_shape_is_taken_from_the_first() -> None:
    joined = join([saved(1.0, 4), saved(3.0, 6)], saved(7.0, 6))
    assert joined["weights"]["listener.distil"].tolist() == [1.0] * 4
    assert joined["net"] == {"listener": {"teacher_width": 4}}
