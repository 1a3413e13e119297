"""Disordered speech said again: words, voice and pitch before and after, against one-shot and standard synthesis.

    python -m bench.quality.reconstruction [--speakers 4] [--phrases 6] [--tries 20] [--arms A,B] [--kept FILE]
    python -m bench.quality.reconstruction --data DIR --speechocean CHECKOUT [--speakers 3] [--oldest 12]

Disordered speech is made: mixtures of the voices of the model, at the pitch of children, say sentences of the Harvard
list, each with a share of its own, none to all, of the consonants that can be fronted, stopped or glided so replaced.
So the voices lie in the span that is searched: what real children would give is worse. With `--speechocean` (a checkout
of jimbozhang/speechocean762, for texts and ages; the clips are those of DIR) children who learn English speak.
Words are those that whisper-base hears, which guesses from context; consonants those of a recogniser of phones that
knows no words (`bench.quality.phones`). With `--kept` each phrase is written as it is measured, and not done again.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from bench.quality.phones import as_heard, heard_signs
from bench.quality.speech_scores import Kept, Samples, char_error, heard_text, interval, word_error
from bench.quality.watermark import SENTENCES
from rtemo.api import Consent, SpeechHandle
from rtemo.dsp.resample import resample
from rtemo.runtime import ModelStore
from rtemo.voice.fit import fit_style
from rtemo.voice.manner import at_median
from rtemo.voice.reference import RATE_HZ, melody_of
from rtemo.voice.service import VoiceService, sign_spans
from rtemo.voice.speaker import SpeakerEmbedder, cosine
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.chiressd.consonants import consonants_heard, disordered, share_right
from rtemo_models.systems.chiressd.reconstruct import reconstruct

VOICES = ("jf_nezumi*0.7+jm_kumo*0.3", "jf_tebukuro*0.5+jf_gongitsune*0.5", "jm_kumo*0.8+jf_alpha*0.2", "jf_nezumi")
PITCHES_HZ = (280.0, 310.0, 255.0, 295.0)
PROCESSES = ("fronting", "stopping", "gliding")
OURS, OWN_VOICE = "ours", "ours with alpha 0 and beta 0"
ARMS = ("as spoken", "standard synthesis", "one-shot synthesis", OURS, OWN_VOICE)
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


def consonants_right(service: VoiceService, text: str, samples: Samples) -> float:
    """Share of the consonants of a text that are heard as intended."""
    intended = "".join(form.signs for form in service.forms(text))
    return share_right(consonants_heard(as_heard(intended), heard_signs(samples)))


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
        shares = random.uniform(0.0, 1.0, phrases)
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
    parser.add_argument("--speakers", type=int, default=4)
    parser.add_argument("--phrases", type=int, default=6)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--kept", type=Path, help="file of what was measured (JSON lines): that is not done again")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--speechocean", type=Path)
    parser.add_argument("--oldest", type=int, default=12)
    asked = parser.parse_args()
    arms = asked.arms.split(",")
    if unknown := set(arms) - set(ARMS):
        parser.error(f"there is no arm {', '.join(sorted(unknown))}; there are: {', '.join(ARMS)}")
    models = ModelStore()
    service = VoiceService(models.voice("kokoro"))
    embedder, speech = SpeakerEmbedder(models.load("speaker")), models.speech("whisper-base")
    if asked.speechocean is not None:
        everybody = children(asked.data, asked.speechocean, asked.speakers, asked.oldest)
    else:
        everybody = made_speakers(service, asked.speakers, asked.phrases)
    kept = Kept(asked.kept)
    for spoken in everybody:
        own: Style | None = None
        for place, (text, reference) in enumerate(zip(spoken.texts, spoken.recordings, strict=True)):
            left = [arm for arm in arms if kept.get(speaker=spoken.name, phrase=place, arm=arm) is None]
            if left and own is None:
                own = fitted_style(service, spoken, embedder, asked.tries)
            for arm in left:
                assert own is not None
                samples = said_again(arm, service, own, text, reference)
                key = {"speaker": spoken.name, "phrase": place, "arm": arm}
                known = {"replaced": spoken.replaced[place]} if spoken.replaced else {}
                kept.add(key | known | measured(service, embedder, speech, text, reference, samples))
    report(kept.rows, arms)


def fitted_style(service: VoiceService, spoken: Spoken, embedder: SpeakerEmbedder, tries: int) -> Style:
    begun_s = time.process_time()
    fitted = fit_style(service.voice, np.concatenate(spoken.recordings), embedder, CONSENT, tries=tries)
    took_s = time.process_time() - begun_s
    print(f"# {spoken.name}: style fitted in {took_s:.0f} s of processor time, {fitted.similarity}", flush=True)
    return Style(np.asarray(fitted.style, np.float32), spoken.name, fitted)


def said_again(arm: str, service: VoiceService, own: Style, text: str, reference: Samples) -> Samples:
    if arm == "standard synthesis":
        return service.say(text, read_style("jf_alpha", service.voice.voices, "kokoro")).samples
    if arm == "one-shot synthesis":
        return service.say(text, Style(own.table, own.name)).samples
    if arm == OURS:
        return reconstruct(reference, text, service, own).samples
    if arm == OWN_VOICE:
        return reconstruct(reference, text, service, own, alpha=0.0, beta=0.0).samples
    return reference


def measured(
    service: VoiceService,
    embedder: SpeakerEmbedder,
    speech: SpeechHandle,
    text: str,
    reference: Samples,
    samples: Samples,
) -> dict[str, Any]:
    heard = heard_text(speech, samples)
    made_hz, own_hz = melody_of(samples).median_hz, melody_of(reference).median_hz
    ratio = made_hz / own_hz if made_hz and own_hz else float("nan")
    return {
        "CER": char_error(text, heard),
        "WER": word_error(text, heard),
        "consonants right": consonants_right(service, text, samples),
        "speaker cosine": cosine(embedder.embed(reference), embedder.embed(samples)),
        "F0 off, semitones": abs(12.0 * float(np.log2(ratio))),
        "F0 off, %": 100.0 * abs(ratio - 1.0),
    }


def report(rows: list[dict[str, Any]], arms: Sequence[str]) -> None:
    made = [row for row in rows if row["arm"] in arms]
    before = {(row["speaker"], row["phrase"]): row for row in made if row["arm"] == "as spoken"}
    print(f"{len(before)} phrases of {len({row['speaker'] for row in made})} speakers")
    for arm in arms:
        own = [row for row in made if row["arm"] == arm]
        print(f"{arm}  ({len(own)})")
        for name in ("CER", "WER", "consonants right", "speaker cosine", "F0 off, semitones", "F0 off, %"):
            print(f"  {name:<20}{interval([row[name] for row in own])}")
        pairs = [(row, before.get((row["speaker"], row["phrase"]))) for row in own if "replaced" in row]
        known = [(row["replaced"], row, other) for row, other in pairs if other is not None]
        if arm == "as spoken" and len(known) > 2:
            wrong = [1.0 - row["consonants right"] for _, row, _ in known]
            print(f"  replaced against heard wrong: {correlation([share for share, _, _ in known], wrong)}")
        elif len(known) > 2:
            corrected = [row["consonants right"] - other["consonants right"] for _, row, other in known]
            print(f"  replaced against corrected:   {correlation([share for share, _, _ in known], corrected)}")


def correlation(a: Sequence[float], b: Sequence[float], draws: int = 2000) -> str:
    """Pearson r with 95 % of a bootstrap over pairs, as text."""
    x, y = np.array(a), np.array(b)
    random = np.random.default_rng(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [np.corrcoef(x[pick], y[pick])[0, 1] for pick in random.integers(0, len(x), (draws, len(x)))]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"r = {np.corrcoef(x, y)[0, 1]:.2f} [{low:.2f}, {high:.2f}] (n = {len(x)})"


if __name__ == "__main__":
    main()
