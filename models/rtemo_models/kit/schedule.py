"""The learning rate of a step, as a share of its peak."""

import math


def cosine_share(
    step: int, steps: int, warmup_steps: int = 0, floor: float = 0.0, *, warmup_overlaps: bool = False
) -> float:
    """Linear warm-up, then half a cosine from 1 down to `floor`.

    Args:
        step: The step, from 0.
        steps: Steps of the run, the warm-up among them.
        warmup_steps: Steps until the peak.
        floor: Share that the last step has.
        warmup_overlaps: The cosine falls from step 0 on and the warm-up is a factor of it, not a stretch before it.
    """
    ramp = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    before = 0 if warmup_overlaps else warmup_steps
    if step < before:
        return ramp
    done = (step - before) / max(1, steps - before)
    fall = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    return ramp * fall if warmup_overlaps else fall
