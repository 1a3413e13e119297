"""Which clips make the spoof corpus: how many of each source, drawn by a seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from rtemo_models.kit.audio.programs import MOODS, VOICES, is_installed
from rtemo_models.kit.audio.resynthesis import WAYS
from rtemo_models.systems.gem.data import neural
from rtemo_models.systems.gem.data.clips import SpoofClip, human_clips, resynthesised, site_clips, spoken_clips
from rtemo_models.systems.gem.data.sentences import SENTENCES

PACKAGE_DEV_SHARE = 0.2


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many clips for training and for dev."""

    train: int
    dev: int


class CorpusRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the corpus; see the comments in the recipe's file."""

    seed: int
    human: dict[str, Counts]
    most_of_a_system: int
    resynthesis: dict[str, Counts]
    packages: dict[str, int]
    imitations: dict[str, int] = {}
    neural: dict[str, Counts] = {}


def plan(data_dir: Path, recipe: CorpusRecipe, work: Path) -> list[SpoofClip]:
    """Choose the clips, the same for the same seed and data; what is not installed or was not made is left out.

    Args:
        data_dir: Folder of the recordings.
        recipe: How many of each.
        work: Folder with our own vocoder, and with what other programs said under `spoken`.
    """
    random = np.random.default_rng(recipe.seed)
    everyone = human_clips(data_dir)
    human: list[SpoofClip] = []
    for corpus, counts in recipe.human.items():
        for split in ("train", "dev"):
            mine = [c for c in everyone if c.corpus == corpus and c.split == split]
            human += spread(mine, getattr(counts, split), random)
    by_system: dict[tuple[str, str], list[SpoofClip]] = defaultdict(list)
    for clip in site_clips(data_dir):
        by_system[clip.corpus, clip.system].append(clip)
    sites = [c for mine in by_system.values() for c in spread(mine, recipe.most_of_a_system, random)]
    genuine = [c for c in (*human, *sites) if not c.is_synthetic and c.split == "train"]
    return [
        *human,
        *sites,
        *copies(human, recipe.resynthesis, WAYS, random),
        *spoken(recipe, random),
        *imitated(genuine, recipe, random),
        *copies(human, ready(recipe.neural, work), neural.WAYS, random),
        *spoken_clips(work / "spoken"),
    ]


def ready(wanted: Mapping[str, Counts], work: Path) -> dict[str, Counts]:
    """Neural vocoders whose weights are there."""
    found = {system: counts for system, counts in wanted.items() if neural.is_ready(system, work)}
    for system in wanted:
        if system not in found:
            print(f"{system} is not installed or not trained: left out")
    return found


def spread(clips: Sequence[SpoofClip], count: int, random: np.random.Generator) -> list[SpoofClip]:
    """Draw up to `count` clips, evenly over emotions and, within these, over speakers."""
    groups: dict[str, dict[str, list[SpoofClip]]] = defaultdict(lambda: defaultdict(list))
    for k in random.permutation(len(clips)):
        groups[clips[k].emotion][clips[k].speaker].append(clips[k])
    chosen: list[SpoofClip] = []
    while len(chosen) < min(count, len(clips)):
        for by_speaker in list(groups.values()):
            if not by_speaker or len(chosen) == count:
                continue
            speaker = next(iter(by_speaker))
            mine = by_speaker.pop(speaker)
            chosen.append(mine.pop())
            if mine:
                by_speaker[speaker] = mine  # to the end of the queue
    return chosen


def copies(
    human: Sequence[SpoofClip],
    wanted: Mapping[str, Counts],
    ways_of: Mapping[str, Sequence[str]],
    random: np.random.Generator,
) -> list[SpoofClip]:
    """Resyntheses of the human clips that were chosen, spread over emotions and ways."""
    made = []
    for system, counts in wanted.items():
        ways = ways_of[system]
        for split in ("train", "dev"):
            some = spread([c for c in human if c.split == split], getattr(counts, split), random)
            made += [resynthesised(c, system, ways[k % len(ways)]) for k, c in enumerate(some)]
    return made


def imitated(genuine: Sequence[SpoofClip], recipe: CorpusRecipe, random: np.random.Generator) -> list[SpoofClip]:
    """Imitations of genuine training clips, those of sites too: they alone have the sites' recordings on both sides."""
    made, rest = [], [genuine[k] for k in random.permutation(len(genuine))]
    for system, count in recipe.imitations.items():
        if len(rest) < count:
            rest += [genuine[k] for k in random.permutation(len(genuine))]
        made += [resynthesised(c, system, "drawn") for c in rest[:count]]
        rest = rest[count:]
    return made


def spoken(recipe: CorpusRecipe, random: np.random.Generator) -> list[SpoofClip]:
    """What packages are to say, in every mood and voice in turn."""
    said = []
    for system, count in recipe.packages.items():
        if not is_installed(system):
            print(f"{system} is not installed: left out")
            continue
        emotions, voices = tuple(MOODS), VOICES[system]
        for k in range(count):
            emotion, voice = emotions[k % len(emotions)], voices[k // len(emotions) % len(voices)]
            text = SENTENCES[int(random.integers(len(SENTENCES)))]
            name, speaker = f"{system}/{k}", f"{system}-{voice}"
            split = "dev" if random.random() < PACKAGE_DEV_SHARE else "train"
            said.append(SpoofClip(name, "", text, voice, system, system, speaker, emotion, split))
    return said


def seeded(recipe: CorpusRecipe, clip: SpoofClip) -> np.random.Generator:
    """A generator of a clip's own, so that one more clip changes no other; a copy is cut where its original is."""
    return np.random.default_rng([recipe.seed, *(clip.twin or clip.name).encode()])
