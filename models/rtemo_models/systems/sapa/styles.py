"""Styles of voices: `python -m rtemo_models.systems.sapa.styles`.

The style of a voice is its embedding by the bundle `speaker`. A run that was stopped goes on where it was.
"""

import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.voice.errors import VoiceError
from rtemo.voice.speaker import SpeakerEmbedder
from rtemo_models.kit.audio.speech import speech_of
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.sapa.data import STYLES, chosen
from rtemo_models.systems.sapa.features import open_graph
from rtemo_models.systems.sapa.settings import RECIPE, Settings

_SAVED = 256


class SpeakerGraph:
    """The graph of the bundle `speaker`, as `SpeakerEmbedder` wants it."""

    def __init__(self, bundle: Path) -> None:
        self._session = open_graph((bundle / "speaker.onnx").read_bytes())

    def new_state(self, capacity: int) -> None:
        """It has none."""

    def run(self, inputs: dict[str, NDArray[Any]], state: None, rows: int) -> dict[str, NDArray[Any]]:
        """Embed windows."""
        return {"embedding": self._session.run(["embedding"], inputs)[0]}


def style_of(embedder: SpeakerEmbedder, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embedding of a voice; of a clip with less than a second of it, of the clip said twice over."""
    for times in (1, 2, 4):
        try:
            return embedder.embed(np.tile(samples, times))
        except VoiceError:
            continue
    return np.zeros(256, np.float32)


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--speaker", type=PATH, required=True, help="Folder of the bundle speaker."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], speaker: Path) -> None:
    """Embed the voices of all clips."""
    clips = chosen(data, read_recipe(config, Settings, changes))
    embedder = SpeakerEmbedder(SpeakerGraph(speaker))  # type: ignore[arg-type]
    place, known = work / STYLES, {}
    if place.exists():
        with np.load(place) as kept:
            known = dict(zip(kept["paths"].tolist(), kept["styles"], strict=True))
    missing = [clip.path for clip in clips if clip.path not in known]
    for begin in range(0, len(missing), _SAVED):
        for path in missing[begin : begin + _SAVED]:
            known[path] = style_of(embedder, speech_of(soundfile.read(data / path, dtype="float32")[0]))
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part.npz")
        np.savez(part, paths=np.array(list(known)), styles=np.stack(list(known.values())))
        part.replace(place)
        sys.stderr.write(f"{len(known)} of {len(clips)} voices\n")


if __name__ == "__main__":
    main()
