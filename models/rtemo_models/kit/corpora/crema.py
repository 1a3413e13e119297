"""CREMA-D: 91 actors say twelve sentences in six emotions (Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244).

AudioWAV/1001_IEO_ANG_HI.wav   actor, sentence, emotion, level (XX where none was asked for)
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "crema"
NAMED = re.compile(r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X)$")
EMOTION_OF = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LEVEL_OF = {"LO": "low", "MD": "medium", "HI": "strong"}
TEXT_OF = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
DEV = ("1005", "1085", "1090")


def said_of(stem: str) -> Said | None:
    """What a name says."""
    found = NAMED.match(stem)
    if found is None:
        return None
    actor, sentence, emotion, level = found.groups()
    return Said(actor, EMOTION_OF[emotion], LEVEL_OF.get(level, ""), text=TEXT_OF.get(sentence, ""))


def read_crema(root: Path) -> ReleasedCorpus:
    """Read the corpus; genders stand in a table of their own and are left open."""
    return read_files(NAME, root, said_of, DEV, pattern="1001_IEO_ANG_HI.wav")
