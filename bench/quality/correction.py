"""Edited recordings in the mood of their new text: retrieval against a label and against a plain splice.

    python -m bench.quality.correction --data DIR [--speakers 2] [--tries 20] [--store 3]

Recordings: neutral clips of RAVDESS speakers that nothing was trained on (split dev). Clips to take a delivery from:
other speakers of RAVDESS, `--store` of them, one clip of each mood. The words after the first are replaced, in turn for
each of four moods. Emotion is told by a network that took no part in the choice (merit-listen, streaming), on the
replaced words alone.
"""

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

import rtemo
from bench.quality.speech_scores import Samples, heard_text, interval, word_error
from rtemo.api import EMOTIONS, Consent
from rtemo.config import load_config
from rtemo.dsp.watermark import find_watermark
from rtemo.runtime import ModelStore
from rtemo.voice.fit import fit_style
from rtemo.voice.imitation import Imitator
from rtemo.voice.reference import RATE_HZ, melody_of
from rtemo.voice.service import VoiceService
from rtemo.voice.speaker import SpeakerEmbedder, cosine
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.emo_corrector.correct import correct, transcribed
from rtemo_models.systems.emo_corrector.mood import MoodEmbedder
from rtemo_models.systems.emo_corrector.store import ClipStore, heard_clip

SENTENCES = {
    "happy": "Kids are laughing, we won the first prize, how wonderful!",
    "sad": "Kids are crying because their old dog has died.",
    "angry": "Kids are shouting, this is enough, shut that door now!",
    "fear": "Kids are hiding, somebody has got a gun, be careful!",
}
ARMS = ("plain", "label", "k = 1", "k = 3", "k = 5")
CONSENT = Consent(who="the corpus RAVDESS", when="2018-04-05")


class Recording(NamedTuple):
    path: Path
    speaker: str
    emotion: str
    text: str


def recordings(data: Path) -> list[tuple[str, Recording]]:
    with (data / "emotion" / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == "ravdess"]
    return [(row["split"], Recording(data / row["path"], row["speaker"], row["emotion"], row["text"])) for row in rows]


def read(path: Path) -> Samples:
    samples, _ = soundfile.read(path, dtype="float32")
    return samples


def told_by_stream(samples: Samples) -> tuple[str, float]:
    """Label and arousal of the streaming chain for one clip; empty where it says nothing."""
    config = load_config(None, (), ["vad", "merit"])
    with rtemo.Session(config=config, mode="freewheel") as session:
        stream = session.stream("clip")
        stream.push(np.concatenate([samples, np.zeros(RATE_HZ, np.float32)]))
        stream.end()
        said = [event.data for event in stream.events() if event.kind == "emotion"]
    if not said:
        return "", float("nan")
    last = said[-1]
    merged = dict(last.probabilities)
    merged["neutral"] += merged.pop("calm", 0.0)
    return max(merged, key=merged.__getitem__), last.arousal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--speakers", type=int, default=2)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--store", type=int, default=3, help="speakers in the store")
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    models = ModelStore()
    service = VoiceService(models.voice("kokoro"))
    embedder, mood = SpeakerEmbedder(models.load("speaker")), MoodEmbedder(models.load("merit-large"))
    speech = models.speech("whisper-base")
    everything = recordings(asked.data)
    store = build_store(everything, asked.store, mood)
    speakers = sorted({one.speaker for split, one in everything if split == "dev"})[: asked.speakers]
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    scale = defaultdict(list)
    for speaker in speakers:
        own = [one for split, one in everything if one.speaker == speaker and one.emotion == "neutral"]
        samples, text = read(own[0].path), own[0].text
        target = embedder.embed(samples)
        scale["same speaker, other clip"].append(cosine(target, embedder.embed(read(own[2].path))))
        others = [
            one for split, one in everything if split == "dev" and one.speaker != speaker and one.emotion == "neutral"
        ]
        scale["other speaker, same sentence"].append(cosine(target, embedder.embed(read(others[0].path))))
        begun_s = time.process_time()
        both = np.concatenate([samples, read(own[1].path)])
        fitted = fit_style(service.voice, both, embedder, CONSENT, tries=asked.tries)
        took_s = time.process_time() - begun_s
        print(f"# {speaker}: style fitted in {took_s:.0f} s of processor time, {fitted.similarity}", flush=True)
        style = Style(np.asarray(fitted.style, np.float32), speaker, fitted)
        neutral = read_style("jf_alpha", service.voice.voices, "kokoro")
        heard = transcribed(speech, samples, "en-us")
        imitators = {
            "plain": Imitator(service, neutral, samples, text, colour_share=0.0),
            "": Imitator(service, style, samples, text),
        }
        for emotion, new_text in SENTENCES.items():
            wanted = np.array([float(name == emotion) for name in EMOTIONS])
            centre = np.mean(
                [clip.mood.vector for clip in store.clips if clip.mood.probabilities.argmax() == wanted.argmax()],
                axis=0,
            )
            for arm in asked.arms.split(","):
                mood_wanted = np.array([float(name == "neutral") for name in EMOTIONS]) if arm == "plain" else wanted
                k = int(arm.partition("=")[2]) if "=" in arm else 0
                done = correct(
                    samples,
                    text,
                    new_text,
                    imitators["plain" if arm == "plain" else ""],
                    heard=heard,
                    store=store if k else None,
                    emotion=mood_wanted,
                    k=k or 3,
                )
                span = done.spans[0]
                words = done.samples[span.start_sample : done.spans[-1].end_sample]
                label, arousal = told_by_stream(words)
                row = rows[arm]
                row["emotion right"].append(float(label == emotion))
                row[f"arousal {emotion}"].append(arousal)
                row["cosine to mood"].append(float(mood.hear(words).vector @ centre / np.linalg.norm(centre)))
                row["speaker cosine"].append(cosine(target, embedder.embed(words)))
                row["WER"].append(word_error(new_text, heard_text(speech, done.samples)))
                row["seam, semitones"].append(seam_semitones(done.samples, span.start_sample))
                row["watermark"].append(float(find_watermark(done.samples).is_found))
    count = len(speakers) * len(SENTENCES)
    print(
        f"{count} corrections an arm: {len(speakers)} speakers, {len(SENTENCES)} moods; {len(store.clips)} stored clips"
    )
    for arm, row in rows.items():
        print(arm)
        for name, values in row.items():
            print(f"  {name:<18}{interval(values)}")
    for name, values in scale.items():
        print(f"{name}: cosine {interval(values)}")


def build_store(everything: list[tuple[str, Recording]], speakers: int, mood: MoodEmbedder) -> ClipStore:
    names = sorted({one.speaker for split, one in everything if split == "train"})[:speakers]
    clips = []
    for name in names:
        for emotion in EMOTIONS:
            one = next(one for split, one in everything if one.speaker == name and one.emotion == emotion)
            samples = read(one.path)
            clips.append(heard_clip(one.path, samples, mood.hear(samples), one.text, name))
    return ClipStore(clips)


def seam_semitones(samples: Samples, at: int) -> float:
    """How far pitch lies apart over the 150 ms before and after a seam; NaN where one is not voiced."""
    near = melody_of(samples[max(0, at - RATE_HZ // 2) : at + RATE_HZ // 2]).pitch_hz
    middle = min(at, RATE_HZ // 2) // 160
    before, after = near[max(0, middle - 15) : middle], near[middle : middle + 15]
    before, after = before[before > 0], after[after > 0]
    if not len(before) or not len(after):
        return float("nan")
    return abs(12.0 * float(np.log2(np.median(after) / np.median(before))))


if __name__ == "__main__":
    main()
