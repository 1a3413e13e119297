"""MSP-IMPROV: six sessions of two actors each who improvise and read, rated turn by turn.

Busso et al. 2017, "MSP-IMPROV: An acted corpus of dyadic interactions to study emotion perception". The folder as
released, with or without a folder `Audio` above the sessions:

    Evalution.txt (so spelled; also Evaluation.txt)
    session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav

A block of the evaluation is the consensus of a turn and then its raters, of whom the consensus names the video:

    UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.800000; V:3.000000; D:2.600000 ; N:3.800000;
    20130312_rater; Neutral; Calm, ; A:3.000000; V:3.000000; D:3.000000; N:4.000000;

A, V and D are arousal, valence and dominance on scales from 1 to 5.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import fmean

from rtemo.api import EMOTIONS
from rtemo.api.errors import AudioInputError
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.corpora.released import ReleasedCorpus, duration_s, need, scaled

NAME = "msp_improv"
EMOTION_OF = {"A": "angry", "S": "sad", "H": "happy", "N": "neutral", "O": "", "X": ""}
"""Letter → emotion; other and no agreement have no label."""

EMOTION_OF_VOTE = {"Angry": "angry", "Sad": "sad", "Happy": "happy", "Neutral": "neutral"}

NUMBER = r"(\d+(?:\.\d+)?|NaN)"
CONSENSUS = re.compile(rf"^UTD-IMPROV-([\w-]+)\.avi;\s*(\w);\s*A:{NUMBER}\s*;\s*V:{NUMBER}\s*;\s*D:{NUMBER}\s*;")
RATER = re.compile(r"^[^;]+;\s*(Angry|Sad|Happy|Neutral|Other)\s*;")
TURN = re.compile(r"S\d\d[AHNS]-([FM])(\d\d)-([PRST])-\w+$")

ENOUGH_TURNS = 20
"""Angry and sad turns it takes to tell which end of the arousal scale is the excited one."""


def read_msp_improv(root: Path, dev: Collection[int] = (5,), test: Collection[int] = (6,)) -> ReleasedCorpus:
    """Read the corpus; each actor is in one session only, so whole sessions are held out.

    Pictures that raters marked arousal on can be numbered from either end, and the table does not say which. Anger
    is more aroused than sadness in every theory of the field, so the scale is turned over when angry turns score lower.

    Args:
        root: Folder that holds the evaluation and the sessions.
        dev: Sessions to select models on.
        test: Sessions to report.

    Raises:
        AudioInputError: If the evaluation or the audio is missing, or a line of it is not as described.
    """
    table = need(root, ["Evalution.txt", "Evaluation.txt", "*/Evalution.txt", "*/Evaluation.txt"], NAME)
    audio = {p.stem.removeprefix("MSP-IMPROV-"): p for p in root.rglob("MSP-IMPROV-*.wav")}
    if not audio:
        raise AudioInputError(f"{root} holds no MSP-IMPROV-*.wav", f"give the folder that {NAME} was released as")
    consensus, votes = read_evaluation(table)
    excited_first = arousal_starts_excited(consensus)
    clips, left_out = [], Counter[str]()
    for turn, (letter, arousal, valence, dominance) in consensus.items():
        named = TURN.match(turn)
        if named is None or letter not in EMOTION_OF:
            raise AudioInputError(f"{table.name} has the turn {turn!r} with class {letter!r}", "give it as released")
        if turn not in audio:
            left_out["without audio"] += 1
            continue
        gender, session, scene = named[1], int(named[2]), named[3]
        rated = scaled(arousal, 1, 5)
        clips.append(
            Clip(
                str(audio[turn].resolve()),
                NAME,
                f"{NAME}-{gender}{session:02d}",
                "dev" if session in dev else "test" if session in test else "train",
                EMOTION_OF[letter],
                "",
                duration_s(audio[turn]),
                f"session{session}-{scene}",
                (scaled(valence, 1, 5), -rated if excited_first else rated, scaled(dominance, 1, 5)),
                tuple(votes[turn]),
                gender,
            )
        )
    return ReleasedCorpus(NAME, clips, left_out).checked()


def read_evaluation(path: Path) -> tuple[dict[str, tuple[str, str, str, str]], dict[str, list[int]]]:
    """Turn → (class, arousal, valence, dominance) and turn → votes per emotion, from the evaluation's blocks.

    Raises:
        AudioInputError: If the line of a consensus cannot be read, with its number.
    """
    consensus: dict[str, tuple[str, str, str, str]] = {}
    votes: dict[str, list[int]] = defaultdict(lambda: [0] * len(EMOTIONS))
    turn = ""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.startswith("UTD-IMPROV-"):
            found = CONSENSUS.match(line)
            if found is None:
                raise AudioInputError(f"line {number} of {path.name} is {line!r}", "give the file as it was released")
            turn = found[1]
            consensus[turn] = (found[2], found[3], found[4], found[5])
        elif (found := RATER.match(line)) and found[1] in EMOTION_OF_VOTE and turn:
            votes[turn][EMOTIONS.index(EMOTION_OF_VOTE[found[1]])] += 1
    return consensus, votes


def arousal_starts_excited(consensus: Mapping[str, tuple[str, str, str, str]]) -> bool:
    """Whether 1 is the excited end of the arousal scale, told by angry against sad turns; False when there are few."""
    of = {c: [float(a) for letter, a, *_ in consensus.values() if letter == c and a != "NaN"] for c in "AS"}
    return min(map(len, of.values())) >= ENOUGH_TURNS and fmean(of["A"]) < fmean(of["S"])
