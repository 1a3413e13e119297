"""Disordered speech said again: words, voice and pitch before and after, against one-shot and standard synthesis.

    python -m bench.quality.reconstruction [--speakers 3] [--phrases 2] [--tries 20]
    python -m bench.quality.reconstruction --data DIR --speechocean CHECKOUT [--speakers 3] [--oldest 12]

Disordered speech is made: mixtures of the voices of the model, at the pitch of children, say sentences of the Harvard
list with a fifth to nine tenths of the consonants that can be fronted, stopped or glided so replaced, at known places.
So the voices lie in the span that is searched: what real children would give is worse. With `--speechocean` (a checkout
of jimbozhang/speechocean762, for texts and ages; the clips are those of DIR) children who learn English speak.
Words and consonants are those that whisper-base hears, which guesses from context.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from bench.quality.speech_scores import Samples, char_error, heard_text, interval, word_error
from bench.quality.watermark import SENTENCES
from rtemo.api import Consent
from rtemo.dsp.resample import resample
from rtemo.runtime import ModelStore
from rtemo.voice.fit import fit_style
from rtemo.voice.manner import at_median
from rtemo.voice.reference import RATE_HZ, melody_of
from rtemo.voice.service import VoiceService, sign_spans
from rtemo.voice.speaker import SpeakerEmbedder, cosine
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.chiressd.consonants import consonants_heard, disordered, share_right
from rtemo_models.systems.chiressd.reconstruct import ALPHA, BETA, reconstruct

VOICES = ("jf_nezumi*0.7+jm_kumo*0.3", "jf_tebukuro*0.5+jf_gongitsune*0.5", "jm_kumo*0.8+jf_alpha*0.2", "jf_nezumi")
PITCHES_HZ = (280.0, 310.0, 255.0, 295.0)
PROCESSES = ("fronting", "stopping", "gliding")
OURS = f"ours, alpha {ALPHA:g} beta {BETA:g}"
CONSENT = Consent(who="nobody, the voices are made", when="2026-01-01")


def made_child(
    service: VoiceService, voice: str, pitch_hz: float, text: str, share: float, random: np.random.Generator
) -> tuple[Samples, float]:
    """A sentence said with replaced consonants, and the share that was replaced."""
    signs, _ = sign_spans(service.forms(text))
    said, replaced, count = disordered(signs, PROCESSES, share, random)
    style = read_style(voice, service.voice.voices, "kokoro")
    plan = at_median(service.voice.plan(said, style.of(len(said)), speed=0.9), pitch_hz)
    audio = resample(service.voice.render(plan), service.voice.card.sample_rate_hz, RATE_HZ)
    return audio, replaced / max(count, 1)


def consonants_right(service: VoiceService, text: str, heard: str) -> float:
    intended = "".join(form.signs for form in service.forms(text))
    signs = (
        "".join(form.signs for form in service.forms(heard))
        if any(map(str.isascii, heard)) and heard.strip(" .")
        else ""
    )
    return share_right(consonants_heard(intended, signs))


class Spoken(NamedTuple):
    """What one speaker said: name, texts, recordings, and the share of consonants replaced where it is known."""

    name: str
    texts: list[str]
    recordings: list[Samples]
    replaced: list[float]


def made_speakers(service: VoiceService, speakers: int, phrases: int) -> Iterator[Spoken]:
    random = np.random.default_rng(0)
    for number in range(speakers):
        voice, pitch_hz = VOICES[number % len(VOICES)], PITCHES_HZ[number % len(PITCHES_HZ)]
        texts = [SENTENCES[(number * phrases + place) % len(SENTENCES)] for place in range(phrases)]
        shares = random.uniform(0.2, 0.9, phrases)
        said = [made_child(service, voice, pitch_hz, *given, random) for given in zip(texts, shares, strict=True)]
        yield Spoken(voice, texts, [samples for samples, _ in said], [share for _, share in said])


def children(data: Path, checkout: Path, speakers: int, oldest: int) -> Iterator[Spoken]:
    texts, ages = {}, {}
    for split in ("train", "test"):
        texts |= dict(line.split(maxsplit=1) for line in (checkout / split / "text").read_text().splitlines())
        ages |= dict(line.split() for line in (checkout / split / "spk2age").read_text().splitlines())
    young = sorted(name for name, age in ages.items() if int(age) <= oldest)
    count = 0
    for name in young:
        paths = sorted((data / "clean" / "speechocean762" / f"SPEAKER{name}").glob("*.opus"))
        recordings = [soundfile.read(path, dtype="float32")[0] for path in paths]
        if sum(map(len, recordings)) < 4 * RATE_HZ or count == speakers:
            continue
        count += 1
        yield Spoken(f"{name}, {ages[name]} years", [texts[path.stem] for path in paths], recordings, [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", type=int, default=3)
    parser.add_argument("--phrases", type=int, default=2)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--speechocean", type=Path)
    parser.add_argument("--oldest", type=int, default=12)
    asked = parser.parse_args()
    models = ModelStore()
    service = VoiceService(models.voice("kokoro"))
    embedder, speech = SpeakerEmbedder(models.load("speaker")), models.speech("whisper-base")
    standard = read_style("jf_alpha", service.voice.voices, "kokoro")
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    replaced: list[float] = []
    if asked.speechocean is not None:
        everybody = children(asked.data, asked.speechocean, asked.speakers, asked.oldest)
    else:
        everybody = made_speakers(service, asked.speakers, asked.phrases)
    for spoken in everybody:
        begun_s = time.process_time()
        fitted = fit_style(service.voice, np.concatenate(spoken.recordings), embedder, CONSENT, tries=asked.tries)
        took_s = time.process_time() - begun_s
        print(f"# {spoken.name}: style fitted in {took_s:.0f} s of processor time, {fitted.similarity}", flush=True)
        own = Style(np.asarray(fitted.style, np.float32), spoken.name, fitted)
        replaced += spoken.replaced
        for text, reference in zip(spoken.texts, spoken.recordings, strict=True):
            target, melody = embedder.embed(reference), melody_of(reference)
            arms = {
                "as spoken": reference,
                "standard synthesis": service.say(text, standard).samples,
                "one-shot synthesis": service.say(text, Style(own.table, spoken.name)).samples,
                OURS: reconstruct(reference, text, service, own).samples,
                "ours, alpha 0 beta 0": reconstruct(reference, text, service, own, alpha=0.0, beta=0.0).samples,
            }
            for arm, samples in arms.items():
                heard = heard_text(speech, samples)
                row = rows[arm]
                row["CER"].append(char_error(text, heard))
                row["WER"].append(word_error(text, heard))
                row["consonants right"].append(consonants_right(service, text, heard))
                row["speaker cosine"].append(cosine(target, embedder.embed(samples)))
                made_hz = melody_of(samples).median_hz
                ratio = made_hz / melody.median_hz if made_hz and melody.median_hz else float("nan")
                row["F0 off, semitones"].append(abs(12.0 * float(np.log2(ratio))))
                row["F0 off, %"].append(100.0 * abs(ratio - 1.0))
    count = len(rows["as spoken"]["CER"])
    known = f"; {np.mean(replaced):.0%} of consonants replaced" if replaced else ""
    print(f"{count} phrases of {asked.speakers} speakers{known}")
    for arm, row in rows.items():
        print(arm)
        for name, values in row.items():
            print(f"  {name:<20}{interval(values)}")
    if len(replaced) > 2:
        before, after = (np.array(rows[arm]["consonants right"]) for arm in ("as spoken", OURS))
        r = np.corrcoef(np.array(replaced), after - before)[0, 1]
        print(f"share of consonants replaced against share corrected, as whisper hears it: r = {r:.2f} (n = {count})")


if __name__ == "__main__":
    main()
