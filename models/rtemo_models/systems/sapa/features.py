"""Frames of clips: `python -m rtemo_models.systems.sapa.features`.

What the large listener's pooled layers say 50 times a second of the first 3 s of speech, on their principal components.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power
from rtemo_models.kit.audio.speech import speech_of
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.sapa.data import FRAMES, chosen
from rtemo_models.systems.sapa.settings import RECIPE, Settings

_RATE_HZ, _FRAME_SAMPLES, _BATCH = 16_000, 320, 8
_FITTED = 40
"""Clips of each corpus by which principal components are found."""


class Ear:
    """The bundle's network up to the frames that it pools.

    Args:
        bundle: Folder of merit-large.
    """

    def __init__(self, bundle: Path) -> None:
        import onnx

        card = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
        model = onnx.load(str(bundle / card["weights"]))
        joins = [
            node.output[0]
            for node in model.graph.node
            if node.op_type == "Concat"
            and len(node.input) >= 2
            and any(a.name == "axis" and a.i == 2 for a in node.attribute)
        ]
        if not joins:
            raise click.ClickException("the bundle joins no layers before it pools; name another with --bundle")
        self._name = joins[-1]
        model.graph.output.append(onnx.helper.make_tensor_value_info(self._name, onnx.TensorProto.FLOAT, None))
        self._session = open_graph(model.SerializeToString())
        self._loudest = float(card["front_end"]["loudest"])
        self._frames = int(card["inputs"]["there"]["shape"][0])

    def hear(self, sounds: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Frames of the first seconds of sounds, each float32 [t, k]."""
        mel = np.zeros((len(sounds), 2 * self._frames, 80), np.float32)
        there = np.zeros((len(sounds), self._frames), np.float32)
        counts = []
        for row, samples in enumerate(sounds):
            samples = np.pad(samples, (0, max(0, _RATE_HZ // 2 - len(samples))))[: self._frames * _FRAME_SAMPLES]
            count = len(samples) // _FRAME_SAMPLES
            mel[row, : 2 * count] = as_whisper_hears(log_mel_power(samples[: count * _FRAME_SAMPLES]), self._loudest)
            there[row, :count] = 1.0
            counts.append(count)
        said = self._session.run([self._name], {"mel": mel, "there": there})[0]
        return [said[row, :count] for row, count in enumerate(counts)]


def open_graph(data: bytes) -> Any:
    """Open a graph for one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--bundle", type=PATH, required=True, help="Folder of the bundle merit-large."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], bundle: Path) -> None:
    """Hear all clips."""
    settings = read_recipe(config, Settings, changes)
    clips = chosen(data, settings)
    ear = Ear(bundle)
    sounds = [speech_of(soundfile.read(data / clip.path, dtype="float32")[0]) for clip in clips]
    places: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        places.setdefault(clip.corpus, []).append(row)
    fitted = [row for rows in places.values() for row in rows[:: max(1, len(rows) // _FITTED)]]
    some = np.concatenate(_hear(ear, [sounds[row] for row in fitted]))
    mean = some.mean(0)
    covariance = np.cov((some - mean).T)
    vectors = np.linalg.eigh(covariance)[1][:, ::-1][:, : settings.values].astype(np.float32)
    found: list[NDArray[np.float16]] = []
    for begin in range(0, len(clips), 32 * _BATCH):
        heard = _hear(ear, sounds[begin : begin + 32 * _BATCH])
        found += [((frames - mean) @ vectors).astype(np.float16) for frames in heard]
        sys.stderr.write(f"{len(found)} of {len(clips)} clips\n")
    place = work / FRAMES
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part.npz")
    offsets = np.cumsum([0, *map(len, found)])
    paths = np.array([clip.path for clip in clips])
    np.savez(part, paths=paths, frames=np.concatenate(found), offsets=offsets)
    part.replace(place)


def _hear(ear: Ear, sounds: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    return [f for at in range(0, len(sounds), _BATCH) for f in ear.hear(sounds[at : at + _BATCH])]


if __name__ == "__main__":
    main()
