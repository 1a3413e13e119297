"""Frames of the Moonshine tiny encoder, the teacher the student is distilled from.

Moonshine (Jeffries et al. 2024, arXiv:2410.15608) is a speech recogniser trained on some 200,000 hours; its encoder
turns samples into 288 values per 384 samples (41.7 Hz), MIT licence. Its file lies in the wheel of
`moonshine-voice==0.0.48` as `assets/tiny-en/encoder_model.ort`; later versions dropped it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.resample import respeed
from rtemo_models.kit.progress import progress

FRAME_HOP_SAMPLES = 384
FRAME_CENTRE_SAMPLES = 447
"""Centre of the first frame's receptive field: convolutions of kernel 127, 7, 3 and stride 64, 3, 2."""
WIDTH = 288


def find_encoder(path: Path | None) -> Path:
    """The encoder's file: `path`, or the one inside an installed moonshine-voice package.

    Raises:
        FileNotFoundError: If there is none.
    """
    if path is None:
        from importlib.util import find_spec

        spec = find_spec("moonshine_voice")
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / "assets" / "tiny-en" / "encoder_model.ort"
    if path is None or not path.exists():
        raise FileNotFoundError("no encoder_model.ort: install moonshine-voice==0.0.48 or give --teacher PATH")
    return path


class MoonshineEncoder:
    """The teacher, run on whole clips in one thread."""

    def __init__(self, path: Path | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(find_encoder(path)), options, providers=["CPUExecutionProvider"]
        )

    def frames(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Teacher frames of a clip, float32 [frames, 288]; clips under 0.1 s are padded with silence."""
        if len(samples) < 1600:
            samples = np.pad(samples, (0, 1600 - len(samples)))
        feeds = {"input_values": samples[None], "attention_mask": np.ones((1, len(samples)), np.int64)}
        return np.asarray(self._session.run(None, feeds)[0][0], np.float32)


class TeacherCache:
    """Teacher frames of all clips, float16, memory-mapped, at one playback speed."""

    def __init__(self, stem: Path) -> None:
        self.offsets = np.asarray(json.loads(stem.with_suffix(".json").read_text()), np.int64)
        self._frames = np.memmap(stem.with_suffix(".f16"), np.float16, "r").reshape(-1, WIDTH)

    def frames(self, i: int) -> NDArray[np.float16]:
        """Frames of clip `i`, float16 [frames, 288]."""
        return self._frames[self.offsets[i] : self.offsets[i + 1]]

    def at(self, i: int, positions_samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Frames interpolated linearly at sample positions; held at the ends."""
        frames = self.frames(i)
        where = np.clip((positions_samples - FRAME_CENTRE_SAMPLES) / FRAME_HOP_SAMPLES, 0, len(frames) - 1.001)
        low = np.clip(where.astype(np.int64), 0, max(len(frames) - 2, 0))
        high = np.minimum(low + 1, len(frames) - 1)
        share = (where - low)[:, None].astype(np.float32)
        return frames[low].astype(np.float32) * (1 - share) + frames[high].astype(np.float32) * share


class Panel:
    """Several teachers that heard the same clips, their frames side by side."""

    def __init__(self, teachers: Sequence[TeacherCache]) -> None:
        self._teachers = teachers

    def frames(self, i: int) -> NDArray[np.float16]:
        """Frames of clip `i`, float16 [frames, 288 · teachers]; as many as the shortest has."""
        frames = [t.frames(i) for t in self._teachers]
        return np.concatenate([f[: min(map(len, frames))] for f in frames], 1)

    def at(self, i: int, positions_samples: NDArray[np.float64]) -> NDArray[np.float32]:
        """Frames interpolated linearly at sample positions; held at the ends."""
        return np.concatenate([t.at(i, positions_samples) for t in self._teachers], 1)


def open_teacher(stem: Path, audio: AudioCache, encoder: Path | None, speed: str = "normal") -> TeacherCache:
    """Open the teacher frames at `stem`, computing them first when they are absent."""
    if not stem.with_suffix(".json").exists():
        teacher = MoonshineEncoder(encoder)
        offsets = [0]
        with stem.with_suffix(".f16").open("wb") as out:
            for i in progress(range(len(audio)), f"teacher {speed}"):
                frames = teacher.frames(respeed(audio.samples(i), speed))
                out.write(frames.astype(np.float16).tobytes())
                offsets.append(offsets[-1] + len(frames))
        stem.with_suffix(".json").write_text(json.dumps(offsets))
    return TeacherCache(stem)
