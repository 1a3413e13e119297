"""Mean and deviation of the encoder's frames over every window, cached, so that heads train in minutes."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power

LAYERS = 3
WIDTH = 512
_FRAME_SAMPLES = 320
_LEAST_FRAMES = 5
LOUDEST = 1.5
"""What the loudest band of the turn so far is moved to, log10 of power: speech at -20 dBFS has about that."""

Encode = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Mel [n, 2t, 80] and bool-like [n, t] → frames [layers, n, t, 512]."""


def open_encoder(graph: Path, threads: int = 1) -> Encode:
    """An encoder run by ONNX Runtime; see `export_encoder`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def encode(mel: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {"mel": mel, "there": there})[0])

    return encode


def export_encoder(graph: Path, variables: dict[str, NDArray[Any]], layers: int = LAYERS) -> Path:
    """Write the stem and the first layers as a graph, unless it is there."""
    if graph.exists():
        return graph
    import torch

    from rtemo_models.systems.merit_large.net import load_encoder

    encoder = load_encoder(variables, layers)

    class Stacked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, mel: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
            return torch.stack(self.encoder(mel, there)[1:])

    graph.parent.mkdir(parents=True, exist_ok=True)
    part = graph.with_suffix(".part")
    torch.onnx.export(
        Stacked(),
        (torch.randn(2, 200, 80), torch.ones(2, 100)),
        str(part),
        input_names=["mel", "there"],
        output_names=["frames"],
        dynamic_axes={"mel": {0: "n", 1: "t"}, "there": {0: "n", 1: "u"}, "frames": {1: "n", 2: "u"}},
        dynamo=False,
        opset_version=17,
    )
    part.replace(graph)
    return graph


class WindowCache:
    """What is known of many windows, in one file.

    Attributes:
        values: float16 [windows, layers, 2, 512], mean and deviation over time.
        frames: int64 [windows], how many frames each has.
        kept: float16 [all frames, layers kept, 512], the frames themselves after some layers; None if none were asked.
        starts: int64 [windows], where those of each window begin.
    """

    def __init__(self, stem: Path, keep: tuple[int, ...] = ()) -> None:
        index = json.loads(stem.with_suffix(".json").read_text())
        self.frames = np.asarray(index["frames"], np.int64)
        shape = (len(self.frames), int(index["layers"]), 2, WIDTH)
        self.values = np.memmap(stem.with_suffix(".f16"), np.float16, "r", shape=shape)
        self.starts = np.cumsum(self.frames) - self.frames
        self.kept = None
        if keep:
            shape_kept = (int(self.frames.sum()), len(keep), WIDTH)
            self.kept = np.memmap(_frames_of(stem, keep), np.float16, "r", shape=shape_kept)


def _frames_of(stem: Path, keep: tuple[int, ...]) -> Path:
    return stem.with_name(f"{stem.name}-frames-{'-'.join(map(str, keep))}.f16")


def encoded(
    encode: Encode, sounds: Iterable[NDArray[np.float32]], loudest: float | None = LOUDEST, batch_frames: int = 2400
) -> list[NDArray[np.float32]]:
    """Frames of windows after every layer, each float32 [layers, t, 512]."""
    mels = [mel_of(samples, loudest) for samples in sounds]
    order = sorted(range(len(mels)), key=lambda k: len(mels[k]))
    results: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(mels)
    begin = 0
    while begin < len(order):
        group = order[begin : begin + max(1, batch_frames // len(mels[order[begin]]))]
        begin += len(group)
        longest = max(len(mels[k]) for k in group) // 2
        batch = np.zeros((len(group), 2 * longest, mels[group[0]].shape[1]), np.float32)
        there = np.zeros((len(group), longest), np.float32)
        for b, k in enumerate(group):
            frames = len(mels[k]) // 2
            batch[b, : 2 * frames] = mels[k][: 2 * frames]
            there[b, :frames] = 1
        layers = encode(batch, there)
        for b, k in enumerate(group):
            results[k] = layers[:, b, : len(mels[k]) // 2]
    return results


def described(
    encode: Encode, sounds: Iterable[NDArray[np.float32]], loudest: float | None = LOUDEST
) -> list[NDArray[np.float16]]:
    """Mean and deviation of windows over time, each float16 [layers, 2, 512]; as `Listener` pools them."""
    return [statistics(frames) for frames in encoded(encode, sounds, loudest)]


def statistics(frames: NDArray[np.float32]) -> NDArray[np.float16]:
    """Mean and deviation over time of frames [layers, t, 512], float16 [layers, 2, 512]."""
    return np.stack([frames.mean(1), frames.std(1)], 1).astype(np.float16)


def mel_of(samples: NDArray[np.float32], loudest: float | None = LOUDEST) -> NDArray[np.float32]:
    """What the encoder is given of a stretch, float32 [2t, 80]: whole frames, 0.1 s at least, as in the listener."""
    if len(samples) < _LEAST_FRAMES * _FRAME_SAMPLES:
        samples = np.pad(samples, (0, _LEAST_FRAMES * _FRAME_SAMPLES - len(samples)))
    whole = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES]
    return as_whisper_hears(log_mel_power(whole), loudest)


def open_windows(
    stem: Path,
    encode: Encode,
    count: int,
    sound: Callable[[int], NDArray[np.float32]],
    at_once: int = 128,
    keep: tuple[int, ...] = (),
) -> WindowCache:
    """Open the cache at `stem`, making it first when it is not there; goes on where it was stopped.

    Args:
        stem: Path without suffix.
        encode: See `open_encoder`.
        count: Windows.
        sound: Samples of a window by its number.
        at_once: Windows between two savings.
        keep: After which layers, counted from 1, the frames themselves are kept, too: 1 kB for each frame and layer.
    """
    kept = _frames_of(stem, keep)
    if stem.with_suffix(".json").exists() and (not keep or kept.exists()):
        return WindowCache(stem, keep)
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(".f16"), *([kept] if keep else [])]
    parts = [path.with_suffix(".part") for path in paths]
    progress = stem.with_suffix(f".progress{len(keep) or ''}")
    frames: list[int] = []
    if progress.exists() and all(part.exists() for part in parts):
        frames = json.loads(progress.read_text())
    began, before = time.monotonic(), len(frames)
    sizes = (len(frames) * LAYERS * 2, sum(frames) * len(keep))
    with ExitStack() as stack:
        outs = [stack.enter_context(part.open("r+b" if part.exists() else "wb")) for part in parts]
        for out, size in zip(outs, sizes, strict=False):
            out.truncate(size * WIDTH * 2)
            out.seek(0, 2)
        while len(frames) < count:
            sounds = [sound(i) for i in range(len(frames), min(len(frames) + at_once, count))]
            for layers in encoded(encode, sounds):
                outs[0].write(np.ascontiguousarray(statistics(layers)).tobytes())
                frames.append(layers.shape[1])
                if keep:
                    chosen = layers[[k - 1 for k in keep]].transpose(1, 0, 2)
                    outs[1].write(np.ascontiguousarray(chosen.astype(np.float16)).tobytes())
            for out in outs:
                out.flush()
            progress.write_text(json.dumps(frames))
            pace = (len(frames) - before) / (time.monotonic() - began)
            sys.stderr.write(f"\r{stem.name}: {len(frames)}/{count}, {pace:.1f}/s ")
    sys.stderr.write("\n")
    for part, path in zip(parts, paths, strict=True):
        part.replace(path)
    stem.with_suffix(".json").write_text(json.dumps({"layers": LAYERS, "frames": frames}))
    progress.unlink(missing_ok=True)
    return WindowCache(stem, keep)
