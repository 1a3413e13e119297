"""Network: what smart-turn says of the last 8 s of a stream; runs on the lane's own thread."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import LaneContext, LaneSpec, LaneWork, ModelCard, ModelError, Window
from rtemo.dsp.whisper_mel import MEL_COUNT, RATE_HZ, as_whisper_hears, log_mel_power
from rtemo_plugins.turntaking.options import TurnTakingOptions

WINDOW_S = 8
STEP_S = 0.1
_FRAMES = WINDOW_S * 100
_TINY = 1e-7


def check_network(card: ModelCard, bundle: str) -> None:
    """Refuse a bundle that is no such network.

    Raises:
        ModelError: It takes or gives something else.
    """
    inputs = {name: spec.shape for name, spec in card.inputs.items()}
    outputs = {name: spec.shape for name, spec in card.outputs.items()}
    if inputs != {"input_features": (MEL_COUNT, _FRAMES)} or outputs != {"logits": (1,)}:
        raise ModelError(
            f"bundle {bundle!r} does not take {MEL_COUNT} bands of {_FRAMES} frames and give one probability",
            "choose another `network_bundle` for the turntaking plugin, or judge = 'pauses'",
        )


def lane_spec(options: TurnTakingOptions, while_mark: str) -> LaneSpec:
    """Tell when the network is asked: every 100 ms of a pause."""
    return LaneSpec(
        name="network",
        window_s=float(WINDOW_S),
        stride_s=STEP_S,
        while_mark=while_mark,
        max_age_s=options.max_age_s,
        max_batch=4,
        land_s=STEP_S,
    )


def features_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make what the network hears of the last 8 s, float32 [k] at 16 kHz → float32 [80, 800].

    As its authors do: silence before what is shorter, mean and deviation taken out, then Whisper's bands.
    """
    heard = samples[-WINDOW_S * RATE_HZ :]
    heard = np.pad(heard, (WINDOW_S * RATE_HZ - heard.shape[0], 0))
    heard = ((heard - heard.mean()) / np.sqrt(heard.var() + _TINY)).astype(np.float32)
    return np.ascontiguousarray(as_whisper_hears(log_mel_power(heard)).T)


def open_network(context: LaneContext, options: Any) -> LaneWork:
    """Load the network and make the work."""
    handle = context.model(options.network_bundle)
    memory = handle.new_state(1)

    def judge(windows: Sequence[Window]) -> list[float]:
        found = []
        for window in windows:  # one at a time: it has no use for batches on a CPU
            out = handle.run({"input_features": features_of(window.samples)[None]}, memory, 1)
            found.append(float(out["logits"][0, 0]))
        return found

    return judge
