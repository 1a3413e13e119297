"""VoiceHandle: a model that speaks, and what it plans before it does."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelCard


class VoicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a phrase is going to be said, before it is: everything may be changed but the signs.

    A frame is `VoiceHandle.frame_samples` long; pitch and energy have two values in each.

    Attributes:
        signs: Phonemes (IPA), one sign for each duration but the first and the last, which are silence.
        durations_frames: int64 [signs + 2].
        pitch_hz: float32 [2 frames], 0 and less where nothing is voiced.
        energy: float32 [2 frames], in the model's own unit.
        style: float32 [width], the voice and its manner.
        hidden: What the model wants to see again.
    """

    signs: str
    durations_frames: NDArray[np.int64]
    pitch_hz: NDArray[np.float32]
    energy: NDArray[np.float32]
    style: NDArray[np.float32]
    hidden: Mapping[str, NDArray[np.float32]]


class VoiceHandle(Protocol):
    """A speaking model; it takes a fraction of the duration of what it says, so it has no place in a tick.

    A handle is used by one thread at a time.
    """

    @property
    def card(self) -> ModelCard:
        """The card the weights came with; its rate is that of the audio."""

    @property
    def signs(self) -> frozenset[str]:
        """Signs that it can say, punctuation and the space among them."""

    @property
    def most_signs(self) -> int:
        """How many signs it takes at once."""

    @property
    def voices(self) -> Mapping[str, NDArray[np.float32]]:
        """Name → style for each count of signs, float32 [most_signs, width]."""

    @property
    def frame_samples(self) -> int:
        """Samples in a frame of a plan."""

    def plan(
        self,
        signs: str,
        style: NDArray[np.float32],
        *,
        speed: float = 1.0,
        durations_frames: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> VoicePlan:
        """Decide how long each sign is and how pitch and energy run.

        Args:
            signs: Phonemes; those not in `signs` are left out.
            style: float32 [width].
            speed: 2 is twice as fast; applied to the durations that the model finds.
            durations_frames: Durations to take instead, one for each sign and two for silence at the ends.

        Raises:
            ValueError: There is nothing to say, or too much.
            ModelError: The model keeps its plans to itself (`can_plan` is false).
        """

    @property
    def can_plan(self) -> bool:
        """Whether plans can be seen and changed; otherwise only `say` works."""

    def render(self, plan: VoicePlan) -> NDArray[np.float32]:
        """Make the sound of a plan, float32 [frames x frame_samples]."""

    def say(
        self, signs: str, style: NDArray[np.float32], *, speed: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Plan and render: float32 [samples], and where each sign ends, int64 [signs + 2] in samples.

        Where the model does not tell durations they are in proportion.
        """
