"""ASED: 65 speakers of Amharic in five emotions (Retta et al. 2023, arXiv:2201.02710).

n1-01-02-01-05.wav   emotion (n1, f2, h3, s4, a5), sentence, repetition, gender (01 female, 02 male), speaker
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "ased"
NAMED = re.compile(r"([nfhsa][1-5])-\d\d-\d\d-(0[12])-(\d\d)$", re.IGNORECASE)
EMOTION_OF = {"n1": "neutral", "f2": "fear", "h3": "happy", "s4": "sad", "a5": "angry"}
DEV = ("01", "06", "10", "15", "24", "29", "33", "38", "42", "47", "51", "56", "60", "65")


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    if found is None or found[1].lower() not in EMOTION_OF:
        return None
    return Said(found[3], EMOTION_OF[found[1].lower()], gender="F" if found[2] == "01" else "M")


def read_ased(root: Path) -> ReleasedCorpus:
    """Read the corpus, with the dev speakers of our figures."""
    return read_files(NAME, root, said_of, DEV, pattern="n1-01-02-01-05.wav")
