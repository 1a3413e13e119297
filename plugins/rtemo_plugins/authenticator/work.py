"""Work: what the network says of each window, of the emotion and of synthesis; runs on the lane's own thread."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rtemo.api import EXPERTS, LaneContext, ModelError, ModelHandle
from rtemo_plugins.authenticator.options import AuthenticatorOptions
from rtemo_plugins.listener.stretches import Stretches
from rtemo_plugins.listener.work import FRAME_SAMPLES, RATE_HZ, Estimate, Job, Work

LEAST_S = 2.0
"""Sound in a window from which on what it says of synthesis counts: of shorter ones nothing was learnt."""


class Judgement(NamedTuple):
    """What one window says.

    Attributes:
        start_sample: Where the present turn began.
        score: Log-odds that the voice is synthetic; None of a window that is too short.
        shares: Of every expert in the score.
        estimate: Of the emotion, where it is to be told.
    """

    start_sample: int
    score: float | None
    shares: tuple[float, ...]
    estimate: Estimate | None


def check_experts(model: ModelHandle, bundle: str) -> None:
    """Refuse a network that says nothing of synthesis.

    Raises:
        ModelError: It tells no score, or has other experts.
    """
    outputs = model.card.outputs
    wanted = {"score": (), "shares": (len(EXPERTS),)}
    has_outputs = {name: outputs[name].shape for name in wanted if name in outputs} == wanted
    if not has_outputs or model.card.front_end.get("experts") != ",".join(EXPERTS):
        raise ModelError(
            f"bundle {bundle!r} does not tell a score of synthesis with its shares by expert ({', '.join(EXPERTS)})",
            "choose another `bundle` for the authenticator plugin",
        )


class AuthenticatorWork(Work):
    """The listener's work, with what the same pass says of synthesis."""

    def __init__(self, context: LaneContext, options: AuthenticatorOptions, stretches: Stretches) -> None:
        super().__init__(context, options, stretches)
        self._says_emotion = options.emotion

    def result(self, job: Job, estimate: Estimate | None, said: Mapping[str, Any]) -> Judgement:
        """Judge a window."""
        is_enough = job.frames * FRAME_SAMPLES >= LEAST_S * RATE_HZ
        return Judgement(
            start_sample=job.heard.turn_start,
            score=float(said["score"]) if is_enough else None,
            shares=tuple(said["shares"].tolist()),
            estimate=estimate if self._says_emotion else None,
        )
