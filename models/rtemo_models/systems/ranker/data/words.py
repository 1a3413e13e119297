"""What the shipped listener says of every clip, in several versions: `words` of 192 values a step, computed once.

Networks that listen on, such as the ranker, are trained on what will reach them when the system runs: the bundle itself
is run, its byte weights included, over clean, reverberant, telephone and noisy versions of the clips.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo_models.kit.audio.augment import DB, FLOOR_LOG, active_frames, smooth_curve
from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.rooms import scaled_noise
from rtemo_models.kit.audio.spectra import Spectra
from rtemo_models.kit.progress import progress

AT_ONCE = 48
STEP_HOPS = 4

Samples = NDArray[np.float32]
Heard = tuple[NDArray[np.float16], NDArray[np.float16]]
"""Words float16 [steps, width] and the share of speech of each step float16 [steps]."""


@dataclass(frozen=True, slots=True)
class WordVariant:
    """A version of every clip: which voices, noise at which SNRs, whether microphones colour it and gains differ."""

    name: str
    voices: str = "dry"
    snr_db: tuple[float, float] | None = None
    is_coloured: bool = False


WORD_VARIANTS = (
    WordVariant("dry"),
    WordVariant("room", voices="room", is_coloured=True),
    WordVariant("line", voices="line", snr_db=(10.0, 30.0)),
    WordVariant("noise", snr_db=(0.0, 20.0), is_coloured=True),
)


class Ear:
    """The shipped listener, run over whole clips.

    Args:
        bundle: Package that holds the network and its card.

    Attributes:
        sha256: Of the network.
    """

    def __init__(self, bundle: str = "rtemo_weights.merit_listen") -> None:
        import onnxruntime

        folder = resources.files(bundle)
        card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = (folder / card.weights).read_bytes()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._states = card.states
        self._spectra = Spectra()
        self.sha256 = card.sha256
        self.width = card.outputs["words"].shape[0]

    def bands(self, samples: Samples) -> NDArray[np.float32]:
        """What the network hears of a clip, float32 [hops, mel_count], whole steps."""
        hops = max(1, len(samples) // (160 * STEP_HOPS)) * STEP_HOPS
        padded = np.pad(samples, (0, max(0, hops * 160 - len(samples))))[: hops * 160]
        with torch.no_grad():
            return self._spectra.logs(self._spectra.analyse(torch.from_numpy(padded)[None]))[0][0].numpy()

    def words(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float16]]:
        """Words after each step, float16 [steps, width], of the bands of clips side by side."""
        longest = max(map(len, clips))
        x = np.full((len(clips), longest, clips[0].shape[1]), FLOOR_LOG, np.float32)
        for row, bands in enumerate(clips):
            x[row, : len(bands)] = bands
        weight = np.ones((len(clips), STEP_HOPS), np.float32)  # of the listener's own pooling: the words are before it
        state = {k: np.full((len(clips), *s.shape), s.fill, s.dtype) for k, s in self._states.items()}
        names = ["words", *(f"next_{name}" for name in state)]
        said = np.zeros((len(clips), longest // STEP_HOPS, self.width), np.float16)
        for step in range(longest // STEP_HOPS):
            part = np.ascontiguousarray(x[:, STEP_HOPS * step : STEP_HOPS * (step + 1)])
            words, *after = self._session.run(names, {"bands": part, "weight": weight, **state})
            state = dict(zip(state, after, strict=True))
            said[:, step] = words
        return [said[row, : len(bands) // STEP_HOPS] for row, bands in enumerate(clips)]


class WordCache:
    """Words and shares of speech of many clips, memory-mapped from `<stem>.f16` with offsets in `<stem>.json`.

    Attributes:
        offsets: int64 [clips + 1], where the steps of each clip begin.
        width: Values of a step's words.
        made_s: When the words were computed.
    """

    def __init__(self, stem: Path) -> None:
        index = json.loads(stem.with_suffix(".json").read_text())
        self.offsets = np.asarray(index["offsets"], np.int64)
        self.width: int = index["width"]
        self.made_s = stem.with_suffix(".json").stat().st_mtime
        flat = np.memmap(stem.with_suffix(".f16"), np.float16, "r").reshape(-1, self.width + 1)
        self._words, self._speech = flat[:, :-1], flat[:, -1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def clip(self, i: int) -> Heard:
        """Words and shares of speech of clip `i`; of no steps where the clip was not wanted."""
        part = slice(self.offsets[i], self.offsets[i + 1])
        return self._words[part], self._speech[part]


def open_words(
    stem: Path,
    ear: Ear,
    count: int,
    wanted: Sequence[int],
    hear: Callable[[int], tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> WordCache:
    """Open the words at `stem`; they are computed first when absent, or of another listener or other clips.

    Args:
        stem: Path without suffix.
        ear: The listener.
        count: How many clips there are.
        wanted: Numbers of the clips to hear; the others get no steps.
        hear: Number of a clip → what is heard, float32 [hops, mel_count], and share of speech float32 [hops].
    """
    wanted = sorted(set(map(int, wanted)))
    index = stem.with_suffix(".json")
    made_of = {"listener": ear.sha256, "wanted": wanted}
    if index.exists() and {k: json.loads(index.read_text()).get(k) for k in made_of} == made_of:
        return WordCache(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_suffix(".part").open("wb") as out:
        groups = [wanted[k : k + AT_ONCE * 8] for k in range(0, len(wanted), AT_ONCE * 8)]
        lengths = np.zeros(count, np.int64)
        for group in progress(groups, f"words {stem.name}"):
            heard = [hear(i) for i in group]
            said: list[NDArray[np.float16]] = [np.zeros((0, ear.width), np.float16)] * len(group)
            order = np.argsort([len(bands) for bands, _ in heard])  # alike in length: little is heard in vain
            for k in range(0, len(order), AT_ONCE):
                some = order[k : k + AT_ONCE]
                for row, words in zip(some, ear.words([heard[row][0] for row in some]), strict=True):
                    said[row] = words
            for i, words, (_, speech) in zip(group, said, heard, strict=True):
                shares = speech[: len(words) * STEP_HOPS].reshape(-1, STEP_HOPS).mean(1)
                out.write(np.concatenate([words, shares[:, None].astype(np.float16)], 1).tobytes())
                lengths[i] = len(words)
    offsets = [0, *np.cumsum(lengths).tolist()]
    stem.with_suffix(".part").replace(stem.with_suffix(".f16"))
    index.write_text(json.dumps({"width": ear.width, "offsets": offsets, **made_of}))
    return WordCache(stem)


def hearing(
    variant: WordVariant, ear: Ear, dry: AudioCache, voices: AudioCache, noises: Sequence[Samples], seed: int
) -> Callable[[int], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """How clip i is heard in a variant: bands, and which hops are speech (of the dry clip)."""

    def hear(i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        random = np.random.default_rng((seed, i, sum(variant.name.encode())))
        samples = voices.samples(i)
        if variant.snr_db is not None:
            noise = noises[random.integers(len(noises))]
            at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
            samples = samples + scaled_noise(samples, noise[at], random.uniform(*variant.snr_db))
        bands = ear.bands(samples)
        if variant.is_coloured:
            places = np.linspace(0, 1, bands.shape[1])
            curve = smooth_curve(places, 3.0 * DB, random) + random.uniform(-8, 8) * DB * (places - 0.5)
            bands = bands + curve.astype(np.float32) + np.float32(random.uniform(-28, 10) * DB)
            floor = np.float32(random.uniform(-100, -80) * DB)
            bands = np.maximum(np.logaddexp(bands, floor), np.float32(math.log(1e-10)))
        return bands, speech_of(ear.bands(dry.samples(i)))

    return hear


def speech_of(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which hops of a clean clip are speech, float32 [hops]."""
    return active_frames(torch.from_numpy(bands)[None])[0].numpy()
