"""A voice of one row of notes, in the form of the real one: a graph of three parts, a card with its seams."""

import hashlib
import io
import json
from pathlib import Path

import msgspec
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from rtemo.api import ModelCard
from rtemo.runtime.voice import OnnxVoice

SIGNS = "abcdefghijklmnopqrstuvwxyz ,.!?"
FRAME_SAMPLES = 600
RATE_HZ = 24_000
PITCH_HZ, FRAMES_PER_SIGN = 150.0, 4


class LetterEspeak:
    """Says every word as its letters."""

    def phonemes(self, text: str, language: str) -> str:
        return text.lower()


def voice_graph() -> bytes:
    """Four frames a sign at speed 1, a pitch of 150 Hz, and a sound that is a row of steps of pitch and energy."""

    def constant(name, value):
        return numpy_helper.from_array(np.asarray(value), name)

    tensors = [
        constant("four", np.float32([FRAMES_PER_SIGN])),
        constant("one", np.float32(1.0)),
        constant("zero", np.float32(0.0)),
        constant("last", np.int64([2])),
        constant("middle", np.int64([1])),
        constant("hz", np.float32([PITCH_HZ])),
        constant("half", np.int64([0, 0, -1])),
        constant("flat", np.int64([-1])),
        constant("length", np.int64([1, 1, FRAME_SAMPLES // 2])),
        constant("thousandth", np.float32([0.001])),
        constant("never", np.float32([7.0])),
    ]
    node = helper.make_node
    nodes = [
        node("Cast", ["tokens"], ["numbers"], to=TensorProto.FLOAT),
        node("Mul", ["numbers", "zero"], ["nothing"]),
        node("Add", ["nothing", "four"], ["long"]),
        node("Div", ["long", "speed"], ["exact"]),
        node("Round", ["exact"], ["rounded"]),
        node("Clip", ["rounded", "one"], ["durations"]),
        node("Unsqueeze", ["numbers", "last"], ["context"]),  # [1, n, 1]
        node("Transpose", ["context"], ["context_frames"], perm=[0, 2, 1]),
        node("Unsqueeze", ["numbers", "middle"], ["text"]),  # [1, 1, n]
        node("Identity", ["text"], ["text_frames"]),
        node("Concat", ["context_frames", "context_frames"], ["pairs"], axis=1),
        node("Mul", ["pairs", "zero"], ["flat_pairs"]),
        node("Add", ["flat_pairs", "hz"], ["pitches"]),
        node("Flatten", ["pitches"], ["pitch"]),
        node("ReduceMean", ["style"], ["manner"], keepdims=0),
        node("Add", ["flat_pairs", "manner"], ["energies"]),
        node("Flatten", ["energies"], ["energy"]),
        node("ReduceMean", ["text_frames"], ["word"], keepdims=0),
        node("Mul", ["word", "zero"], ["no_word"]),
        node("Mul", ["pitch", "thousandth"], ["level"]),
        node("Mul", ["level", "energy"], ["loud"]),
        node("Add", ["loud", "no_word"], ["steps"]),
        node("Unsqueeze", ["steps", "last"], ["columns"]),
        node("Tile", ["columns", "length"], ["wave"]),
        node("Reshape", ["wave", "flat"], ["audio"]),
        node("Add", ["never", "never"], ["unused"]),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])]
    graph = helper.make_graph(nodes, "notes", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def voice_files() -> dict[str, bytes]:
    """Weights, signs and voices."""
    voices = io.BytesIO()
    np.savez(
        voices,
        low=np.full((100, 1, 4), 0.4, np.float32),
        high=np.linspace(0.5, 1.0, 100, dtype=np.float32)[:, None, None] * np.ones((1, 1, 4), np.float32),
    )
    signs = json.dumps({"vocab": {sign: number + 1 for number, sign in enumerate(SIGNS)}}).encode()
    return {"notes.onnx": voice_graph(), "vocab.json": signs, "voices.npz": voices.getvalue()}


def voice_card(can_plan: bool = True, **changes) -> ModelCard:
    files = voice_files()
    weights = files["notes.onnx"]
    seams = ("durations", "context", "context_frames", "pitch", "energy", "text", "text_frames")
    front_end = {"frame_samples": FRAME_SAMPLES, "most_signs": 200, "manner_from": 2}
    front_end |= {"signs_file": "vocab.json", "voices_file": "voices.npz", "context_signs_first": True}
    if can_plan:
        front_end |= {f"tensor_{name}": name for name in seams}
    fields = {
        "name": "notes",
        "version": "1",
        "task": "voice",
        "weights": "notes.onnx",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "licence": "none",
        "sample_rate_hz": RATE_HZ,
        "hop_samples": FRAME_SAMPLES,
        "hops_per_step": 1,
        "lookahead_samples": 0,
        "latency_samples": 0,
        "parameters": 0,
        "macs_per_s": 0,
        "inputs": {},
        "states": {},
        "outputs": {},
        "front_end": front_end,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
            for name, data in files.items()
            if name != "notes.onnx"
        },
    }
    return msgspec.convert(fields | changes, ModelCard)


def notes_voice(can_plan: bool = True) -> OnnxVoice:
    return OnnxVoice(voice_card(can_plan), voice_files())


def write_voice(folder: Path) -> Path:
    """Write it as a bundle."""
    folder.mkdir(parents=True)
    for name, data in voice_files().items():
        (folder / name).write_bytes(data)
    (folder / "card.json").write_bytes(msgspec.json.encode(voice_card()))
    return folder
