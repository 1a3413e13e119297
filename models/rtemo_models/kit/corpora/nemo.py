"""nEMO: nine Polish actors in six emotions (Christop 2024, arXiv:2404.06292).

data.tsv                      file_id, emotion, raw_text, normalized_text, speaker_id, gender, age
samples/SK0_anger_12.wav      speaker, emotion, sentence
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "nemo"
NAMED = re.compile(r"([A-Z]{2}\d)_(anger|fear|happiness|neutral|sadness|surprised?)_(\d+)$")
EMOTION_OF = {
    "anger": "angry",
    "fear": "fear",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprise",
    "surprised": "surprise",
}
TRAIN, DEV = ("EB0", "IC0", "KS0", "MP0", "WR0"), ("MK0", "SM0")


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    return None if found is None else Said(found[1], EMOTION_OF[found[2]])


def read_nemo(root: Path) -> ReleasedCorpus:
    """Read the corpus; the two actors that our figures knew nothing of are test.

    Texts and genders are those of `data.tsv`, where it is there.
    """
    speakers = {said.speaker for p in root.rglob("*") if (said := said_of(p.stem)) is not None}
    found = read_files(NAME, root, said_of, DEV, speakers - {*TRAIN, *DEV}, "SK0_anger_12.wav")
    table = next(iter(sorted(root.rglob("data.tsv"))), None)
    if table is None:
        return found
    with table.open(newline="", encoding="utf-8") as file:
        rows = {Path(r["file_id"]).stem: r for r in csv.DictReader(file, delimiter="\t")}
    clips = []
    for clip in found.clips:
        row = rows.get(Path(clip.path).stem, {})
        clips.append(replace(clip, text=row.get("raw_text", ""), gender=row.get("gender", "")[:1].upper()))
    return ReleasedCorpus(NAME, clips, found.left_out)
