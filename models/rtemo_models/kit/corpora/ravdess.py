"""RAVDESS: 24 actors say two sentences in eight emotions (Livingstone and Russo 2018).

    Actor_12/03-01-06-01-02-01-12.wav   modality, vocal channel, emotion, intensity, statement, repetition, actor

Modality 03 is audio alone, channel 01 speech; actors of odd numbers are men.
"""

import re
from pathlib import Path

from rtemo_models.kit.corpora.file_names import Said, read_files
from rtemo_models.kit.corpora.released import ReleasedCorpus

NAME = "ravdess"
NAMED = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-0[12]-(\d\d)$")
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
TEXTS = ("Kids are talking by the door.", "Dogs are sitting by the door.")
DEV, TEST = ("17", "18", "19", "20"), ("21", "22", "23", "24")


def said_of(stem: str) -> Said | None:
    """What a name says; None for song, video and other names."""
    found = NAMED.match(stem)
    if found is None:
        return None
    emotion, intensity, statement, actor = found.groups()
    level, gender = ("normal", "strong")[int(intensity) - 1], "M" if int(actor) % 2 else "F"
    return Said(actor, EMOTIONS[int(emotion) - 1], level, gender, TEXTS[int(statement) - 1])


def read_ravdess(root: Path) -> ReleasedCorpus:
    """Read the speech; actors 17 to 20 are dev, 21 to 24 test, as in our figures."""
    return read_files(NAME, root, said_of, DEV, TEST, "03-01-06-01-02-01-12.wav")
