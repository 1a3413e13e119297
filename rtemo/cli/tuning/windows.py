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


class Heard(NamedTuple):
    """Windows of some clips, and what was kept of them for the layers below the last."""

    table: Table
    others: dict[str, NDArray[np.float32]]
    """What else the network tells: name → float32 [n, ...]."""
    counts: NDArray[np.int64]
    """int64 [n], how many frames of each window are there."""
    frames: dict[str, NDArray[np.float16]]
    """Frames further down, of those that are there: name → float16 [all frames, width]."""


class Network:
    """The part of a bundle that is kept.

    Args:
        bundle: What is fitted.

    Attributes:
        card: Of the bundle.
        data: Its graph.
        features: Name of the vector that its logits rest on.
        others: Names of what else it tells.
        frozen: Name → width of the frames that are kept; see `keep`.

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
        except GraphError as error:
            raise ModelError(f"the weights of {card.name!r} {error}", "name another bundle with --bundle") from error
        self.others = tuple(name for name in card.outputs if name != "logits")
        self._mask = ""
        self.frozen: dict[str, int] = {}
        self._open()

    def keep(self, frozen: Sequence[str], mask: str) -> None:
        """Give frames [n, t, width] of every window, too, from now on, and what else the network tells.

        Args:
            frozen: Names of their tensors.
            mask: Input [n, t] that says which frames are there.
        """
        self.frozen, self._mask = dict.fromkeys(frozen, 0), mask
        self._open()

    def _open(self) -> None:
        from rtemo.runtime.onnx import OnnxHandle

        card = self.card
        others = self.others if self.frozen else ()
        part = cut_graph(self.data, {}, [self.features, "logits", *self.frozen, *others])
        shapes = _shapes_of(part)
        self._width = _width_of(shapes[self.features], card.name)
        self.frozen = {name: shapes[name][-1] for name in self.frozen}
        made = {name: TensorSpec(shapes[name]) for name in (self.features, *self.frozen)}
        told = {name: card.outputs[name] for name in ("logits", *others)}
        self._handle = OnnxHandle(msgspec.structs.replace(card, outputs=made | told), part)
        self._state = self._handle.new_state(_BATCH)

    def hear(
        self,
        tuner: Tuner,
        clips: Sequence[Clip],
        turns: Mapping[str, Sequence[FoundTurn]],
        on_clip: Callable[[int], None],
    ) -> Heard:
        """Run all windows of all turns of clips; `on_clip` is told how many of them are done."""
        shares: list[float] = []
        turn_of: list[int] = []
        clip_of: list[int] = []
        counts: list[int] = []
        said: dict[str, list[NDArray[Any]]] = {}
        waiting: list[TunedWindow] = []
        for number, clip in enumerate(clips):
            for windows in _windows_of(tuner, self.card, clip, turns.get(clip.key, ())):
                turn_of += [len(clip_of)] * len(windows)
                shares += [window.share for window in windows]
                clip_of.append(number)
                waiting += windows
            while len(waiting) >= _BATCH or (waiting and number + 1 == len(clips)):
                batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
                there = [round(float(window.inputs[self._mask].sum())) for window in batch if self._mask]
                for name, values in self._run(batch, there).items():
                    said.setdefault(name, []).append(values)
                counts += there
            on_clip(number + 1)

        def whole(name: str, *shape: int) -> NDArray[Any]:
            return np.concatenate(said[name]) if name in said else np.zeros((0, *shape), np.float32)

        table = Table(
            whole(self.features, self._width),
            whole("logits", len(self.card.labels)),
            np.array(shares),
            np.array(turn_of, np.int64),
            np.array(clip_of, np.int64),
        )
        others = {name: whole(name, *self.card.outputs[name].shape) for name in self.others if self.frozen}
        frames = {name: whole(name, width).astype(np.float16, copy=False) for name, width in self.frozen.items()}
        return Heard(table, others, np.array(counts, np.int64), frames)

    def _run(self, windows: Sequence[TunedWindow], there: Sequence[int]) -> dict[str, NDArray[Any]]:
        """What is told of windows, of frames those that are there, one window after the other."""
        inputs = {name: np.stack([window.inputs[name] for window in windows]) for name in self.card.inputs}
        said = self._handle.run(inputs, self._state, len(windows))
        made = {name: np.array(values, np.float32) for name, values in said.items() if name not in self.frozen}
        for name in self.frozen:
            each = [frames[:count] for frames, count in zip(said[name], there, strict=True)]
            made[name] = np.concatenate(each).astype(np.float16)
        return made


def joined(tables: Sequence[Table], clips: Sequence[int]) -> Table:
    """Join tables of clips that follow each other, of which each has so many."""
    turns = np.cumsum([0, *(len(table.clip) for table in tables)])
    before = np.cumsum([0, *clips])
    return Table(
        np.concatenate([table.features for table in tables]),
        np.concatenate([table.logits for table in tables]),
        np.concatenate([table.share for table in tables]),
        np.concatenate([table.turn + turns[k] for k, table in enumerate(tables)]),
        np.concatenate([table.clip + before[k] for k, table in enumerate(tables)]),
    )


def _shapes_of(part: bytes) -> dict[str, tuple[Any, ...]]:
    """Shapes of what a graph gives, without the axis of its rows; sizes that are not settled are texts or None."""
    import onnxruntime

    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    return {node.name: tuple(node.shape[1:]) for node in session.get_outputs()}


def _width_of(shape: tuple[Any, ...], name: str) -> int:
    if len(shape) != 1 or not isinstance(shape[0], int):
        raise ModelError(
            f"what the estimates of bundle {name!r} rest on is no vector of a fixed length, so it cannot be tuned",
            "name another with --bundle",
        )
    return shape[0]


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
