"""The evaluation set: unseen talkers in unseen noise, the same for every system and on every machine.

Each clip is one dev talker (several clips of one talker and emotion joined when they are short) in one piece of noise;
it is mixed at every SNR from the same pieces. Corpora and kinds of noise are crossed: of 24 clips each corpus meets
each kind once. Clips are drawn one by one, so that a longer set begins with the shorter one.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.enhancement.active_level import active_power
from rtemo_models.systems.merit.data.recordings import without_silence

RATE_HZ = 16_000
SNRS_DB = (-5.0, 0.0, 5.0, 10.0)
CORPORA = ("ravdess", "librispeech", "nemo", "speechocean762", "ased", "baved")
"""Corpora with a reference clean enough to score against; Rakshak's phone recordings are noisy themselves."""
KINDS = ("sound", "place", "talker", "talkers")
"""New recordings of kinds of sound met in training; a class of place never met; one and three dev talkers."""
TALKERS = {"talker": 1, "talkers": 3}
PLACES = ("airport", "babble", "car", "exhibition")
LEAST_S, MOST_S = 3.0, 8.0
SPEECH_DBFS = -26.0
"""Active level of the speech, give or take `LEVEL_RANGE_DB`."""
LEVEL_RANGE_DB = 6.0
SEED = 20

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Mixture:
    """A noisy clip with its truth."""

    clip: int
    corpus: str
    language: str
    speaker: str
    emotion: str
    """Empty where the corpus names none."""
    noise: str
    """One of `KINDS`."""
    noise_class: str
    """What is heard: the class of the recordings, or who talks."""
    split: str
    """`dev`: noise never trained on; `train`: noise of the training set, for comparison."""
    snr_db: float
    clean: Sound
    noisy: Sound

    @cached_property
    def digest(self) -> str:
        """Name of the content: what was measured on one noisy sound holds for no other."""
        return hashlib.sha1(self.clean.tobytes() + self.noisy.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Recording:
    """A row of a manifest of speech."""

    path: str
    corpus: str
    language: str
    speaker: str
    emotion: str
    duration_s: float


def mixtures(
    data: Path, clips: int, *, noise_split: str = "dev", snrs_db: Sequence[float] = SNRS_DB, seed: int = SEED
) -> Iterator[Mixture]:
    """Make the set, every clip at every SNR.

    Args:
        data: Folder with the manifests of `emotion`, `clean` and `noise`.
        clips: Clips per SNR.
        noise_split: Where noises and competing talkers come from; the talkers to be enhanced are always dev ones.
        snrs_db: Ratios of active speech to noise.
        seed: Another seed is another set.
    """
    targets = _recordings(data, "dev")
    surroundings = Surroundings(data, noise_split)
    for clip in range(clips):
        random = np.random.default_rng((seed, clip))
        corpus = CORPORA[clip % len(CORPORA)]
        kind = kind_of(clip)
        turn = sum(kind_of(earlier) == kind for earlier in range(clip))
        first, speech = _talk(data, [r for r in targets if r.corpus == corpus], random)
        noise, noise_class = surroundings.piece(kind, turn, speech.size, first.speaker, random)
        level_db = SPEECH_DBFS + random.uniform(-LEVEL_RANGE_DB, LEVEL_RANGE_DB)
        for snr_db in snrs_db:
            clean, noisy = mix(speech, noise, snr_db, level_db)
            yield Mixture(
                clip,
                corpus,
                first.language,
                first.speaker,
                first.emotion,
                kind,
                noise_class,
                noise_split,
                snr_db,
                clean,
                noisy,
            )


def kind_of(clip: int) -> str:
    """Kind of noise of a clip; every block of as many clips as there are corpora begins with the next kind."""
    return KINDS[(clip // len(CORPORA) + clip) % len(KINDS)]


def mix(speech: Sound, noise: Sound, snr_db: float, level_dbfs: float = SPEECH_DBFS) -> tuple[Sound, Sound]:
    """Set speech to an active level and add noise of unit power at an SNR on active speech (ITU-T P.56).

    Both are scaled down together where their sum would clip.

    Returns:
        The speech and the sum, float32 [k] each.
    """
    power, _ = active_power(speech)
    if power == 0.0:
        raise ValueError("there is no speech to mix")
    clean = speech.astype(np.float64) * np.sqrt(10 ** (level_dbfs / 10) / power)
    noisy = clean + noise.astype(np.float64) * np.sqrt(10 ** ((level_dbfs - snr_db) / 10))
    scale = min(1.0, 0.99 / float(np.max(np.abs(noisy))))
    return (clean * scale).astype(np.float32), (noisy * scale).astype(np.float32)


class Surroundings:
    """Everything that can be heard beside the talker.

    Args:
        data: Folder with the manifests.
        split: Where recordings and competing talkers come from.
    """

    def __init__(self, data: Path, split: str) -> None:
        self._data = data
        self._talkers = _recordings(data, split)
        self._paths: dict[str, dict[str, list[str]]] = {"sound": {}, "place": {}}
        for row in manifest(data, "noise"):
            if row["split"] == split:
                kind = "place" if row["kind"] in PLACES else "sound"
                self._paths[kind].setdefault(row["kind"], []).append(row["path"])

    def piece(self, kind: str, turn: int, size: int, speaker: str, random: np.random.Generator) -> tuple[Sound, str]:
        """Make a piece of noise.

        Args:
            kind: One of `KINDS`.
            turn: How many pieces of this kind were made before: classes of noise take turns.
            size: Samples.
            speaker: Who must not be heard in it.
            random: What is left to chance.

        Returns:
            float32 [size] of unit power (talkers: of unit active power), and what is heard.
        """
        if kind in TALKERS:
            return self._voices(TALKERS[kind], size, speaker, random)
        classes = sorted(self._paths[kind])
        name = classes[turn * 4 % len(classes)]  # not in the order of names: 4 shares no factor with the 11 classes
        return self._recording(self._paths[kind][name], size, random), name

    def _voices(self, count: int, size: int, speaker: str, random: np.random.Generator) -> tuple[Sound, str]:
        """Talkers of equal level at once."""
        total, names = np.zeros(size), [speaker]
        while len(names) <= count:
            first, voice = _talk(self._data, [r for r in self._talkers if r.speaker not in names], random)
            names.append(first.speaker)
            total += np.resize(np.roll(voice, random.integers(voice.size)), size)
        return _at_unit_level(total.astype(np.float32)), "+".join(names[1:])

    def _recording(self, paths: list[str], size: int, random: np.random.Generator) -> Sound:
        """Recordings of one class on end, from a random place."""
        parts: list[Sound] = []
        while sum(p.size for p in parts) < 2 * size:
            if not len(parts) % len(paths):
                order = random.permutation(len(paths))
            parts.append(without_silence(read(self._data / paths[order[len(parts) % len(paths)]])))
        whole = np.concatenate(parts)
        begin = random.integers(whole.size - size)
        piece = whole[begin : begin + size].astype(np.float64)
        return (piece / np.sqrt(np.mean(piece**2))).astype(np.float32)


def _recordings(data: Path, split: str) -> list[Recording]:
    rows = [row for table in ("emotion", "clean") for row in manifest(data, table) if row["split"] == split]
    return [
        Recording(
            row["path"],
            row["corpus"],
            row.get("language") or "en",
            row["speaker"],
            row.get("emotion") or "",
            float(row["duration_s"]),
        )
        for row in rows
        if row["corpus"] in CORPORA
    ]


def manifest(data: Path, table: str) -> list[dict[str, str]]:
    """Read the rows of a manifest."""
    with (data / table / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@lru_cache(maxsize=256)
def read(path: Path) -> Sound:
    """Read a recording at 16 kHz; channels are averaged."""
    import soundfile

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    if rate_hz != RATE_HZ:
        raise ValueError(f"{path} has {rate_hz} Hz; expected {RATE_HZ}: resample it first")
    return np.asarray(samples.mean(axis=1), np.float32)


def _talk(data: Path, rows: list[Recording], random: np.random.Generator) -> tuple[Recording, Sound]:
    """One talker in one emotion for `LEAST_S` to `MOST_S`; talkers are drawn evenly, then emotions."""
    speakers = sorted({r.speaker for r in rows})
    speaker = speakers[random.integers(len(speakers))]
    emotions = sorted({r.emotion for r in rows if r.speaker == speaker})
    emotion = emotions[random.integers(len(emotions))]
    own = [r for r in rows if (r.speaker, r.emotion) == (speaker, emotion)]
    chosen, duration_s = [], 0.0
    while duration_s < LEAST_S:
        if not len(chosen) % len(own):
            order = random.permutation(len(own))
        chosen.append(own[order[len(chosen) % len(own)]])
        duration_s += chosen[-1].duration_s
    parts = [_at_unit_level(read(data / r.path)) for r in chosen]
    return chosen[0], np.concatenate(parts)[: round(MOST_S * RATE_HZ)]


def _at_unit_level(samples: Sound) -> Sound:
    power, _ = active_power(samples)
    return (samples / np.sqrt(power)).astype(np.float32) if power > 0.0 else samples
