"""Statistics of the encoder's frames in blocks of half a second, cached, so that heads train in minutes."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power

LAYERS = 3
WIDTH = 512
BLOCK_FRAMES = 25
"""Frames of 20 ms in a block."""
BLOCK_SAMPLES = 8000
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


class BlockCache:
    """Mean and deviation of blocks, float16 [blocks, layers, 2, 512], of many clips in one file."""

    def __init__(self, stem: Path) -> None:
        index = json.loads(stem.with_suffix(".json").read_text())
        self.offsets = np.asarray(index["offsets"], np.int64)
        """int64 [clips + 1] of blocks."""
        self.layers = int(index["layers"])
        self.blocks = np.memmap(stem.with_suffix(".f16"), np.float16, "r").reshape(-1, self.layers, 2, WIDTH)

    def of(self, i: int) -> NDArray[np.float16]:
        """Blocks of clip `i`."""
        return np.asarray(self.blocks[self.offsets[i] : self.offsets[i + 1]])


def make_blocks(
    encode: Encode, sounds: Iterable[NDArray[np.float32]], loudest: float | None = LOUDEST, batch_frames: int = 2400
) -> list[NDArray[np.float16]]:
    """Blocks of stretches, each float16 [blocks, layers, 2, 512]; a last block counts from half its length on."""
    mels = [mel_of(samples, loudest) for samples in sounds]
    order = sorted(range(len(mels)), key=lambda k: len(mels[k]))
    results: list[NDArray[np.float16]] = [np.zeros(0, np.float16)] * len(mels)
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
        encoded = encode(batch, there)
        for b, k in enumerate(group):
            frames = len(mels[k]) // 2
            count = max(1, (frames + BLOCK_FRAMES // 2) // BLOCK_FRAMES)
            edges = [block * BLOCK_FRAMES for block in range(count)] + [frames]
            parts = [encoded[:, b, low:high] for low, high in pairwise(edges)]
            results[k] = np.stack([np.stack([p.mean(1), p.std(1)], 1) for p in parts]).astype(np.float16)
    return results


def mel_of(samples: NDArray[np.float32], loudest: float | None = LOUDEST) -> NDArray[np.float32]:
    """What the encoder is given of a stretch, float32 [2t, 80]; half a second at least, filled up with silence."""
    if len(samples) < BLOCK_SAMPLES:
        samples = np.pad(samples, (0, BLOCK_SAMPLES - len(samples)))
    return as_whisper_hears(log_mel_power(samples), loudest)


def open_blocks(
    stem: Path,
    encode: Encode,
    count: int,
    sound: Callable[[int], NDArray[np.float32]],
    loudest: float | None = LOUDEST,
    at_once: int = 128,
) -> BlockCache:
    """Open the cache at `stem`, making it first when it is not there; goes on where it was stopped.

    Args:
        stem: Path without suffix.
        encode: See `open_encoder`.
        count: Stretches.
        sound: Samples of a stretch by its number.
        loudest: See `rtemo.dsp.whisper_mel.as_whisper_hears`.
        at_once: Stretches between two savings.
    """
    if stem.with_suffix(".json").exists():
        return BlockCache(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    part, progress = stem.with_suffix(".part"), stem.with_suffix(".progress")
    offsets = json.loads(progress.read_text()) if progress.exists() and part.exists() else [0]
    block_bytes = LAYERS * 2 * WIDTH * 2
    began, before = time.monotonic(), len(offsets)
    with part.open("r+b" if part.exists() else "wb") as out:
        out.truncate(offsets[-1] * block_bytes)
        out.seek(0, 2)
        while len(offsets) <= count:
            rows = range(len(offsets) - 1, min(len(offsets) - 1 + at_once, count))
            for blocks in make_blocks(encode, (sound(i) for i in rows), loudest):
                out.write(np.ascontiguousarray(blocks).tobytes())
                offsets.append(offsets[-1] + len(blocks))
            out.flush()
            progress.write_text(json.dumps(offsets))
            pace = (len(offsets) - before) / (time.monotonic() - began)
            sys.stderr.write(f"\r{stem.name}: {len(offsets) - 1}/{count}, {pace:.1f}/s ")
    sys.stderr.write("\n")
    part.replace(stem.with_suffix(".f16"))
    stem.with_suffix(".json").write_text(json.dumps({"layers": LAYERS, "offsets": offsets}))
    progress.unlink(missing_ok=True)
    return BlockCache(stem)
