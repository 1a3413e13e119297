"""Selection: the turns that people are asked about, and the splits of all speakers, kept with the corpus."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from rtemo.api import ConfigError
from rtemo.corpus.retrieval import Candidate, Pick, retrieve
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.splits import assign_splits, groups_of
from rtemo.corpus.stages import Books, encode
from rtemo.corpus.voices import gender_of
from rtemo.io.whole_file import write_whole

SELECTION_FILE = "selection.json"


class Selection(msgspec.Struct, kw_only=True):
    """What was chosen.

    Attributes:
        picks: Turns, in the order in which they were chosen.
        splits: Speaker → split, of everybody whose turns passed the gates.
        wanted: How many turns were asked for.
    """

    picks: list[Pick] = []
    splits: dict[int, str] = {}
    wanted: int = 0


def read_selection(folder: Path) -> Selection:
    """Read what was chosen; nothing, where nothing was yet.

    Raises:
        ConfigError: The file makes no sense.
    """
    path = folder / SELECTION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Selection)
    except FileNotFoundError:
        return Selection()
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "take it away and build again") from None


def select(books: Books, settings: CorpusSettings, wanted: int) -> Selection:
    """Choose turns up to the wanted number; what was chosen before stays, and nobody changes the split."""
    before = read_selection(books.folder)
    turns = books.turns
    genders = genders_of(books)
    seconds: dict[int, float] = {}
    for turn in turns:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + (turn.end - turn.start) / RATE_HZ
    splits = _splits(books, settings, seconds, genders, before.splits)
    opinions = {name: {entry.unit: entry for entry in ledger} for name, ledger in books.opinions.items()}
    candidates = [
        Candidate(unit=turn.unit, speaker=turn.speaker, gender=genders[turn.speaker], split=splits[turn.speaker])
        for turn in turns
    ]
    there = {turn.unit for turn in turns}
    picks = retrieve(
        candidates,
        opinions,
        wanted,
        settings.share_of_splits,
        settings.seed,
        [pick for pick in before.picks if pick.unit in there],
    )
    found = Selection(picks=picks, splits={**before.splits, **splits}, wanted=wanted)
    write_whole(books.folder / SELECTION_FILE, encode(found))
    return found


def _splits(
    books: Books,
    settings: CorpusSettings,
    seconds: Mapping[int, float],
    genders: Mapping[int, str],
    kept: Mapping[int, str],
) -> dict[int, str]:
    """Give speakers their splits, by themselves or with all whom recordings join them to."""
    groups = {speaker: speaker for speaker in seconds}
    if settings.split_by == "recording":
        groups = groups_of(entry.speakers for entry in books.linked.kept)
    sums: dict[int, dict[str, float]] = {}
    before: dict[int, str] = {}
    for speaker, length_s in seconds.items():
        of = sums.setdefault(groups[speaker], {})
        of[genders[speaker]] = of.get(genders[speaker], 0.0) + length_s
        if speaker in kept:
            before.setdefault(groups[speaker], kept[speaker])
    found = assign_splits(
        {group: sum(of.values()) for group, of in sums.items()},
        {group: max(of, key=of.__getitem__) for group, of in sums.items()},
        settings.share_of_splits,
        settings.seed,
        before,
    )
    return {speaker: kept.get(speaker, found[groups[speaker]]) for speaker in seconds}


def genders_of(books: Books) -> Mapping[int, str]:
    """Guess the gender of every speaker from the lower end of the pitch."""
    return {speaker: gender_of(pitch_hz) for speaker, pitch_hz in books.pitch_hz().items()}
