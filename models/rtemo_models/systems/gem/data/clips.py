"""Clips of the spoof corpus: what each is, who speaks, what made it, and where it may be used."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rtemo_models.kit.corpora.clip import Clip, read_clips

FOLD_OF_SITE = {"tortoise": 0, "luo": 1, "thuhcsi": 1, "styletts2": 2, "vits": 3, "autovc": 3}
"""Site that published synthetic speech → the fold in which all of its clips are unseen, the human ones too."""

FOLD_OF_MAKER = {
    "espeak-ng": 0,
    "flite": 1,
    "lpc": 1,
    "festival": 2,
    "world": 2,
    "griffin-lim": 3,
    "mel-phase": 3,
    "split-phase": 3,
    "images": 3,
    "vocoder": 0,
    "converter": 0,
    "melgan": 1,
    "mb-melgan": 2,
    "fastspeech2": 2,
    "tacotron2": 2,
}
"""System that the recipe runs itself → its fold. What rebuilds a spectrum from mel bands is unseen together, and so is
what speaks through one neural vocoder."""

FOLD_OF_CORPUS = {
    "ravdess": 0,
    "librispeech": 0,
    "nemo": 1,
    "speechocean762": 1,
    "ased": 2,
    "baved": 2,
    "rakshak": 3,
    "tess": 3,
}
"""Corpus of genuine speech → the fold in which it is unseen too, where a run is to be strict."""

FOLDS = 4
RESYNTHESISERS = ("world", "griffin-lim", "mel-phase", "lpc")
IMITATIONS = ("source-filter", "split-phase", "images", "phase-vocoder")
"""Makers that are trained on and never reported, see `imitations`."""

PACKAGES = ("espeak-ng", "flite", "festival")
SPEAKING = (*PACKAGES, "fastspeech2", "tacotron2")
"""Systems that speak from text without being a site's: all their clips are unseen in their fold."""


@dataclass(frozen=True, slots=True)
class SpoofClip:
    """One genuine or synthetic clip, before it is made equal to the others.

    Attributes:
        name: Unique, also from run to run.
        source: Recording that is decoded, relative to the data folder, or the whole path of one that another program
            said; empty for speech made of text.
        text: What a package says; empty for recordings.
        voice: Voice a package says it in, or the way of a resynthesis.
        system: What synthesised it; empty for genuine speech.
        corpus: Corpus, site or package it comes from.
        speaker: Who speaks; a voice's name for synthetic speech; unique over corpora.
        emotion: One of the eight, or empty.
        split: `train` or `dev`; no speaker of a human corpus is in both. Sites have no split: they are `train`.
        twin: Name of the genuine clip that was resynthesised; empty otherwise.
    """

    name: str
    source: str
    text: str
    voice: str
    system: str
    corpus: str
    speaker: str
    emotion: str
    split: str
    twin: str = ""

    @property
    def is_synthetic(self) -> bool:
        """Whether a machine made the voice."""
        return bool(self.system)

    @property
    def is_imitation(self) -> bool:
        """Whether a genuine clip was spoilt as vocoders do, for training alone."""
        return self.system in IMITATIONS

    @property
    def fold(self) -> int:
        """The fold in which the clip is unseen; -1 for human corpora, which every fold trains on (train speakers)."""
        if self.corpus in FOLD_OF_SITE:
            return FOLD_OF_SITE[self.corpus]
        return FOLD_OF_MAKER.get(self.system, -1)


def human_clips(data_dir: Path) -> list[SpoofClip]:
    """Genuine clips of the emotion corpora and of read speech, with the splits of their manifests."""
    return [human_clip(clip) for clip in read_clips(data_dir)]


def human_clip(clip: Clip) -> SpoofClip:
    """A clip of a human corpus; read speech and levels of activation have no emotion."""
    return SpoofClip(clip.path, clip.path, clip.text, "", "", clip.corpus, clip.speaker, clip.emotion, clip.split)


def spoken_clips(folder: Path) -> list[SpoofClip]:
    """Clips that other programs said, listed in the folder's `manifest.csv`: path, system, speaker, emotion.

    One in five is for dev; a system that has no fold is trained on in all of them.
    """
    if not (folder / "manifest.csv").exists():
        return []
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        SpoofClip(
            f"{r['system']}/{r['path']}",
            str(folder / r["path"]),
            "",
            "",
            r["system"],
            r["system"],
            r["speaker"],
            r["emotion"],
            "dev" if k % 5 == 4 else "train",
        )
        for k, r in enumerate(rows)
    ]


