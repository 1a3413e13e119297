"""Windows: what a bundle's network says of every window of the turns of clips, before its last layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelError, TensorSpec, TunedWindow, Tuner
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.tuning.turns import FoundTurn
from rtemo.dsp.resample import resample
from rtemo.io.sources.audio_file import AudioFile
from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.graph_cut import cut_graph
from rtemo.runtime.graph_head import bottleneck_of
from rtemo.runtime.store import Bundle

_BATCH = 16
_LONGEST_S = 600.0
"""What is read of a clip at most: a class label for more than that tells little of any part of it."""


class Table(NamedTuple):
    """Windows of turns, those of one turn one after the other, the final one last."""

    features: NDArray[np.float32]
    """float32 [n, k]."""
    logits: NDArray[np.float32]
    """float32 [n, classes of the bundle]."""
    share: NDArray[np.float64]
    """float64 [n], see `rtemo.api.TunedWindow`."""
    turn: NDArray[np.int64]
    """int64 [n], which turn."""
    clip: NDArray[np.int64]
    """int64 [turns], which clip each turn is of."""


class Network:
    """The part of a bundle that is kept.

    Args:
        bundle: What is fitted.

    Raises:
        ModelError: Its graph has no place for a new last layer, or cannot be run.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.card = card = bundle.card
        if card.runtime != "onnx" or card.states or "logits" not in card.outputs:
            raise ModelError(
                f"bundle {card.name!r} is no graph that tells logits of single windows, so it cannot be tuned",
                "name another with --bundle",
            )
        self.data = bundle.read_weights()
        try:
            check_graph(self.data)
            self.features = bottleneck_of(self.data, "logits")
            part = cut_graph(self.data, {}, [self.features, "logits"])
        except GraphError as error:
            raise ModelError(f"the weights of {card.name!r} {error}", "name another bundle with --bundle") from error
        self._width = _width_of(part, self.features, card.name)
        from rtemo.runtime.onnx import OnnxHandle

        outputs = {self.features: TensorSpec((self._width,)), "logits": card.outputs["logits"]}
        self._handle = OnnxHandle(msgspec.structs.replace(card, outputs=outputs), part)
        self._state = self._handle.new_state(_BATCH)

    def table(
        self,
        tuner: Tuner,
        clips: Sequence[Clip],
        turns: Mapping[str, Sequence[FoundTurn]],
        on_clip: Callable[[int], None],
    ) -> Table:
        """Run all windows of all turns of clips."""
        shares: list[float] = []
        turn_of: list[int] = []
        clip_of: list[int] = []
        features: list[NDArray[np.float32]] = []
        logits: list[NDArray[np.float32]] = []
        waiting: list[TunedWindow] = []
        for number, clip in enumerate(clips):
            for windows in _windows_of(tuner, self.card, clip, turns.get(clip.key, ())):
                turn_of += [len(clip_of)] * len(windows)
                shares += [window.share for window in windows]
                clip_of.append(number)
                waiting += windows
            while len(waiting) >= _BATCH or (waiting and number + 1 == len(clips)):
                batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
                said = self._run(batch)
                features.append(said[0])
                logits.append(said[1])
            on_clip(number + 1)
        return Table(
            np.concatenate(features) if features else np.zeros((0, self._width), np.float32),
            np.concatenate(logits) if logits else np.zeros((0, len(self.card.labels)), np.float32),
            np.array(shares),
            np.array(turn_of, np.int64),
            np.array(clip_of, np.int64),
        )

    def _run(self, windows: Sequence[TunedWindow]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        inputs = {name: np.stack([window.inputs[name] for window in windows]) for name in self.card.inputs}
        said = self._handle.run(inputs, self._state, len(windows))
        return np.array(said[self.features], np.float32), np.array(said["logits"], np.float32)


def _width_of(part: bytes, features: str, name: str) -> int:
    import onnxruntime

    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    shape = next(node.shape for node in session.get_outputs() if node.name == features)
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ModelError(
            f"what the estimates of bundle {name!r} rest on is no vector of a fixed length, so it cannot be tuned",
            "name another with --bundle",
        )
    return int(shape[1])


def _windows_of(tuner: Tuner, card: Any, clip: Clip, turns: Sequence[FoundTurn]) -> Iterator[list[TunedWindow]]:
    if not turns:
        return
    file = AudioFile(clip.path)
    try:
        sound = file.read(round(_LONGEST_S * file.sample_rate_hz))
    finally:
        file.close()
    for channel in sorted({found.channel for found in turns}):
        samples = np.nan_to_num(sound[channel], posinf=0.0, neginf=0.0).astype(np.float32)
        if file.sample_rate_hz != card.sample_rate_hz:
            samples = resample(samples, file.sample_rate_hz, card.sample_rate_hz)
        for found in turns:
            beyond = found.turn.end_sample - len(samples)  # the last hop is filled up with silence
            if found.channel == channel and beyond <= card.hop_samples:
                heard = np.pad(samples, (0, beyond)) if beyond > 0 else samples
                windows = tuner.windows(card, heard, found.turn)
                if windows:
                    yield windows
