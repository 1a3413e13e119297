"""What a run of Sparse MERIT is made of, read from a TOML file."""

from typing import Any

import msgspec


class LessonRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of any run that learns emotion from a teacher and from labels; see the comments in the recipe's file."""

    seed: int
    steps: int
    batch_steps: int
    crop_steps: tuple[int, ...]
    rate_peak: float
    warmup_steps: int
    weight_decay: float
    average_decay: float
    delay_samples: int
    smoothing: float
    distil_weight: float
    masked_weight: float
    accepted_weight: float
    dimensional_weight: float
    opinion_weight: float
    opinion_steps: int = 1500
    """Steps of each head whose opinions are learned."""
    shares: dict[str, float]
    variants: dict[str, float]
    net: dict[str, Any] = {}


class MeritRecipe(LessonRecipe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a run of Sparse MERIT."""

    emotion_weight: float = 1.0
    enhance_weight: float = 1.0
    phase_weight: float = 3.0
    magnitude_weight: float = 7.0
    intelligibility_weight: float = 0.0
    loudness_weight: float = 0.0
    balance_weight: float = 0.01
    z_weight: float = 0.001
    snr_db: tuple[float, float]
    quiet_share: float
    line_share: float
    check_every_steps: int = 500
    check_noise: bool = True
    hold_out: tuple[str, ...] = ()
    listener_stands: bool = False
    """The listener keeps the weights it started with; only the enhancer learns."""
    start: str = ""
    """Weights to start from, relative to the work folder: an average of another run."""
    front: str = ""
    """Run whose enhancer stands before the listener, relative to the work folder; its weights stand still."""
    teachers: tuple[str, ...] = ("teacher", "tutor")
    """Whose frames and opinions are imitated: `teacher`, the encoder as published; `tutor`, the one trained on."""
    noise_shares: dict[str, float] = {}
    """Kind of noise → how often it is drawn; 1 where a kind is not named."""
