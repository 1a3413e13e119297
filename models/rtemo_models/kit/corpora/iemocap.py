"""IEMOCAP: five sessions of two actors each, scripted and improvised, rated turn by turn.

Busso et al. 2008, "IEMOCAP: Interactive emotional dyadic motion capture database". The folder as released:

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt   [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5, 2.5, 2.5]
    Session1/dialog/transcriptions/Ses01F_impro01.txt  Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The bracketed values are valence, activation and dominance on scales from 1 to 5.
"""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from rtemo.api.errors import AudioInputError
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.corpora.released import ReleasedCorpus, duration_s, need, scaled

NAME = "iemocap"
SESSIONS = (1, 2, 3, 4, 5)
EMOTION_OF = {
    "ang": "angry",
    "sad": "sad",
    "hap": "happy",
    "exc": "happy",
    "neu": "neutral",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "fro": "",
    "oth": "",
    "xxx": "",
}
"""Code → emotion. Excited counts as happy, as is usual; frustrated, other and no agreement have no label."""

TURN = re.compile(r"^\[\d+\.\d+ - \d+\.\d+\]\s+(Ses\d\d\w+)\s+(\w{3})\s+\[([\d.]+), ([\d.]+), ([\d.]+)\]", re.MULTILINE)
SAID = re.compile(r"^(Ses\d\d\w+) \[[\d.-]+\]: *(.*)$", re.MULTILINE)


def read_iemocap(root: Path, dev: Collection[int] = (4,), test: Collection[int] = (5,)) -> ReleasedCorpus:
    """Read the corpus; each actor is in one session only, so whole sessions are held out.

    Args:
        root: Folder that holds Session1 to Session5, or one above it.
        dev: Sessions to select models on.
        test: Sessions to report; the five choices of one session are the usual leave-one-session-out folds.

    Raises:
        AudioInputError: If a session lacks its annotations or all its audio, or a code is unknown.
    """
    base = need(root, ["Session1", "*/Session1"], NAME).parent
    clips, left_out = [], Counter[str]()
    for session in SESSIONS:
        split = "dev" if session in dev else "test" if session in test else "train"
        folder = need(base, [f"Session{session}"], NAME)
        need(folder, ["dialog/EmoEvaluation/Ses*.txt"], NAME)
        need(folder, ["sentences/wav"], NAME)
        said = transcripts(folder)
        for path in sorted((folder / "dialog" / "EmoEvaluation").glob("Ses*.txt")):
            for turn, code, valence, arousal, dominance in TURN.findall(path.read_text(encoding="utf-8")):
                if code not in EMOTION_OF:
                    raise AudioInputError(f"{turn} is {code!r}; expected one of {', '.join(EMOTION_OF)}")
                audio = folder / "sentences" / "wav" / turn.rsplit("_", 1)[0] / f"{turn}.wav"
                if not audio.exists():
                    left_out["without audio"] += 1
                    continue
                gender = turn.rsplit("_", 1)[1][0]
                clips.append(
                    Clip(
                        str(audio.resolve()),
                        NAME,
                        f"{NAME}-Ses{session:02d}{gender}",
                        split,
                        EMOTION_OF[code],
                        "",
                        duration_s(audio),
                        f"Session{session}",
                        (scaled(valence, 1, 5), scaled(arousal, 1, 5), scaled(dominance, 1, 5)),
                        gender=gender,
                        text=said.get(turn, ""),
                    )
                )
    return ReleasedCorpus(NAME, clips, left_out).checked()


def transcripts(folder: Path) -> dict[str, str]:
    """Turn → what was said, of one session; empty where the transcriptions are missing."""
    said: dict[str, str] = {}
    for path in sorted((folder / "dialog" / "transcriptions").glob("Ses*.txt")):
        said |= dict(SAID.findall(path.read_text(encoding="utf-8", errors="replace")))
    return said
