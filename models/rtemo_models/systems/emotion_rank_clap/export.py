"""Writes the bundle: both projections as one graph, and its card."""

import hashlib
import io
from pathlib import Path

import torch
from torch import Tensor, nn

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.systems.emotion_rank_clap.net import TEXT_WIDTH, WIDTH, Clap

NAME = "emotion-rank-clap"
WEIGHTS = "emotion-rank-clap.onnx"
OPSET = 17

TRAINING_DATA = (
    "hidden units of merit-large over RAVDESS speech, nEMO, ASED, CREMA-D, KETTS, Rakshak and TESS (see its card)",
    "captions in English, German, French, Spanish and Polish, written by rule over labels and measured cues",
    "all-MiniLM-L6-v2 (Apache-2.0), frozen, for the text",
)
LIMITS = (
    "Perceived expression of acted and prompted speech, not an inner state.",
    "It knows descriptions of emotion, energy and pleasantness; of what else a sentence says it knows nothing.",
    "Valence and arousal of training are one point per category on the circumplex, not ratings of the clip.",
    "Captions were written by rules; English is read best, other languages only in words like those of the captions.",
    "Not for decisions about people; emotion recognition at work or in education is restricted by law in places.",
)
LICENCE = "non-commercial research use; see training_data for the terms of each corpus"


class Both(nn.Module):
    """Voices and descriptions to the sphere; a row may hold either, the other is then of no use."""

    def __init__(self, clap: Clap) -> None:
        super().__init__()
        self.clap = clap

    def forward(self, words: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """[n, audio_width] and [n, 384] → two [n, width]."""
        voice, description = self.clap(words, text)
        return voice, description


def make_graph(clap: Clap) -> bytes:
    """The graph, of any number of rows."""
    width = clap.audio.into.in_features
    buffer = io.BytesIO()
    torch.onnx.export(
        Both(clap).eval(),
        (torch.randn(2, width), torch.randn(2, TEXT_WIDTH)),
        buffer,  # type: ignore[arg-type]
        input_names=["words", "text"],
        output_names=["voice", "description"],
        dynamic_axes={name: {0: "n"} for name in ("words", "text", "voice", "description")},
        dynamo=False,
        opset_version=OPSET,
    )
    return buffer.getvalue()


def make_card(clap: Clap, graph: bytes, scores: dict[str, dict[str, float]]) -> ModelCard:
    """Describe it."""
    width = clap.audio.into.in_features
    parameters = sum(p.numel() for p in clap.parameters())
    return ModelCard(
        name=NAME,
        version="0.1.0",
        task="meaning",
        weights=WEIGHTS,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence=LICENCE,
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=100,
        lookahead_samples=0,
        latency_samples=16_000,
        parameters=parameters,
        macs_per_s=parameters,
        inputs={"words": TensorSpec((width,)), "text": TensorSpec((TEXT_WIDTH,))},
        states={},
        outputs={"voice": TensorSpec((WIDTH,)), "description": TensorSpec((WIDTH,))},
        front_end={"words": "merit-large", "text": "minilm"},
        training_data=TRAINING_DATA,
        scores=scores,
        limits=LIMITS,
        recipe="models/rtemo_models/systems/emotion_rank_clap",
    )


def write_bundle(place: Path, clap: Clap, scores: dict[str, dict[str, float]]) -> None:
    """Write graph, card and what makes Python find them."""
    graph = make_graph(clap)
    write_folder(place, make_card(clap, graph, scores), graph)
