"""Rakshak: keywords in Hindi and English, recorded by users on phones; labels by prompt.

    bacho-safe-angry-1562996360436-c7b43119....wav   keyword, place, emotion, time in ms, user

No paper states these names; they are read as the copy that we trained on has them.
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "rakshak"
NAMED = re.compile(r"([a-z]+)-[a-z]+-(angry|calm|fearful|fear|happy)-\d+-([0-9a-f]{8})[0-9a-f]*$")
DEV = (
    *("02fc4ae7", "118f6d89", "1cfb3698", "2dab836c", "39196b80", "432b2a95", "436c368f", "4711544a", "50a73d27"),
    *("7091a094", "7e7a3a8d", "91193322", "98773607", "9dea2065", "c136e396", "c37be7fb", "d2f5206d", "d4bb6153"),
    *("d6ef3341", "e2eb7566", "ec2301df"),
)


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    return None if found is None else Said(found[3], found[2].removesuffix("ful"), text=found[1])


def read_rakshak(root: Path) -> ReleasedCorpus:
    """Read the corpus, with the dev users of our figures."""
    return read_files(NAME, root, said_of, DEV, pattern="bacho-safe-angry-1562996360436-c7b43119.wav")
