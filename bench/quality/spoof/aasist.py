"""AASIST (Jung et al. 2022, arXiv:2110.01200), the usual choice, from a checkout of its authors' code and weights."""

import json
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.clips import Clip, in_band, read_audio
from rtemo.api import RtemoError

WINDOW_SAMPLES = 64_600
"""What it listens to: the first 4.04 s of a clip, a shorter one repeated, as in its own evaluation."""
ARM = "aasist"


class Aasist:
    """The public network on one thread.

    Args:
        folder: A checkout with `config/AASIST.conf`, `models/AASIST.py` and the weights that the configuration names.

    Raises:
        RtemoError: Something is missing there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import torch
        except ModuleNotFoundError:
            raise RtemoError("AASIST needs the package torch", "install rtemo[train]") from None
        try:
            config = json.loads((folder / "config" / "AASIST.conf").read_text(encoding="utf-8"))
            loader = SourceFileLoader("aasist_model", str(folder / "models" / "AASIST.py"))
            module = ModuleType(loader.name)
            loader.exec_module(module)
            self._model = module.Model(config["model_config"]).eval()
            weights = torch.load(folder / config["model_path"], map_location="cpu", weights_only=True)
            self._model.load_state_dict(weights)
        except (OSError, KeyError, ValueError, AttributeError, RuntimeError) as error:
            raise RtemoError(
                f"AASIST cannot be opened in {folder} ({error})", "give a checkout of its code with its weights"
            ) from None
        torch.set_num_threads(1)
        self._torch = torch

    def __call__(self, samples: NDArray[np.float32]) -> float:
        """Score a clip: minus the logit of `bona fide`, which is what its own evaluation ranks by; not calibrated."""
        with self._torch.inference_mode():
            _, logits = self._model(self._torch.from_numpy(window(samples))[None])
        return -float(logits[0, 1])


def window(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first 4.04 s, or the clip repeated until it is as long."""
    return np.ascontiguousarray(np.resize(samples, WINDOW_SAMPLES), np.float32)


def score_peer(
    peer: Aasist, clips: list[Clip], bands: tuple[str, ...] = ("full",)
) -> tuple[list[dict[str, object]], float]:
    """Score clips; gives rows that stand beside those after 4 s of speech, and ms per window."""
    rows: list[dict[str, object]] = []
    taken_ms: list[float] = []
    for band in bands:
        for clip in clips:
            samples = in_band(read_audio(clip.path), band)
            start_ns = time.perf_counter_ns()
            score = peer(samples)
            taken_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
            rows.append(clip.row() | {"band": band, "seconds": "4", "score": score, "arm": ARM})
    return rows, float(np.median(taken_ms)) if taken_ms else float("nan")