def site_clips(data_dir: Path) -> list[SpoofClip]:
    """Clips of `spoof/manifest.csv`: systems of many sites and their human references."""
    with (data_dir / "spoof" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    unknown = sorted({r["source"] for r in rows} - set(FOLD_OF_SITE))
    if unknown:
        raise ValueError(f"the site {unknown[0]} has no fold; give it one in FOLD_OF_SITE")
    return [
        SpoofClip(
            r["path"],
            r["path"],
            "",
            "",
            "" if r["bona_fide"] == "1" else r["system"],
            r["source"],
            site_speaker(r["path"], r["source"]),
            r["emotion"],
            "train",
        )
        for r in rows
    ]


def site_speaker(path: str, site: str) -> str:
    """Who speaks on a site's page, as far as the file's name tells.

    Sites share public corpora, and so voices: VCTK's numbers, LibriTTS's readers (named as LibriSpeech names them) and
    the one voice of LJSpeech are told apart by name, so that none is trained on where it is reported. The rest is one
    voice per file.
    """
    stem = Path(path).stem
    if found := re.search(r"p?(2\d\d|3[0-7]\d)_\d{3}", stem) if site == "autovc" else re.search(r"p(\d{3})_", stem):
        return f"vctk-{found[1]}"
    if "LJSpeech" in stem or "_lj" in stem or (site == "vits" and "_ss_" in stem):
        return "ljspeech"
    if found := re.search(r"_(\d+)-\d+-\d{4}", stem):
        return f"librispeech-{found[1]}"
    return f"{site}-{re.sub(r'[_-]?[0-9]+$', '', stem)}"


def in_training(clips: Iterable[SpoofClip], fold: int | None, is_strict: bool = False) -> list[SpoofClip]:
    """Clips that may be trained on when `fold` is unseen; None: when nothing is.

    Out go the fold's own clips, clips of its systems from anywhere, all clips in the voice of a genuine speaker that it
    reports, synthetic ones too, dev speakers, and what was resynthesised from any of these. A strict run does without
    whole corpora of genuine speech too, see `FOLD_OF_CORPUS`.
    """
    listed = list(clips)
    train = [c for c in listed if c.split == "train"]
    if fold is None:
        return train
    if is_strict:
        train = [c for c in train if FOLD_OF_CORPUS.get(c.corpus) != fold]
    unseen = [c for c in listed if c.fold == fold]
    systems = {c.system for c in unseen if c.is_synthetic and not c.is_imitation}
    systems |= {system for system, mine in FOLD_OF_MAKER.items() if mine == fold}
    speakers = {c.speaker for c in unseen if not c.is_synthetic}
    return [c for c in train if c.fold != fold and c.system not in systems and c.speaker not in speakers]


def in_report(clips: Iterable[SpoofClip], fold: int) -> list[SpoofClip]:
    """Clips that tell how well `fold` is recognised unseen: its own, of dev speakers where speakers have a split."""
    return [
        c
        for c in clips
        if not c.is_imitation
        and (
            (c.fold == fold and (c.split == "dev" or c.corpus in FOLD_OF_SITE or c.system in SPEAKING))
            or (c.fold == -1 and c.split == "dev")
        )
    ]


def in_strict_report(clips: Iterable[SpoofClip], fold: int) -> list[SpoofClip]:
    """Of `in_report`, what a strict run did not see in any way: speech by neural systems, and corpora left out.

    Copies of clips are out: their originals' corpora are known in some folds and not in others.
    """
    return [
        c
        for c in in_report(clips, fold)
        if c.corpus in FOLD_OF_SITE
        or (c.is_synthetic and c.system in SPEAKING and c.system not in PACKAGES)
        or (not c.is_synthetic and FOLD_OF_CORPUS.get(c.corpus) == fold)
    ]


def refuse_shared(train: Iterable[SpoofClip], report: Iterable[SpoofClip]) -> None:
    """Refuse a fold in which a genuine speaker, a system or a recording is both trained on and reported.

    Raises:
        ValueError: Naming the first few.
    """
    trained, reported = list(train), list(report)

    def shared(kind: str, mine: set[str], its: set[str]) -> None:
        if both := sorted((mine & its) - {""}):
            raise ValueError(f"{len(both)} {kind} are trained on and reported: {', '.join(both[:5])}")

    def speakers(clips: list[SpoofClip]) -> set[str]:
        return {c.speaker for c in clips if not c.is_synthetic}

    shared("systems", {c.system for c in trained}, {c.system for c in reported})
    shared("speakers", speakers(trained), speakers(reported))
    shared("recordings", {c.source for c in trained}, {c.source for c in reported})


def resynthesised(clip: SpoofClip, system: str, way: str) -> SpoofClip:
    """The clip as a resynthesis makes it: the same words by another system, and in the mood that the way is `to-`."""
    mood = way.removeprefix("to-") if way.startswith("to-") else clip.emotion
    return replace(clip, name=f"{clip.name}#{system}-{way}", voice=way, system=system, emotion=mood, twin=clip.name)
