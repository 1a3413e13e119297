"""What the audio side is given of a clip: pooled frames of the large listener, its hidden units, and measured cues."""

import importlib.resources
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power
from rtemo_models.kit.audio.speech import speech_of
from rtemo_models.kit.corpora.clip import Clip

RATE_HZ = 16_000
FRAME_SAMPLES = 320
PREFIXES_S = (1.0, 2.0, 3.0)
"""Seconds heard; the last is all that the listener hears at once."""
CUES = ("level_dbfs", "pitch_hz", "rate_per_s")
_BATCH = 8
_AROUND_SAMPLES = 3_200


class Features(NamedTuple):
    """Of n clips.

    Attributes:
        pooled: float32 [n, p, 2048], mean and deviation of the layers 2 and 3 after each of `PREFIXES_S`; no label has
            touched them. Clips to train on were heard whole only.
        words: float32 [n, p, 256], hidden units of the listener, trained on emotions.
        cues: float32 [n, 3], see `CUES`; NaN where there is none.
    """

    pooled: NDArray[np.float32]
    words: NDArray[np.float32]
    cues: NDArray[np.float32]


class Ear:
    """The shipped listener with its pooled frames as one more output.

    Args:
        graph: Path of `merit-large.onnx`; the installed one when None.
    """

    def __init__(self, graph: Path | None = None) -> None:
        import onnx
        import onnxruntime

        place = graph or Path(str(importlib.resources.files("rtemo_weights.merit_large"))) / "merit-large.onnx"
        model = onnx.load(str(place))
        pooled = next(node.input[0] for node in model.graph.node if list(node.input[1:]) == ["heads.heads.0.mean"])
        model.graph.output.append(onnx.helper.make_tensor_value_info(pooled, onnx.TensorProto.FLOAT, ["n", 2048]))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [pooled, "words"]
        self._frames = int(self._session.get_inputs()[1].shape[1])
        card = json.loads((place.parent / "card.json").read_text(encoding="utf-8"))
        self._loudest = float(card["front_end"]["loudest"])

    def hear(self, sounds: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pooled frames and hidden units of stretches of at most 3 s: float32 [n, 2048] and [n, 256]."""
        mel = np.zeros((len(sounds), 2 * self._frames, 80), np.float32)
        there = np.zeros((len(sounds), self._frames), np.float32)
        for row, samples in enumerate(sounds):
            samples = np.pad(samples, (0, max(0, RATE_HZ // 2 - len(samples))))
            count = min(len(samples) // FRAME_SAMPLES, self._frames)
            bands = as_whisper_hears(log_mel_power(samples[: count * FRAME_SAMPLES]), self._loudest)
            mel[row, : 2 * count] = bands[: 2 * count]
            there[row, :count] = 1.0
        pooled, words = self._session.run(self._outputs, {"mel": mel, "there": there})
        return np.asarray(pooled), np.asarray(words)


def cues_of(samples: NDArray[np.float32]) -> tuple[float, float, float]:
    """Level of the loud half in dBFS, median pitch in Hz by autocorrelation, and peaks of energy per second."""
    hops = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    power = (hops**2).mean(1) + 1e-12
    loud = power > np.median(power)
    level_dbfs = float(10 * np.log10(power[loud].mean())) if loud.any() else float("nan")
    smooth = np.convolve(np.sqrt(power), np.hanning(15) / 7.0, mode="same")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > 0.3 * smooth.max())
    rate_per_s = float(peaks.sum() / max(len(hops) * 0.01, 0.5))
    pitches = []
    for start in range(0, len(samples) - 800, 800):
        frame = samples[start : start + 800].astype(np.float64)
        if frame.std() < 0.5 * np.sqrt(power.mean()):
            continue
        frame = frame - frame.mean()
        spectrum = np.fft.rfft(frame, 2048)
        lags = np.fft.irfft(np.abs(spectrum) ** 2)[:321] / ((frame**2).sum() + 1e-12)
        best = 40 + int(np.argmax(lags[40:321]))  # 400 to 50 Hz
        if lags[best] > 0.4:
            pitches.append(RATE_HZ / best)
    return level_dbfs, float(np.median(pitches)) if pitches else float("nan"), rate_per_s


def open_features(cache: Path, data: Path, clips: Sequence[Clip], ear: Ear | None = None) -> Features:
    """Read what is cached of clips, and make what is not; a run that is stopped goes on there."""
    known: dict[str, Any] = {}
    if cache.exists():
        with np.load(cache) as stored:
            known = dict(
                zip(stored["paths"].tolist(), zip(*(stored[n] for n in Features._fields), strict=True), strict=True)
            )
    missing = [clip for clip in clips if clip.path not in known]
    for begin in range(0, len(missing), 8 * _BATCH):
        ear = ear or Ear()
        for at in range(begin, min(begin + 8 * _BATCH, len(missing)), _BATCH):
            part = missing[at : at + _BATCH]
            whole = [soundfile.read(data / clip.path, dtype="float32")[0] for clip in part]
            sounds = [speech_of(samples, _AROUND_SAMPLES, _AROUND_SAMPLES) for samples in whole]
            heard = _hear(ear, part, sounds)
            pooled, words = (np.stack([one[k] for one in heard], 1).astype(np.float16) for k in (0, 1))
            for row, (clip, sound) in enumerate(zip(part, sounds, strict=True)):
                known[clip.path] = pooled[row], words[row], np.array(cues_of(sound[: 3 * RATE_HZ]), np.float32)
        _save(cache, known)
        sys.stderr.write(f"{min(begin + 8 * _BATCH, len(missing))}/{len(missing)} clips heard\n")
    rows = [known[clip.path] for clip in clips]
    return Features(*(np.stack([row[k] for row in rows]).astype(np.float32) for k in range(3)))


def _hear(ear: Ear, clips: Sequence[Clip], sounds: Sequence[NDArray[np.float32]]) -> list[Any]:
    """What is heard after each prefix; of clips to train on after the last alone, which then stands for all."""
    wanted = PREFIXES_S if any(clip.split != "train" for clip in clips) else PREFIXES_S[-1:]
    heard = [ear.hear([sound[: round(s * RATE_HZ)] for sound in sounds]) for s in wanted]
    return heard if len(heard) == len(PREFIXES_S) else heard * len(PREFIXES_S)


def _save(cache: Path, known: dict[str, Any]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    columns = {name: np.stack([row[k] for row in known.values()]) for k, name in enumerate(Features._fields)}
    np.savez(part, paths=np.array(list(known)), **columns)
    part.replace(cache)
