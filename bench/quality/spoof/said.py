"""Speech of synthesisers at hand, for gem_large to learn from: `python -m bench.quality.spoof.said --work WORK`.

Demonstration pages hold what researchers show; nobody shows the synthesisers that everybody has. What is installed of
espeak-ng, flite and festival speaks in the moods that their settings allow, Kokoro in its voices and in mixtures of
two, without rtemo's watermark, which is no sign of synthesis. Writes WORK/said/*.flac and WORK/said/manifest.csv; what
is there already is kept.
"""

import csv
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from bench.quality.watermark import SENTENCES as ENGLISH
from rtemo.api import RtemoError
from rtemo.runtime import ModelStore
from rtemo.voice.service import VoiceService
from rtemo.voice.style import read_style
from rtemo_models.kit.audio.programs import MOODS, VOICES, is_installed, speak
from rtemo_models.kit.command import task, work_option

RATE_HZ = 16_000
COLUMNS = ("path", "source", "system", "family", "bona_fide", "emotion", "speaker", "language", "pair", "duration_s")
EACH = {"espeak-ng": 3, "flite": 15, "festival": 40, "kokoro": 5}
"""Synthesiser → clips of each of its voices."""
ABROAD = {
    "de": "Können Sie mir bitte sagen, wann die Lieferung ankommt und wer sie angenommen hat?",
    "fr": "Je voudrais savoir pourquoi ma facture a doublé depuis le mois dernier.",
    "es": "Llevo media hora esperando y nadie me ha dicho qué está pasando.",
    "it": "Mi scusi, ho perso la carta e vorrei bloccarla il prima possibile.",
    "pl": "Proszę powiedzieć, kiedy ktoś wreszcie zajmie się moją sprawą.",
    "pt": "Muito obrigada pela ajuda, isso resolve o meu problema.",
    "nl": "Ik heb gisteren al gebeld, maar er is nog steeds niets veranderd.",
    "sv": "Jag undrar om det går att flytta mötet till nästa vecka.",
    "ru": "Скажите, пожалуйста, когда вы сможете вернуть мне деньги?",
    "tr": "Teşekkür ederim, bu benim sorunumu çözüyor.",
    "ko": "죄송하지만 다시 한번 천천히 말씀해 주시겠어요?",
    "hi": "कृपया बताइए कि मेरा पैसा कब वापस मिलेगा।",
}
"""Language of espeak-ng → what a caller says in it."""
FORMANTS = ("f1", "f5", "m2", "m5", "klatt", "klatt3", "croak", "whisper")


class Line(NamedTuple):
    """What one voice says once."""

    system: str
    voice: str
    text: str
    emotion: str


def lines() -> Iterator[Line]:
    """What the programs that are installed are to say."""
    moods = list(MOODS)
    for system in ("espeak-ng", "flite", "festival"):
        if not is_installed(system):
            sys.stderr.write(f"{system} is not installed: left out\n")
            continue
        voices = list(VOICES[system])
        if system == "espeak-ng":
            voices += [f"en-us+{name}" for name in FORMANTS]
        for k, voice in enumerate(voices):
            for turn in range(EACH[system]):
                yield Line(system, voice, ENGLISH[(7 * k + turn) % len(ENGLISH)], moods[(k + turn) % len(moods)])
        if system == "espeak-ng":
            for k, (language, text) in enumerate(ABROAD.items()):
                yield Line(system, language, text, moods[k % len(moods)])
                yield Line(system, f"{language}+f3", text, moods[(k + 1) % len(moods)])


def said_by_kokoro(service: VoiceService, folder: Path) -> Iterator[tuple[Line, Path]]:
    """Say what is missing in all voices and their mixtures."""
    names = list(service.voice.voices)
    styles = names + [f"{one}*0.5+{other}*0.5" for one, other in combinations(names, 2)]
    for k, name in enumerate(styles):
        for turn in range(EACH["kokoro"]):
            line = Line("kokoro", name, ENGLISH[(5 * k + turn) % len(ENGLISH)], "neutral")
            path = folder / f"kokoro-{k:02d}-{turn}.flac"
            if not path.exists():
                style = read_style(name, service.voice.voices, "kokoro")
                soundfile.write(path, service.say(line.text, style).samples, RATE_HZ)
            yield line, path


def made(folder: Path) -> Iterator[tuple[Line, Path]]:
    """Say what is missing, program after program."""
    random = np.random.default_rng(0)
    for k, line in enumerate(lines()):
        path = folder / f"{line.system}-{k:03d}.flac"
        seed = int(random.integers(1 << 32))  # drawn for each, so that what is there already moves nothing
        if not path.exists():
            speech = speak(line.system, line.voice, line.emotion, line.text, np.random.default_rng(seed))
            soundfile.write(path, speech, RATE_HZ)
        yield line, path
    try:
        service = VoiceService(ModelStore().voice("kokoro"), has_watermark=False)
    except RtemoError as error:
        sys.stderr.write(f"kokoro is left out: {error}\n")
        return
    yield from said_by_kokoro(service, folder)


@task(__doc__, work_option)
def main(work: Path) -> None:
    """Say everything, and list it."""
    folder = work / "said"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.part").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for line, path in made(folder):
            language = line.voice.partition("+")[0].partition("-")[0] if line.system == "espeak-ng" else "en"
            writer.writerow({
                "path": path.name, "source": f"said-{line.system}", "system": line.system, "family": "said",
                "bona_fide": 0, "emotion": line.emotion if line.emotion != "neutral" else "", "speaker": line.voice,
                "language": language, "pair": "", "duration_s": round(soundfile.info(path).duration, 3),
            })  # fmt: skip
    (folder / "manifest.part").replace(folder / "manifest.csv")


if __name__ == "__main__":
    main()
