"""Runs a bundle over many clips as it runs live: step by step, all states carried, many streams per call."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo_models.kit.audio.spectra import Spectra

SHIPPED = Path(__file__).parents[3] / "models" / "weights" / "rtemo_weights" / "merit_listen"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the network said after each step of a clip."""

    logits: NDArray[np.float32]
    """float32 [steps, 8]."""
    arousal: NDArray[np.float32]
    valence: NDArray[np.float32]
    speech_s: NDArray[np.float64]
    """float64 [steps]: speech pooled so far."""
    pooled: NDArray[np.float32]
    """float32 [2·embedding]: the pooled mean and deviation at the end."""

    def at(self, speech_s: float | None) -> int:
        """The first step with that much speech, or the last."""
        if speech_s is None or self.speech_s[-1] < speech_s:
            return len(self.speech_s) - 1
        return int(np.argmax(self.speech_s >= speech_s - 1e-9))


class StreamRunner:
    """A bundle's graph, one thread.

    Args:
        bundle: Folder with `card.json` and the weights.
    """

    def __init__(self, bundle: Path) -> None:
        import msgspec
        import onnxruntime

        self.card = msgspec.json.decode((bundle / "card.json").read_bytes(), type=ModelCard)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(bundle / self.card.weights), options, providers=["CPUExecutionProvider"]
        )
        self._names = [o.name for o in self.session.get_outputs()]
        self._spectra = Spectra()

    def _bands(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mel bands of a clip, float32 [hops, mel_count]."""
        return self._spectra.logs(self._spectra.analyse(torch.from_numpy(samples)[None]))[0][0].numpy()

    def feeds(self, n: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Inputs of one step of n streams that have just begun, the frames drawn at random."""
        shape = (n, *self.card.inputs["bands"].shape)
        bands = (random.standard_normal(shape) * 2 - 8).astype(np.float32)
        weight = np.ones((n, self.card.hops_per_step), np.float32)
        return {"bands": bands, "weight": weight, **self._fresh(n)}

    def _fresh(self, n: int) -> dict[str, NDArray[np.float32]]:
        return {k: np.full((n, *s.shape), s.fill, np.float32) for k, s in self.card.states.items()}

    def run(self, clips: list[NDArray[np.float32]], weights: list[NDArray[np.float32]], n: int = 128) -> list[Heard]:
        """Run all clips, at most `n` at a time; shorter clips end in silence that is not read."""
        hops = self.card.hops_per_step
        frames = [self._bands(c) for c in clips]
        heard: list[Heard | None] = [None] * len(clips)
        order = sorted(range(len(clips)), key=lambda i: len(frames[i]))
        for begin in range(0, len(order), n):
            group = order[begin : begin + n]
            steps = [max(1, len(frames[i]) // hops) for i in group]
            bands = np.full((len(group), max(steps) * hops, frames[0].shape[1]), np.log(1e-10), np.float32)
            weight = np.zeros((len(group), max(steps) * hops), np.float32)
            for b, i in enumerate(group):
                count = min(steps[b] * hops, len(frames[i]))
                bands[b, :count] = frames[i][:count]
                weight[b, :count] = weights[i][:count]
            said, pooled = self._steps(bands, weight, hops, steps)
            for b, i in enumerate(group):
                speech_s = np.cumsum(weight[b].reshape(-1, hops).sum(1))[: steps[b]] * 0.01
                heard[i] = Heard(
                    said["logits"][: steps[b], b],
                    said["arousal"][: steps[b], b],
                    said["valence"][: steps[b], b],
                    speech_s,
                    pooled[b],
                )
        return [h for h in heard if h is not None]

    def _steps(
        self, bands: NDArray[np.float32], weight: NDArray[np.float32], hops: int, steps: list[int]
    ) -> tuple[dict[str, NDArray[np.float32]], list[NDArray[np.float32]]]:
        """What is said after every step, and each stream's pooled statistics after its last of `steps`."""
        n = len(bands)
        state = self._fresh(n)
        pooled: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * n
        said: dict[str, list[NDArray[np.float32]]] = {"logits": [], "arousal": [], "valence": []}
        for begin in range(0, bands.shape[1], hops):
            feeds = {
                "bands": np.ascontiguousarray(bands[:, begin : begin + hops]),
                "weight": np.ascontiguousarray(weight[:, begin : begin + hops]),
                **state,
            }
            out = dict(zip(self._names, self.session.run(None, feeds), strict=True))
            state = {k: out[f"next_{k}"] for k in state}
            for name, values in said.items():
                values.append(out[name])
            for b in np.flatnonzero(np.array(steps) == begin // hops + 1):
                pooled[b] = pooled_statistics({k: v[b] for k, v in state.items()})
        return {name: np.stack(values) for name, values in said.items()}, pooled


def pooled_statistics(state: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Attentive mean and deviation from one stream's pooling states."""
    mass = np.maximum(state["pool_mass"], 1e-20)
    mean = state["pool_sum"] / mass
    deviation = np.sqrt(np.maximum(state["pool_square"] / mass - mean * mean, 1e-5))
    return np.concatenate([mean.ravel(), deviation.ravel()])


def write_json(path: Path, value: object) -> None:
    """Write a result, keys in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
