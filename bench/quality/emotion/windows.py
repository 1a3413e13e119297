"""Which stretches of clips the listener hears: `python -m bench.quality.emotion.windows --data DIR --work W`.

Every clip is a call of its own and goes through `vad` and the listener in freewheel, as in `through_engine`; a graph
that says nothing stands in for the network. What is written is where each window begins and ends, for the training of
merit_large, which then hears what the engine will give it.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.quality.emotion.through_engine import play
from rtemo.api import EMOTIONS, Emotion, Event, SpeechEnd
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.systems.merit_large.data import WINDOW_SAMPLES, open_sounds
from rtemo_models.systems.merit_large.windows import CLEAN, Window, file_of, write_windows

_FRAMES = WINDOW_SAMPLES // 320


def mute_bundle(folder: Path) -> Path:
    """A bundle that the listener runs, and that gives zeros."""
    import hashlib

    from onnx import TensorProto, helper, numpy_helper

    outputs = {"logits": len(EMOTIONS), "arousal": 1, "valence": 1}
    nodes, weights = [helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1], keepdims=0)], []
    for name, width in outputs.items():
        weights.append(numpy_helper.from_array(np.zeros((80, width), np.float32), f"{name}.weight"))
        nodes.append(helper.make_node("MatMul", ["mean", f"{name}.weight"], [name if width > 1 else f"{name}.row"]))
        if width == 1:
            nodes.append(helper.make_node("Squeeze", [f"{name}.row", "last"], [name]))
    weights.append(numpy_helper.from_array(np.array([1]), "last"))
    shapes = {"mel": ["n", 2 * _FRAMES, 80], "there": ["n", _FRAMES]}
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    told = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width] if width > 1 else ["n"])
        for name, width in outputs.items()
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "mute", given, told, weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    graph = bytes(model.SerializeToString())
    card = ModelCard(
        name="mute",
        version="1",
        task="emotion",
        weights="mute.onnx",
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence="MIT",
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=50,
        lookahead_samples=0,
        latency_samples=8000,
        parameters=1,
        macs_per_s=1,
        inputs={"mel": TensorSpec((2 * _FRAMES, 80)), "there": TensorSpec((_FRAMES,))},
        states={},
        outputs={"logits": TensorSpec((len(EMOTIONS),)), "arousal": TensorSpec(()), "valence": TensorSpec(())},
        labels=EMOTIONS,
        front_end={"loudest": 1.5},
        calibration={},
        training_data=(),
        scores={},
        limits=(),
        recipe="bench/quality/emotion/windows.py",
    )
    write_folder(folder, card, graph)
    return folder


def windows(events: Iterable[Event]) -> list[Window]:
    """The windows behind the estimates of one call, in the order in which they were heard."""
    found: list[Window] = []
    starts = {event.end_sample: event.start_sample for event in events if isinstance(event.data, SpeechEnd)}
    for event in events:
        if isinstance(event.data, Emotion):
            begin = max(event.start_sample, event.end_sample - WINDOW_SAMPLES)
            if event.data.trigger == "turn_end":
                begin = max(begin, starts.get(event.end_sample, begin))
            found.append(Window(begin, event.end_sample, event.start_sample, event.data.is_final))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for decoded audio, and for what is written")
    options = parser.parse_args()
    sounds = open_sounds(options.data, options.work)
    clips = ((str(row), sounds.audio.samples(row)) for row in range(len(sounds.clips)))
    with tempfile.TemporaryDirectory() as folder:
        heard = play("listener", clips, str(mute_bundle(Path(folder) / "mute")))
    found = {sounds.clips[int(call)].path: windows(events) for call, events in heard.items()}
    write_windows(file_of(options.work, CLEAN), found)
    count = sum(len(of) for of in found.values())
    sys.stdout.write(f"{count} windows of {sum(map(bool, found.values()))} of {len(sounds.clips)} clips\n")


if __name__ == "__main__":
    main()
