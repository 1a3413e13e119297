"""What the emotion recogniser says about every clip, step by step: the gate as it will be when the system runs."""

import json
from importlib import resources

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, EXPERT_OF, EXPERTS
from rtemo.api.model import ModelCard
from rtemo.dsp.filterbank import mel_filterbank
from rtemo.dsp.stft import low_delay_windows
from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.progress import progress
from rtemo_models.systems.gem.data.cache import TraceCache

AT_ONCE = 32
UNSURE = np.full(len(EXPERTS), 1 / len(EXPERTS), np.float32)


class Recogniser:
    """The shipped emotion network, run over whole clips.

    Args:
        bundle: Package that holds the network and its card.
    """

    def __init__(self, bundle: str = "rtemo_weights.merit_listen") -> None:
        import onnxruntime

        folder = resources.files(bundle)
        self.card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = (folder / self.card.weights).read_bytes()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        facts = self.card.front_end
        self._frame, self._hop = int(facts["frame_samples"]), int(facts["hop_samples"])
        self._window = low_delay_windows(self._frame, self._hop, int(facts["synthesis_samples"]))[0]
        self._bank = mel_filterbank(
            int(facts["mel_count"]),
            rate_hz=SAMPLE_RATE_HZ,
            fft_samples=int(facts["fft_samples"]),
            low_hz=float(facts["low_hz"]),
            high_hz=float(facts["high_hz"]),
        ).dense()

    def bands(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network hears of a clip, float32 [hops, mel_count], whole steps."""
        hops = len(samples) // self._hop // 4 * 4
        padded = np.pad(samples[: hops * self._hop], (self._frame - self._hop, 0))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self._frame)[:: self._hop]
        spectra = np.fft.rfft(frames * self._window.astype(np.float32))
        power = np.abs(spectra).astype(np.float32) ** 2 * np.float32((2 / self._window.sum()) ** 2)
        return np.log(np.maximum(power @ self._bank.T.astype(np.float32), np.float32(self.card.front_end["floor"])))

    def posteriors(self, clips: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Probability of each emotion after each step, float32 [steps, 8], of clips side by side."""
        heard = [self.bands(samples) for samples in clips]
        longest = max(map(len, heard))
        x = np.full((len(clips), longest, heard[0].shape[1]), -23.0, np.float32)
        for row, bands in enumerate(heard):
            x[row, : len(bands)] = bands
        weight = active_frames(torch.from_numpy(x)).numpy()
        state = {k: np.full((len(clips), *s.shape), s.fill, s.dtype) for k, s in self.card.states.items()}
        names = ["logits", *(f"next_{name}" for name in state)]
        said = np.zeros((len(clips), longest // 4, len(EMOTIONS)), np.float32)
        for step in range(longest // 4):
            part = slice(4 * step, 4 * step + 4)
            feeds = {"bands": x[:, part], "weight": weight[:, part], **state}
            logits, *after = self._session.run(names, feeds)
            state = dict(zip(state, after, strict=True))
            said[:, step] = logits / self.card.calibration.get("temperature", 1.0)
        shares = np.exp(said - said.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return [shares[row, : len(bands) // 4] for row, bands in enumerate(heard)]


def gate_matrix() -> NDArray[np.float32]:
    """Emotions → experts, float32 [8, 4]: a row per emotion, 1 where its expert is."""
    matrix = np.zeros((len(EMOTIONS), len(EXPERTS)), np.float32)
    for row, emotion in enumerate(EMOTIONS):
        matrix[row, EXPERTS.index(EXPERT_OF[emotion])] = 1.0
    return matrix


def label_gate(emotion: str) -> NDArray[np.float32] | None:
    """The gate that an emotion's label gives, float32 [4]; None without a label."""
    return gate_matrix()[EMOTIONS.index(emotion)] if emotion else None


def open_gates(corpus: TraceCache) -> list[NDArray[np.float32]]:
    """Gate after each step of each clip, float32 [steps, 4]; computed first when it is absent."""
    stem = corpus.folder / "gates"
    steps = np.diff(corpus.offsets) // 4
    if not stem.with_suffix(".f16").exists():
        recogniser, matrix = Recogniser(), gate_matrix()
        gates: list[NDArray[np.float16]] = [np.zeros((0, len(EXPERTS)), np.float16)] * len(corpus)
        order = np.argsort(steps)
        groups = [order[k : k + AT_ONCE] for k in range(0, len(order), AT_ONCE)]
        for group in progress(groups, "gates"):
            said = recogniser.posteriors([corpus.audio.samples(int(i)) for i in group])
            for i, shares in zip(group, said, strict=True):
                gates[i] = (shares @ matrix).astype(np.float16)
        np.concatenate(gates).tofile(stem.with_suffix(".part"))
        stem.with_suffix(".part").replace(stem.with_suffix(".f16"))
        stem.with_suffix(".json").write_text(json.dumps({"bundle": recogniser.card.sha256}))
    flat = np.fromfile(stem.with_suffix(".f16"), np.float16).reshape(-1, len(EXPERTS)).astype(np.float32)
    return np.split(flat, np.cumsum(steps)[:-1])
