"""What heads are trained on: statistics of the encoder's frames over blocks of half a second, and the emotion's logits.

The encoder is that of the bundle `merit-large`, as it ships: its graph with the outputs of its layers laid open.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo.dsp.whisper_mel import MEL_COUNT, as_whisper_hears, log_mel_power

Samples = NDArray[np.float32]

LISTENER = "rtemo_weights.merit_large"
LAYER_OUTPUTS = tuple(f"/encoder/layers.{k}/Add_3_output_0" for k in range(3))
"""Tensors of the listener's graph that hold the frames after its layers 1, 2 and 3."""
LAYERS, WIDTH = 3, 512
STATISTICS = 3
"""Of a layer's frames: mean, deviation, and root mean square change from one frame to the next."""
VALUES = LAYERS * STATISTICS * WIDTH
FRAME_SAMPLES = 320
BLOCK_FRAMES = 25
WINDOW_BLOCKS = 6
WINDOW_SAMPLES = WINDOW_BLOCKS * BLOCK_FRAMES * FRAME_SAMPLES
SAID = 10
"""Eight logits, arousal and valence."""


class Encoder:
    """The listener's graph on one thread."""

    def __init__(self, bundle: str = LISTENER) -> None:
        import onnx
        import onnxruntime

        folder = resources.files(bundle)
        self.card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
        model = onnx.load_from_string((folder / self.card.weights).read_bytes())
        for name in LAYER_OUTPUTS:
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", "t", WIDTH])
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._frames = self.card.inputs["there"].shape[0]
        self._loudest = float(self.card.front_end["loudest"])

    def prepared(self, windows: Sequence[Samples]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the graph is given of windows: log-mels [n, 2t, 80], and which frames there are [n, t]."""
        mel = np.zeros((len(windows), 2 * self._frames, MEL_COUNT), np.float32)
        there = np.zeros((len(windows), self._frames), np.float32)
        for k, samples in enumerate(windows):
            frames = min(len(samples) // FRAME_SAMPLES, self._frames)
            mel[k, : 2 * frames] = as_whisper_hears(log_mel_power(samples[: frames * FRAME_SAMPLES]), self._loudest)
            there[k, :frames] = 1
        return mel, there

    def __call__(
        self, windows: Sequence[Samples]
    ) -> tuple[NDArray[np.float16], NDArray[np.int16], NDArray[np.float32]]:
        """Statistics float16 [n, 6, 3, 3, 512], frames of every block int16 [n, 6], what is said float32 [n, 10]."""
        mel, there = self.prepared(windows)
        names = ["logits", "arousal", "valence", *LAYER_OUTPUTS]
        logits, arousal, valence, *layers = self._session.run(names, {"mel": mel, "there": there})
        said = np.column_stack([logits, arousal, valence]).astype(np.float32)
        frames = np.stack(layers, 1)  # [n, layers, frames, width]
        blocks = np.zeros((len(windows), WINDOW_BLOCKS, LAYERS, STATISTICS, WIDTH), np.float16)
        filled = np.zeros((len(windows), WINDOW_BLOCKS), np.int16)
        for k, count in enumerate(there.sum(1).astype(int).tolist()):
            for block in range(WINDOW_BLOCKS):
                part = frames[k, :, block * BLOCK_FRAMES : min((block + 1) * BLOCK_FRAMES, count)]
                if part.shape[1] > 1:
                    filled[k, block] = part.shape[1]
                    change = np.sqrt(np.mean(np.square(np.diff(part, axis=1)), 1))
                    blocks[k, block] = np.stack([part.mean(1), part.std(1), change], 1)
        return blocks, filled, said


def windows_of(samples: Samples) -> list[Samples]:
    """The first 3 s of a clip, and its last 3 s where half a second more is in them."""
    windows = [samples[:WINDOW_SAMPLES]]
    if len(samples) >= WINDOW_SAMPLES + 8000:
        windows.append(samples[-WINDOW_SAMPLES:])
    return windows


class Table:
    """Statistics of the windows of many clips in one view.

    Attributes:
        folder: Where it lies.
        blocks: float16 [windows, 6, 3, 3, 512]: block, layer, statistic, value.
        frames: int16 [windows, 6], how many frames a block has.
        said: float32 [windows, 10].
        clip: int64 [windows], whose window it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = np.load(folder / "facts.npz")
        self.frames, self.said, self.clip = facts["frames"], facts["said"], facts["clip"]
        shape = (-1, WINDOW_BLOCKS, LAYERS, STATISTICS, WIDTH)
        self.blocks = np.memmap(folder / "blocks.f16", np.float16, "r").reshape(shape)


def open_table(
    folder: Path, encode: Callable[[], Encoder], keys: Sequence[str], sound: Callable[[int], Samples], at_once: int = 64
) -> Table:
    """Open the table of a view, making it first when it is not there; goes on where it was stopped.

    Args:
        folder: Of the table.
        encode: Opens the encoder.
        keys: Names of the clips; a table of others is refused.
        sound: What is heard of a clip, by its number.
        at_once: Clips between two savings.

    Raises:
        ValueError: There is a table of other clips.
    """
    listed = folder / "clips.json"
    if listed.exists() and json.loads(listed.read_text()) != list(keys):
        raise ValueError(f"{folder} holds other clips: give another folder, or remove it")
    if (folder / "facts.npz").exists():
        return Table(folder)
    folder.mkdir(parents=True, exist_ok=True)
    listed.write_text(json.dumps(list(keys)))
    encoder = encode()
    parts = sorted(folder.glob("part-*.npz"))
    began, first = time.monotonic(), len(parts)
    for number in range(len(parts), -(-len(keys) // at_once)):
        rows = range(number * at_once, min((number + 1) * at_once, len(keys)))
        _save(folder / f"part-{number:05d}.npz", encoder, rows, sound)
        pace = (number + 1 - first) * at_once / (time.monotonic() - began)
        sys.stderr.write(f"\r{folder.name}: {rows.stop}/{len(keys)}, {pace:.1f}/s ")
    sys.stderr.write("\n")
    parts = sorted(folder.glob("part-*.npz"))
    with (folder / "blocks.part").open("wb") as out:
        facts: dict[str, list[NDArray[np.generic]]] = {"frames": [], "said": [], "clip": []}
        for part in parts:
            loaded = np.load(part)
            out.write(loaded["blocks"].tobytes())
            for name, values in facts.items():
                values.append(loaded[name])
    (folder / "blocks.part").replace(folder / "blocks.f16")
    np.savez(folder / "facts.npz", **{name: np.concatenate(values) for name, values in facts.items()})
    for part in parts:
        part.unlink()
    return Table(folder)


def _save(path: Path, encoder: Encoder, rows: Sequence[int], sound: Callable[[int], Samples]) -> None:
    windows = [(k, window) for k in rows for window in windows_of(sound(k))]
    made = [encoder([window for _, window in part]) for part in _groups(windows, 8)]
    blocks, frames, said = (np.concatenate([one[place] for one in made]) for place in range(3))
    part = path.with_suffix(".tmp")
    with part.open("wb") as out:
        np.savez(out, blocks=blocks, frames=frames, said=said, clip=np.array([k for k, _ in windows], np.int64))
    part.replace(path)


def _groups(items: Sequence[tuple[int, Samples]], size: int) -> Iterator[Sequence[tuple[int, Samples]]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
