"""TESS: two women say "Say the word ..." in seven emotions (Pichora-Fuller and Dupuis 2020, doi:10.5683/SP2/E8H2MF).

OAF_angry/OAF_back_angry.wav   speaker (OAF the older, YAF the younger), word, emotion (ps: pleasant surprise)
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "tess"
NAMED = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)$")
"""One file of the release is called OA_bite_neutral."""


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    if found is None:
        return None
    speaker, word, emotion = found.groups()
    return Said(
        "YAF" if speaker == "YAF" else "OAF",
        "surprise" if emotion == "ps" else emotion,
        gender="F",
        text=f"Say the word {word}.",
    )


def read_tess(root: Path) -> ReleasedCorpus:
    """Read the corpus; with two speakers there is nobody to spare for dev."""
    return read_files(NAME, root, said_of, (), pattern="OAF_back_angry.wav")
