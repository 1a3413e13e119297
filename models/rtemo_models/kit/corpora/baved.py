"""BAVED: Arabic single words at three levels of activation instead of emotions (Aouf 2019).

0-m-21-3-1-921.wav   speaker, gender, age, word, level (0 low, 1 normal, 2 high), number of the recording
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "baved"
NAMED = re.compile(r"(\d+)-([mf])-\d+-\d-([012])-\d+$")
DEV = ("101", "14", "19", "23", "28", "3", "32", "37", "41", "46", "50", "55", "8")


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    return None if found is None else Said(found[1], "", found[3], found[2].upper())


def read_baved(root: Path) -> ReleasedCorpus:
    """Read the corpus, with the dev speakers of our figures."""
    return read_files(NAME, root, said_of, DEV, pattern="0-m-21-3-1-921.wav")
