"""Export: a folder in the form of MSP-Podcast, which its official loaders read and ours."""

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from rtemo.api import ConfigError
from rtemo.corpus.consensus import Agreement, Consensus, agreement_of, by_clip, consensus_of
from rtemo.corpus.counts import count_stages
from rtemo.corpus.raters import quality_of, screened_out
from rtemo.corpus.ratings import DIMENSIONS, PRIMARY, Rated
from rtemo.corpus.retrieval import Pick
from rtemo.corpus.selection import Selection
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.splits import SPLITS
from rtemo.corpus.stages import Books, encode
from rtemo.io.whole_file import gone_if_broken, write_whole

LABELS_FILE, DETAILED_FILE, SOFT_FILE = "labels_consensus.csv", "labels_detailed.csv", "labels_soft.csv"
_COLUMN_OF = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
_FACTS = ("EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")

FEW_RATERS = "too few raters"
AUDIO_IS_MISSING = "its audio is missing"


class Exported(msgspec.Struct, kw_only=True):
    """What was written, and what was left out.

    Attributes:
        turns: How many turns.
        speakers: How many speakers.
        splits: Split → turns.
        letters: Consensus → turns.
        left_out: Reason → turns.
        unlicensed: Recordings of which no licence is known.
        screened_out: Raters whose ratings do not count.
        agreement: Split, or `all` → how far raters agree.
    """

    turns: int
    speakers: int
    splits: dict[str, int]
    letters: dict[str, int]
    left_out: dict[str, int]
    unlicensed: list[str]
    screened_out: list[str]
    agreement: dict[str, Agreement]


def export_corpus(
    books: Books,
    settings: CorpusSettings,
    selection: Selection,
    ratings: Iterable[Rated],
    out: Path,
    *,
    trusted: Sequence[str] = (),
    least_raters: int = 5,
    with_unrated: bool = False,
) -> Exported:
    """Write `Audios`, `Labels`, `Transcripts`, and files that tell sources, agreement and raters.

    Args:
        books: Ledgers of the corpus.
        settings: Of the corpus.
        selection: Turns that were chosen.
        ratings: All ratings.
        out: Folder; what is there of an earlier export is replaced file by file.
        trusted: Raters whose answers are gold; they count as any other.
        least_raters: Turns with fewer are left out.
        with_unrated: Take those in all the same, without labels.

    Raises:
        ConfigError: Nothing was chosen, or nothing is left.
    """
    if not selection.picks:
        raise ConfigError("no turn has been chosen yet", "run `rtemo corpus build` to its end first")
    listed = list(ratings)
    out_raters = screened_out(listed, trusted)
    clips = by_clip(listed, out_raters)
    left_out: Counter[str] = Counter()
    rows: list[tuple[Pick, str, Consensus | None]] = []
    for pick in selection.picks:
        given = clips.get(pick.unit, [])
        if len(given) < least_raters and not with_unrated:
            left_out[FEW_RATERS] += 1
        elif not books.clip_path(pick.unit).exists():
            left_out[AUDIO_IS_MISSING] += 1
        else:
            said = consensus_of(given) if len(given) >= least_raters else None
            rows.append((pick, f"{settings.prefix}_{pick.unit}.wav", said))
    if not rows:
        raise ConfigError(
            f"none of the {len(selection.picks)} chosen turns has {least_raters} raters",
            "rate on with `rtemo corpus rate`, lower --least-raters, or give --with-unrated",
        )
    rows.sort(key=lambda row: row[1])
    _write_audio(books, rows, out)
    _write_tables(rows, clips, out)
    _write_sources(books, rows, out)
    agreement = {"all": _agreement([pick.unit for pick, _, _ in rows], clips)}
    agreement |= {split: _agreement([p.unit for p, _, _ in rows if p.split == split], clips) for split in SPLITS}
    recordings = {books.gated[pick.unit].recording for pick, _, _ in rows}
    found = Exported(
        turns=len(rows),
        speakers=len({pick.speaker for pick, _, _ in rows}),
        splits=dict(Counter(pick.split for pick, _, _ in rows)),
        letters=dict(Counter(said.letter for _, _, said in rows if said is not None)),
        left_out=dict(left_out),
        unlicensed=sorted(unit for unit in recordings if not books.recordings[unit].licence),
        screened_out=out_raters,
        agreement=agreement,
    )
    write_whole(out / "corpus.json", encode(found))
    write_whole(out / "counts.json", encode(count_stages(books, selection)))
    write_whole(out / "raters.json", encode(quality_of(listed, trusted)))
    return found


