"""Writes a bundle: `python -m rtemo_models.export.bundle --run RUN/average.pt --out FOLDER`.

With `--results` (from `bench.quality.emotion.evaluate`) the card also gets the calibration and the scores found
there.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import torch

from rtemo.api.events import EMOTIONS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.export.emotion import EmotionExport
from rtemo_models.nets.emotion import EmotionNet, EmotionNetConfig

FRONT_END: dict[str, float | int | str | bool] = {
    "rate_hz": 16_000,
    "hop_samples": 160,
    "frame_samples": 400,
    "fft_samples": 512,
    "mel_count": 64,
    "low_hz": 60.0,
    "high_hz": 7600.0,
    "floor": 1e-10,
}
"""Arguments of `rtemo.dsp.logmel.LogMel` that the network was trained with."""

TRAINING_DATA = (
    "RAVDESS speech, 16 of 20 actors at hand, English (CC BY-NC-SA 4.0)",
    "nEMO, 5 of 7 speakers at hand, Polish (CC BY-NC-SA 4.0)",
    "ASED, 51 of 65 speakers, Amharic (no licence stated; published for research)",
    "BAVED, 46 of 59 speakers, Arabic words, activation levels (no licence stated; published for research)",
    "TESS, 2 speakers, English (CC BY-NC-ND 4.0)",
    "Rakshak, 80 of 101 speakers, Hindi and English keywords (CC BY-NC-SA 4.0)",
    "LibriSpeech and speechocean762 clips as neutral or calm speech (CC BY 4.0)",
    "frames of the Moonshine tiny speech encoder as distillation targets (MIT)",
    "noises, ESC-10 classes among them, and measured room impulse responses (research; MIT, CC BY, CC0)",
)

LIMITS = (
    "Perceived expression of acted and prompted speech, not an inner state; natural conversation was not trained on.",
    "Calm, disgust and surprise were heard from few speakers (RAVDESS, TESS, nEMO; calm also Rakshak).",
    "Valence from the voice alone is weak: happy and angry, both excited, are the likeliest confusion.",
    "Arousal and valence targets are one point per category on the circumplex, not ratings of the clip.",
    "Languages heard with emotion: English, Polish, Amharic, Arabic (arousal only), Hindi; others are extrapolation.",
    "Not for decisions about people; emotion recognition at work or in education is restricted by law in places.",
)

LICENCE = "non-commercial research use; see training_data for the terms of each corpus"


def macs_per_step(net: EmotionNet) -> int:
    """Multiply-accumulates of one step of one stream: every matrix once, the taps and memories."""
    matrices = sum(m.weight.numel() for m in net.modules() if isinstance(m, torch.nn.Linear) and m is not net.distil)
    taps = sum(b.depthwise.taps.numel() + 2 * net.config.width for b in net.blocks)
    return matrices + taps + 4 * net.config.embedding


def make_card(net: EmotionNet, weights: bytes, version: str, results: dict[str, Any]) -> ModelCard:
    """Describe an exported network.

    Args:
        net: The network.
        weights: The ONNX file.
        version: Version of the bundle.
        results: `calibration` and `scores` as the evaluation wrote them; may be empty.
    """
    c = net.config
    fills = net.state_fills()
    step_samples = c.hops_per_step * int(FRONT_END["hop_samples"])
    return ModelCard(
        name="emotion",
        version=version,
        task="emotion",
        weights="emotion.onnx",
        sha256=hashlib.sha256(weights).hexdigest(),
        weights_bytes=len(weights),
        licence=LICENCE,
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=c.hops_per_step,
        lookahead_samples=0,
        latency_samples=step_samples,
        parameters=sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.distil.parameters()),
        macs_per_s=round(macs_per_step(net) * 16_000 / step_samples),
        inputs={
            "logmel": TensorSpec((c.hops_per_step, c.mel_count)),
            "weight": TensorSpec((c.hops_per_step,)),
        },
        states={name: TensorSpec(shape, "float32", fills.get(name, 0.0)) for name, shape in net.state_shapes().items()},
        outputs={"logits": TensorSpec((len(EMOTIONS),)), "arousal": TensorSpec(()), "valence": TensorSpec(())},
        labels=EMOTIONS,
        front_end=FRONT_END,
        calibration=results.get("calibration", {"temperature": 1.0}),
        training_data=TRAINING_DATA,
        scores=results.get("scores", {}),
        limits=LIMITS,
        recipe="models/recipes/emotion-causal",
    )


def load_net(path: Path) -> EmotionNet:
    """Load the averaged weights that training wrote."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = EmotionNet(EmotionNetConfig(**saved["net"]))
    net.load_state_dict(saved["weights"])
    return net.eval()


def write_bundle(net: EmotionNet, folder: Path, version: str, results: dict[str, Any]) -> ModelCard:
    """Write `emotion.onnx`, `card.json` and the package file into `folder`; returns the card."""
    metadata = {
        "task": "emotion",
        "version": version,
        "licence": LICENCE,
        "labels": ",".join(EMOTIONS),
        "front_end": json.dumps(FRONT_END),
        "hops_per_step": str(net.config.hops_per_step),
        "state_fills": json.dumps(net.state_fills()),
        "pooling_states": "pool_max,pool_mass,pool_sum,pool_square",
    }
    weights = EmotionExport(net).build(metadata).SerializeToString(deterministic=True)
    card = make_card(net, weights, version, results)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.weights).write_bytes(weights)
    (folder / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    (folder / "__init__.py").write_text('"""The emotion bundle: `emotion.onnx` and its card."""\n', encoding="utf-8")
    return card


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="average.pt of a training run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--results", type=Path, help="results.json of the evaluation, for calibration and scores")
    options = parser.parse_args()
    results = json.loads(options.results.read_text()) if options.results else {}
    card = write_bundle(load_net(options.run), options.out, options.version, results)
    print(f"{options.out}: {card.parameters} parameters, {card.weights_bytes} bytes, sha256 {card.sha256}")


if __name__ == "__main__":
    main()
