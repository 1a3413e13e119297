"""Short words alone on the telephone: how many a back end keeps."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.quality.vad.corpus import RATE_HZ, Mixture, read_audio, telephone

WORDS = ("yes", "no", "yeah", "ok", "hm", "what", "go", "nope", "right", "sure", "hi", "stop")
VOICES = ("en-us", "en-us+f3", "en-gb", "de", "en-us+m7")
WORDS_PER_MINUTE = (160, 200, 300, 450)
_DURATION_S = 3.0


def short_words() -> list[Mixture]:
    """Speak every word with every voice at every speed, one second into faint noise; empty without espeak-ng."""
    if shutil.which("espeak-ng") is None:
        return []
    random = np.random.default_rng(0)
    spoken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        for words_per_minute in WORDS_PER_MINUTE:
            for word in WORDS:
                for voice in VOICES:
                    command = ["espeak-ng", "-v", voice, "-s", f"{words_per_minute}", "-w", path, word]
                    subprocess.run(command, check=True)
                    spoken.append(_in_silence(read_audio(path), random))
    return spoken


def _in_silence(word: np.ndarray, random: np.random.Generator) -> Mixture:
    loud = np.flatnonzero(np.abs(word) > 0.01 * np.abs(word).max())
    word = 0.3 * word[loud[0] : loud[-1] + 1]
    sound = random.normal(0, 1e-4, round(_DURATION_S * RATE_HZ))
    sound[RATE_HZ : RATE_HZ + len(word)] += word
    return Mixture("none", np.inf, "telephone", telephone(sound), [(RATE_HZ, RATE_HZ + len(word))], np.zeros(0, bool))
