"""Trains the converter: `python -m rtemo_models.systems.vocoder.train.converter`.

A run writes `checkpoint.pt` (to resume: run the same command again), `average.pt` (the averaged weights, which are
used) and `log.jsonl` into its folder. With `--score N --vocoder FILE` nothing is trained: kept-back clips are rebuilt,
and N of them are converted and put through the vocoder, to see where their pitch goes.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.audio.cache import open_audio
from rtemo_models.kit.command import PATH, Training, training
from rtemo_models.kit.corpora.clip import Clip, read_clips
from rtemo_models.kit.loop import Run, decayed_groups
from rtemo_models.kit.nets.converter import (
    PEAK,
    Converter,
    ConverterConfig,
    Place,
    convert,
    load_converter,
    pitch_frames,
    usual_pitch,
)
from rtemo_models.kit.nets.vocoder import BANDS, Vocoder, load_vocoder, mel_of, wave_of
from rtemo_models.kit.progress import progress
from rtemo_models.kit.run_folder import save_net
from rtemo_models.kit.schedule import cosine_share

REPORT_EVERY_STEPS = 250
KEPT_BACK = 10
"""One clip in so many of every place is kept back for scoring."""

Values = NDArray[np.float32]


class ConverterRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of the converter; see the comments in the recipe's file."""

    seed: int
    corpora: tuple[str, ...]
    fewest_clips: int
    most_clips: int
    steps: int
    batch: int
    crop_frames: int
    warp: float
    rate_peak: float
    warm_steps: int
    average_decay: float
    net: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Voices:
    """Clips as mel bands and pitch, with their places.

    Attributes:
        places: The (speaker, emotion) of every row of the table.
        mel: Log mel bands of each clip, float16 [frames, bands].
        pitch_hz: Pitch of each clip, float32 [frames].
        place: Row of each clip.
        is_kept_back: Whether a clip is for scoring.
    """

    places: tuple[Place, ...]
    mel: Sequence[NDArray[np.float16]]
    pitch_hz: Sequence[Values]
    place: NDArray[np.int64]
    is_kept_back: NDArray[np.bool_]


