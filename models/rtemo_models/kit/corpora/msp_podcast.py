"""MSP-Podcast: natural speech from podcasts, rated by at least five listeners per turn.

Busso et al. 2025, "The MSP-Podcast Corpus" (arXiv:2509.09791). The folder as released (1.8 and later):

    Audios/MSP-PODCAST_0001_0008.wav      or Audio/
    Labels/labels_consensus.csv           FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
    Labels/labels_detailed.csv            one row per listener, optional
    Transcripts/MSP-PODCAST_0001_0008.txt optional

Consensus classes are letters, dimensions are means on scales from 1 to 7. The labels of Test3 are withheld.
"""

from collections import Counter, defaultdict
from pathlib import Path

from rtemo.api import EMOTIONS
from rtemo.api.errors import AudioInputError
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.corpora.released import ReleasedCorpus, duration_s, need, read_table, scaled
from rtemo_models.kit.progress import progress

NAME = "msp_podcast"
EMOTION_OF = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "",
    "N": "neutral",
    "O": "",
    "X": "",
}
"""Letter → emotion. Contempt, other and no agreement have no label here, but their ratings count."""

EMOTION_OF_VOTE = {
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "neutral": "neutral",
}
"""A listener's word in lower case → emotion; contempt and other are not counted."""

SPLIT_OF = {"Train": "train", "Development": "dev", "Validation": "dev"} | {f"Test{k}": "test" for k in (1, 2, 3)}
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")


def read_msp_podcast(root: Path) -> ReleasedCorpus:
    """Read the corpus from the folder it was released in.

    A turn whose speaker is unknown might be of anybody. It is kept only for training, and only when its podcast has no
    turn in another split; then it is a speaker of its own, one per podcast. All others are left out, so that nobody is
    both trained on and tested.

    Raises:
        AudioInputError: If a file, folder or column is missing, or a cell is not what the release describes.
        ValueError: If a speaker is in two splits.
    """
    table = need(root, ["Labels/labels_consensus.csv", "Labels/labels_concensus.csv"], NAME)
    rows = read_table(table, COLUMNS)
    audio = need(root, ["Audios", "Audio"], NAME)
    votes = read_votes(root)
    elsewhere = {podcast_of(r["FileName"]) for r in rows if SPLIT_OF.get(r["Split_Set"]) != "train"}
    clips, left_out = [], Counter[str]()
    for row in progress(rows, NAME):
        name, part, letter = row["FileName"], row["Split_Set"], row["EmoClass"]
        if part not in SPLIT_OF:
            raise AudioInputError(
                f"{name} has Split_Set {part!r}; expected {', '.join(SPLIT_OF)}", f"mend {table.name}"
            )
        if letter and letter not in EMOTION_OF:
            raise AudioInputError(f"{name} has EmoClass {letter!r}; expected a letter of {''.join(EMOTION_OF)}")
        unknown = row["SpkrID"].strip().lower() in ("", "unknown", "nan")
        if unknown and (SPLIT_OF[part] != "train" or podcast_of(name) in elsewhere):
            left_out["of unknown speakers who might be in another split"] += 1
            continue
        if not (audio / name).exists():
            left_out["without audio"] += 1
            continue
        speaker = f"unknown-{podcast_of(name)}" if unknown else row["SpkrID"].strip()
        clips.append(
            Clip(
                str((audio / name).resolve()),
                NAME,
                f"{NAME}-{speaker}",
                SPLIT_OF[part],
                EMOTION_OF.get(letter, ""),
                "",
                duration_s(audio / name),
                part,
                (scaled(row["EmoVal"], 1, 7), scaled(row["EmoAct"], 1, 7), scaled(row["EmoDom"], 1, 7)),
                votes.get(name, ()),
                {"Male": "M", "Female": "F"}.get(row["Gender"], ""),
                transcript(root, name),
            )
        )
    return ReleasedCorpus(NAME, clips, left_out).checked()


def podcast_of(name: str) -> str:
    """The podcast of a turn: the second part of `MSP-PODCAST_0001_0008.wav`."""
    parts = Path(name).stem.split("_")
    return parts[1] if len(parts) > 1 else name


def transcript(root: Path, name: str) -> str:
    """What was said, empty where no transcript was released."""
    path = root / "Transcripts" / f"{Path(name).stem}.txt"
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) if path.exists() else ""


def read_votes(root: Path) -> dict[str, tuple[int, ...]]:
    """How many listeners chose each of `EMOTIONS`, by file name; empty without `labels_detailed.csv`.

    Later releases have a column `EmoClass_Major`; 1.11 packs a listener into one cell `EmoDetail`, such as
    `WORKER00000042; Happy; Happy,Excited; A:5.0; V:6.0; D:4.0;`.
    """
    path = root / "Labels" / "labels_detailed.csv"
    if not path.exists():
        return {}
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(EMOTIONS))
    for row in read_table(path, ["FileName"]):
        word = row.get("EmoClass_Major") or (row.get("EmoDetail") or "; ").split(";")[1]
        emotion = EMOTION_OF_VOTE.get(word.strip().lower(), "")
        if emotion:
            counts[row["FileName"]][EMOTIONS.index(emotion)] += 1
    return {name: tuple(votes) for name, votes in counts.items()}
