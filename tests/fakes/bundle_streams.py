"""Shipped bundles run without the engine, and a sound to run them on."""

from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

import rtemo_weights
from rtemo.api.model import ModelCard

FOLDER = Path(next(iter(rtemo_weights.__path__)))


class BundleStreams:
    """n streams through the graph of a bundle, states carried by hand."""

    def __init__(self, name: str, n: int) -> None:
        self.card = msgspec.json.decode((FOLDER / name / "card.json").read_bytes(), type=ModelCard)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.weights = (FOLDER / name / self.card.weights).read_bytes()
        self.session = onnxruntime.InferenceSession(self.weights, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.state = {name: np.full((n, *spec.shape), spec.fill, spec.dtype) for name, spec in self.card.states.items()}

    def step(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        feeds = {name: values.astype(np.float32) for name, values in inputs.items()}
        out = dict(zip(self.names, self.session.run(None, {**feeds, **self.state}), strict=True))
        self.state = {name: out[f"next_{name}"] for name in self.state}
        return out


def buzz(
    duration_s: float,
    seed: int,
    *,
    level: float = 0.1,
    pitch_hz: float | None = None,
    rate_hz: float | None = None,
    hiss: float = 1e-4,
) -> np.ndarray:
    """A buzz with syllables and a wandering pitch, drawn where not given: not speech, but as lively."""
    random = np.random.default_rng(seed)
    time_s = np.arange(int(16_000 * duration_s)) / 16_000
    base_hz = random.uniform(90, 250) if pitch_hz is None else pitch_hz
    bent_hz = base_hz * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time_s))
    tone = sum(np.sin(2 * np.pi * k * np.cumsum(bent_hz) / 16_000) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * (random.uniform(3, 6) if rate_hz is None else rate_hz) * time_s), 0.02, 1)
    return (level * tone * syllables + hiss * random.standard_normal(len(time_s))).astype(np.float32)