def chosen_clips(clips: Sequence[Clip], recipe: ConverterRecipe) -> list[Clip]:
    """Training clips of the places that have enough of them, at most as many as wanted of each, drawn by chance."""
    random = np.random.default_rng(recipe.seed)
    found: dict[Place, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.split == "train" and clip.emotion and clip.corpus in recipe.corpora and clip.duration_s >= 1.4:
            found[clip.speaker, clip.emotion].append(clip)
    chosen: list[Clip] = []
    for place in sorted(found):
        mine = found[place]
        if len(mine) >= recipe.fewest_clips:
            chosen += [mine[i] for i in sorted(random.permutation(len(mine))[: recipe.most_clips])]
    return chosen


def open_voices(data_dir: Path, folder: Path, recipe: ConverterRecipe) -> Voices:
    """Open what is trained on, measuring it first when it is absent (minutes of one core, most of them for pitch)."""
    path = folder / "voices.npz"
    clips = chosen_clips(read_clips(data_dir), recipe)
    if not path.exists():
        audio = open_audio(folder / "voices", data_dir, [c.path for c in clips])
        mels, pitches = [], []
        for i in progress(range(len(clips)), "voices"):
            samples = audio.samples(i)
            samples = PEAK / max(1e-3, float(np.abs(samples).max())) * samples
            mels.append(mel_of(samples).astype(np.float16))
            pitches.append(pitch_frames(samples))
        lengths = np.asarray([len(m) for m in mels])
        np.savez(path, mel=np.concatenate(mels), pitch_hz=np.concatenate(pitches), lengths=lengths)
    with np.load(path) as saved:
        ends = np.cumsum(saved["lengths"])[:-1]
        mels, pitches = np.split(saved["mel"], ends), np.split(saved["pitch_hz"], ends)
    return voices_of([(c.speaker, c.emotion) for c in clips], mels, pitches)


def voices_of(said_by: Sequence[Place], mel: Sequence[NDArray[np.float16]], pitch_hz: Sequence[Values]) -> Voices:
    """Clips with their places numbered, every tenth of a place kept back.

    Raises:
        ValueError: There are not as many clips as places given.
    """
    if not len(said_by) == len(mel) == len(pitch_hz):
        raise ValueError(f"{len(mel)} clips were measured, of {len(said_by)}: remove voices.npz to measure them again")
    places = tuple(sorted(set(said_by)))
    numbers = {place: i for i, place in enumerate(places)}
    place = np.asarray([numbers[p] for p in said_by])
    seen: dict[int, int] = defaultdict(int)
    kept = np.zeros(len(place), bool)
    for i, p in enumerate(place):
        seen[int(p)] += 1
        kept[i] = seen[int(p)] % KEPT_BACK == KEPT_BACK - 3  # a place of seven clips has one of them, too
    return Voices(places, mel, pitch_hz, place, kept)


def warped(mel: Values, factor: float) -> Values:
    """Mel bands [frames, bands] with the axis of bands stretched: another length of the vocal tract, roughly."""
    where = np.clip(np.arange(BANDS) * factor, 0, BANDS - 1.001)
    low = where.astype(np.int64)
    share = (where - low).astype(np.float32)
    moved: Values = (1 - share) * mel[:, low] + share * mel[:, low + 1]
    return moved


class ConverterRun(Run[Converter]):
    """One training run in its folder."""

    def __init__(self, recipe: ConverterRecipe, voices: Voices, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=REPORT_EVERY_STEPS,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.voices = recipe, voices
        net = Converter(ConverterConfig(voices.places, **recipe.net))
        long_enough = np.asarray([len(m) >= recipe.crop_frames for m in voices.mel])
        self.train_clips = np.flatnonzero(~voices.is_kept_back & long_enough)
        for place in range(len(voices.places)):
            mine = np.flatnonzero((voices.place == place) & ~voices.is_kept_back)
            mean, deviation = usual_pitch([voices.pitch_hz[i] for i in map(int, mine)])
            net.mean_log[place], net.deviation_log[place] = mean, deviation
        self.begin(net, torch.optim.AdamW(decayed_groups(net), recipe.rate_peak, (0.9, 0.98), weight_decay=0.01))

    def rate_at(self, step: int) -> float:
        """A short ramp, times half a cosine down to a fiftieth."""
        recipe = self.recipe
        share = cosine_share(step, recipe.steps, recipe.warm_steps, floor=0.02, warmup_overlaps=True)
        return recipe.rate_peak * share

    def update(self, step: int) -> dict[str, Tensor]:
        """Learn a batch."""
        heard, wanted, pitch_hz, place = self.batch(step)
        before, after = self.net(heard, pitch_hz, place)
        losses = {"before": F.l1_loss(before, wanted), "after": F.l1_loss(after, wanted)}
        self.learn(losses["before"] + losses["after"])
        return losses

    def write(self) -> None:
        """Write the averaged weights."""
        save_net(self.average, self.folder / "average.pt")

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the encoder hears and what is wanted [batch, frames, bands], pitch [batch, frames], place [batch].

        The encoder hears another vocal tract than the one wanted, so that the code is no place to keep it.
        """
        random = np.random.default_rng([self.recipe.seed, step])
        count, voices = self.recipe.crop_frames, self.voices
        clips = random.choice(self.train_clips, self.recipe.batch)
        heard, wanted, pitch_hz = [], [], []
        for i in map(int, clips):
            start = int(random.integers(len(voices.mel[i]) - count + 1))
            mel = voices.mel[i][start : start + count].astype(np.float32)
            wanted.append(mel)
            heard.append(warped(mel, math.exp(random.uniform(-self.recipe.warp, self.recipe.warp))))
            pitch_hz.append(voices.pitch_hz[i][start : start + count])
        stacks = [torch.from_numpy(np.stack(rows)) for rows in (heard, wanted, pitch_hz)]
        return stacks[0], stacks[1], stacks[2], torch.from_numpy(voices.place[clips])


def rebuilt_distance(net: Converter, voices: Voices) -> float:
    """Mean L1 of log mel bands of kept-back clips at their own places."""
    found = []
    for i in map(int, np.flatnonzero(voices.is_kept_back)):
        mel, pitch_hz = torch.from_numpy(voices.mel[i].astype(np.float32)), torch.from_numpy(voices.pitch_hz[i])
        with torch.no_grad():
            _, made = net(mel[None], pitch_hz[None], torch.from_numpy(voices.place[i : i + 1]))
        found.append(float((made[0] - mel).abs().mean()))
    return float(np.mean(found))


def score_pitch(net: Converter, vocoder: Vocoder, voices: Voices, count: int, seed: int) -> list[dict[str, Any]]:
    """Kept-back clips at drawn places: the pitch that they have, that the place has, and that comes out, in Hz."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    clips = random.permutation(np.flatnonzero(voices.is_kept_back))
    for i in map(int, clips[:count]):
        target = int(random.integers(len(voices.places)))
        pitch_hz = voices.pitch_hz[i]
        mel = convert(net, voices.mel[i].astype(np.float32), pitch_hz, voices.places[target])
        made_hz = pitch_frames(wave_of(vocoder, mel))
        if (pitch_hz > 0).sum() < 10 or (made_hz > 0).sum() < 10:
            continue
        rows.append(
            {
                "from": voices.places[int(voices.place[i])],
                "to": voices.places[target],
                "source_hz": float(np.median(pitch_hz[pitch_hz > 0])),
                "target_hz": float(np.exp(float(net.mean_log[target]))),
                "made_hz": float(np.median(made_hz[made_hz > 0])),
            }
        )
    return rows


def summary_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Medians over conversions of how far pitch is from the target, in semitones: before and after."""
    source, target, made = (np.asarray([r[key] for r in rows]) for key in ("source_hz", "target_hz", "made_hz"))
    return {
        "conversions": float(len(rows)),
        "semitones_before": float(np.median(np.abs(12 * np.log2(source / target)))),
        "semitones_after": float(np.median(np.abs(12 * np.log2(made / target)))),
    }


@training(
    __doc__,
    Path(__file__).parents[1] / "recipes" / "converter.toml",
    "converter",
    click.option("--score", "clips", type=int, metavar="CLIPS", help="Score the averaged weights."),
    click.option("--vocoder", "vocoder_path", type=PATH, help="The vocoder's average.pt, for --score."),
)
def main(job: Training, clips: int | None, vocoder_path: Path | None) -> None:
    """Command line."""
    recipe = job.recipe(ConverterRecipe)
    voices = open_voices(job.data, job.work / "cache", recipe)
    if not clips:
        ConverterRun(recipe, voices, job.folder).train(job.until)
        return
    if vocoder_path is None:
        raise click.UsageError("--score needs --vocoder, the average.pt of its run")
    net, vocoder = load_converter(job.folder / "average.pt"), load_vocoder(vocoder_path)
    rows = score_pitch(net, vocoder, voices, clips, recipe.seed)
    said = {"mel_l1": rebuilt_distance(net, voices)} | summary_of(rows) | {"rows": rows}
    (job.folder / "score.json").write_text(json.dumps(said, indent=1) + "\n")
    print(json.dumps(said | {"rows": len(rows)}, indent=1))


if __name__ == "__main__":
    main()
