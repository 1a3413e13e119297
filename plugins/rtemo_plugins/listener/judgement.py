"""Judgement: what the network says of synthesis, of one window."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rtemo.api import EXPERTS, ModelCard, ModelError

LEAST_S = 2.0
"""Sound in a window from which on what it says of synthesis counts: of shorter ones nothing was learnt."""


class Judgement(NamedTuple):
    """What one window says.

    Attributes:
        score: Log-odds that the voice is synthetic.
        shares: Of every expert in the score.
    """

    score: float
    shares: tuple[float, ...]

    @classmethod
    def of(cls, outputs: Mapping[str, Any], row: int) -> "Judgement":
        """Take it from the outputs of the network, of one window of the batch."""
        return cls(float(outputs["score"][row]), tuple(outputs["shares"][row].tolist()))


def judges(card: ModelCard) -> bool:
    """Whether a network tells signs of synthesis besides the emotion."""
    outputs = card.outputs
    wanted = {"score": (), "shares": (len(EXPERTS),)}
    has_outputs = {name: outputs[name].shape for name in wanted if name in outputs} == wanted
    return has_outputs and card.front_end.get("experts") == ",".join(EXPERTS)


def check_judges(card: ModelCard) -> None:
    """Refuse a network that says nothing of synthesis.

    Raises:
        ModelError: It tells no score, or has other experts.
    """
    if not judges(card):
        raise ModelError(
            f"bundle {card.name!r} does not tell a score of synthesis with its shares by expert ({', '.join(EXPERTS)})",
            "choose another `bundle` for the listener plugin, or let it tell the emotion",
        )
