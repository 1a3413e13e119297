"""What a training run of the emotion network is made of, read from `pretrain.toml`."""

from rtemo_models.systems.merit.train.recipe import LessonRecipe


class EmotionRecipe(LessonRecipe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of the emotion network."""

    augment_strength: float
    hold_out: tuple[str, ...]
    head_steps: int
    head_rate: float
    head_accepted_weight: float
