"""Disordered speech said again: words, voice and pitch before and after, against one-shot and standard synthesis.

    python -m bench.quality.reconstruction [--speakers 3] [--phrases 2] [--tries 20] [--share 0.7]

Disordered speech is made: mixtures of the voices of the model, at the pitch of children, say sentences of the Harvard
list with consonants fronted, stopped and glided at known places. So the voices lie in the span that is searched: what
real children would give is worse. Words and consonants are those that whisper-base hears, which guesses from context.
"""

import argparse
import time
from collections import defaultdict

import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", type=int, default=3)
    parser.add_argument("--phrases", type=int, default=2)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.7, help="probability that a consonant is replaced")
    asked = parser.parse_args()
    models = ModelStore()
    service = VoiceService(models.voice("kokoro"))
    embedder, speech = SpeakerEmbedder(models.load("speaker")), models.speech("whisper-base")
    random = np.random.default_rng(0)
    standard = read_style("jf_alpha", service.voice.voices, "kokoro")
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    gains: list[tuple[float, float]] = []
    for number in range(asked.speakers):
        voice, pitch_hz = VOICES[number % len(VOICES)], PITCHES_HZ[number % len(PITCHES_HZ)]
        texts = [SENTENCES[(number * asked.phrases + place) % len(SENTENCES)] for place in range(asked.phrases)]
        said = [made_child(service, voice, pitch_hz, text, asked.share, random) for text in texts]
        begun_s = time.process_time()
        whole = np.concatenate([samples for samples, _ in said])
        fitted = fit_style(service.voice, whole, embedder, CONSENT, tries=asked.tries)
        took_s = time.process_time() - begun_s
        print(f"# {voice}: style fitted in {took_s:.0f} s of processor time, {fitted.similarity}", flush=True)
        own = Style(np.asarray(fitted.style, np.float32), voice, fitted)
        for text, (reference, replaced) in zip(texts, said, strict=True):
            target, melody = embedder.embed(reference), melody_of(reference)
            arms = {
                "disordered": reference,
                "standard synthesis": service.say(text, standard).samples,
                "one-shot synthesis": service.say(text, Style(own.table, voice)).samples,
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
                row["F0 off, semitones"].append(
                    abs(12.0 * float(np.log2(made_hz / melody.median_hz))) if made_hz else float("nan")
                )
                row["F0 off, %"].append(100.0 * abs(made_hz / melody.median_hz - 1.0))
            before, after = (rows[arm]["consonants right"][-1] for arm in ("disordered", OURS))
            gains.append((replaced, after - before))
    replaced_share = np.mean([share for share, _ in gains])
    print(f"{len(gains)} phrases of {asked.speakers} made speakers; {replaced_share:.0%} of consonants replaced")
    for arm, row in rows.items():
        print(arm)
        for name, values in row.items():
            print(f"  {name:<20}{interval(values)}")
    if len(gains) > 2:
        r = np.corrcoef(np.array(gains).T)[0, 1]
        print(
            f"share of consonants replaced against share corrected, as whisper hears it: r = {r:.2f} (n = {len(gains)})"
        )


if __name__ == "__main__":
    main()