def _agreement(units: Sequence[str], clips: Mapping[str, Sequence[Rated]]) -> Agreement:
    return agreement_of({unit: clips[unit] for unit in units if unit in clips})


def _write_audio(books: Books, rows: Sequence[tuple[Pick, str, Consensus | None]], out: Path) -> None:
    """Link the turns, or copy them where the folder is on another disk, and write what is said in them."""
    (out / "Audios").mkdir(parents=True, exist_ok=True)
    for pick, name, _ in rows:
        part = out / "Audios" / f".{name}.part"
        part.unlink(missing_ok=True)
        with gone_if_broken(part):
            try:
                os.link(books.clip_path(pick.unit), part)
            except OSError:
                shutil.copyfile(books.clip_path(pick.unit), part)
            os.replace(part, out / "Audios" / name)
        part.unlink(missing_ok=True)  # of two links to one file, replace leaves both
        said = books.written.get(pick.unit)
        if said is not None:
            write_whole(out / "Transcripts" / f"{Path(name).stem}.txt", f"{said.text}\n".encode())


def _write_tables(
    rows: Sequence[tuple[Pick, str, Consensus | None]], clips: Mapping[str, Sequence[Rated]], out: Path
) -> None:
    consensus, detailed, soft = [], [], []
    for pick, name, said in rows:
        facts = {"SpkrID": pick.speaker, "Gender": pick.gender, "Split_Set": pick.split}
        means = {_COLUMN_OF[key]: f"{said.means[key]:.6f}" if said else "" for key in DIMENSIONS}
        consensus.append({"FileName": name, "EmoClass": said.letter if said else "", **means, **facts})
        if said is None:
            continue
        soft.append({"FileName": name, **{key: f"{said.shares[key]:.6f}" for key in PRIMARY}, "Split_Set": pick.split})
        detailed += [
            {
                "FileName": name,
                "Workers": one.rater,
                "EmoClass_Major": one.rating.primary,
                "EmoClass_Second": ",".join(one.rating.secondary),
                **{_COLUMN_OF[key]: getattr(one.rating, key) for key in DIMENSIONS},
                **facts,
            }
            for one in sorted(clips[pick.unit], key=lambda one: one.rater)
        ]
    labels = out / "Labels"
    _write_table(labels / LABELS_FILE, ("FileName", "EmoClass", *_FACTS), consensus)
    _write_table(
        labels / DETAILED_FILE, ("FileName", "Workers", "EmoClass_Major", "EmoClass_Second", *_FACTS), detailed
    )
    _write_table(labels / SOFT_FILE, ("FileName", *PRIMARY, "Split_Set"), soft)


def _write_sources(books: Books, rows: Sequence[tuple[Pick, str, Consensus | None]], out: Path) -> None:
    sources = []
    for pick, name, _ in rows:
        turn = books.gated[pick.unit]
        recording = books.recordings[turn.recording]
        sources.append(
            {
                "FileName": name,
                "Recording": recording.below,
                "Start_s": f"{turn.start / RATE_HZ:.3f}",
                "End_s": f"{turn.end / RATE_HZ:.3f}",
                "Source": recording.source,
                "Licence": recording.licence,
                "Sha256": recording.sha256,
                "Target": pick.target,
                "Criterion": pick.criterion,
                "SNR_dB": turn.snr_db,
                "Music": turn.music,
            }
        )
    _write_table(out / "sources.csv", tuple(sources[0]), sources)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
