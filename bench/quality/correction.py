"""Edited recordings in the mood of their new text: retrieval against a label and against a plain splice.

    python -m bench.quality.correction --data DIR [--speakers 4] [--tries 20] [--store 3] [--kept FILE]

Recordings: neutral clips of RAVDESS speakers that nothing was trained on (split dev), of both sentences. Clips to
take a delivery from: other speakers of RAVDESS, `--store` of them, one clip of each mood and sentence. The words
after the first are replaced, in turn for each of four moods. Emotion is told by a network that took no part in the
choice (merit-listen, streaming), on the replaced words alone; as a scale, on the same speakers' acted clips. In the arm
"best of N" whisper-base, the speaker network and merit-large choose among N takes of "k = 3", so what they say of it
is no proof; the package hama, if it is here, hears phones, and took no part in it either. Each
correction is printed and, with `--kept`, written as soon as it is measured; a run that was stopped goes on there.
"""

import argparse
import csv
import importlib.util
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from scipy.stats import kendalltau

import rtemo
from bench.quality.phones import as_heard, heard_signs
from bench.quality.speech_scores import Kept, Samples, heard_text, interval, word_error
from rtemo.api import EMOTIONS, Consent
from rtemo.api.emotions import committed
from rtemo.config import load_config
from rtemo.dsp.watermark import find_watermark
from rtemo.runtime import ModelStore
from rtemo.voice.edits import error_rate
from rtemo.voice.fit import fit_style
from rtemo.voice.imitation import Imitator
from rtemo.voice.reference import RATE_HZ, melody_of
from rtemo.voice.service import VoiceService
from rtemo.voice.speaker import SpeakerEmbedder, cosine, without_silence
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.emo_corrector.correct import Correction, correct, transcribed
from rtemo_models.systems.emo_corrector.mood import Mood, MoodEmbedder
from rtemo_models.systems.emo_corrector.store import ClipStore, heard_clip
from rtemo_models.systems.emo_corrector.takes import TakeJudge

SENTENCES = {
    "happy": "Kids are laughing, we won the first prize, how wonderful!",
    "sad": "Kids are crying because their old dog has died.",
    "angry": "Kids are shouting, this is enough, shut that door now!",
    "fear": "Kids are hiding, somebody has got a gun, be careful!",
}
ARMS = ("plain", "label", "k = 1", "k = 3", "k = 5", "best of 4")
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


class Judge:
    """The streaming chain: label and arousal of one clip after the other, each a call of its own."""

    def __init__(self) -> None:
        self._session = rtemo.Session(config=load_config(None, (), ["vad", "merit"]), mode="freewheel")
        self._session.__enter__()
        self._count = 0

    def tell(self, samples: Samples) -> tuple[str, float]:
        """Give label and arousal; an empty label where nothing is said."""
        self._count += 1
        stream = self._session.stream(f"clip-{self._count}")
        stream.push(np.concatenate([samples, np.zeros(RATE_HZ, np.float32)]))
        stream.end()
        said = [event.data for event in stream.events() if event.kind == "emotion"]
        return (committed(said[-1].probabilities)[0], said[-1].arousal) if said else ("", float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--speakers", type=int, default=4)
    parser.add_argument("--split", default="dev", help="of the speakers; settings are chosen on `train`")
    parser.add_argument("--sentences", type=int, default=2, choices=(1, 2), help="recordings of each speaker")
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--store", type=int, default=3, help="speakers in the store")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--kept", type=Path, help="file of what was measured (JSON lines): that is not done again")
    asked = parser.parse_args()
    kept = Kept(asked.kept)
    everything = recordings(asked.data)
    bench = Bench(everything, asked.store, asked.sentences, kept)
    names = sorted({one.speaker for split, one in everything if split == asked.split})
    speakers = (
        names[-asked.speakers :] if asked.split == "train" else names[: asked.speakers]
    )  # the store has the first
    arms = asked.arms.split(",")
    for sentence in range(asked.sentences):
        for speaker in speakers:
            bench.speaker(speaker, sentence, arms, asked.tries)
    report(kept.rows, arms, len(bench.store.clips))


class Bench:
    """Models that are loaded once, the store, and what is done with one recording."""

    def __init__(self, everything: list[tuple[str, Recording]], store: int, sentences: int, kept: Kept) -> None:
        models = ModelStore()
        self.everything, self.kept = everything, kept
        self.service = VoiceService(models.voice("kokoro"))
        self.embedder, self.mood = SpeakerEmbedder(models.load("speaker")), MoodEmbedder(models.load("merit-large"))
        self.speech = models.speech("whisper-base")
        self.store = build_store(everything, store, sentences, self.mood)
        self.judge = Judge()

    def told(self, samples: Samples) -> tuple[str, float, str]:
        """Label and arousal of the streaming chain, label of the large network (which also labels the store)."""
        return *self.judge.tell(samples), committed(dict(zip(EMOTIONS, self.mood.hear(samples)[0], strict=True)))[0]

    def centre(self, emotion: str) -> Mood:
        """Mean of the stored clips that were acted in a mood."""
        acted = {one.path: one.emotion for _, one in self.everything}
        found = [clip.mood for clip in self.store.clips if acted[clip.path] == emotion]
        vector = np.mean([mood.vector for mood in found], axis=0)
        return Mood(
            np.mean([mood.probabilities for mood in found], axis=0),
            float(np.mean([mood.arousal for mood in found])),
            float(np.mean([mood.valence for mood in found])),
            vector / np.linalg.norm(vector),
        )

    def speaker(self, speaker: str, sentence: int, arms: Sequence[str], tries: int) -> None:
        own = [one for _, one in self.everything if one.speaker == speaker and one.emotion == "neutral"]
        texts = list(dict.fromkeys(one.text for one in own))
        own = [one for one in own if one.text == texts[sentence % len(texts)]]
        samples, text = read(own[0].path), own[0].text
        target = self.embedder.embed(samples)
        if self.kept.get(scale=speaker, sentence=sentence) is None:
            self._scale(speaker, sentence, text, samples)
        left = [
            (emotion, arm)
            for emotion in SENTENCES
            for arm in arms
            if self.kept.get(speaker=speaker, sentence=sentence, emotion=emotion, arm=arm) is None
        ]
        if not left:
            return
        begun_s = time.process_time()
        fitted = fit_style(
            self.service.voice, np.concatenate([read(one.path) for one in own]), self.embedder, CONSENT, tries=tries
        )
        took_s = time.process_time() - begun_s
        print(f"# {speaker}: style fitted in {took_s:.0f} s of processor time, {fitted.similarity}", flush=True)
        style = Style(np.asarray(fitted.style, np.float32), speaker, fitted)
        neutral = read_style("jf_alpha", self.service.voice.voices, "kokoro")
        heard = transcribed(self.speech, samples, "en-us")
        embedded = self.embedder.embed_stretches([without_silence(samples)])[0]
        judge = TakeJudge(self.speech, "en", self.embedder, embedded, self.mood)
        imitators = {
            True: Imitator(self.service, neutral, samples, text, colour_share=0.0),
            False: Imitator(self.service, style, samples, text, envelope_share=1.0),
        }
        for emotion, arm in left:
            new_text = " ".join([text.split()[0], *SENTENCES[emotion].split()[1:]])
            said = "neutral" if arm == "plain" else emotion
            takes = int(arm.removeprefix("best of ")) if arm.startswith("best of ") else 1
            k = 3 if takes > 1 else int(arm.partition("=")[2]) if "=" in arm else 0
            done = correct(
                samples,
                text,
                new_text,
                imitators[arm == "plain"],
                heard=heard,
                store=self.store if k else None,
                emotion=np.array([float(name == said) for name in EMOTIONS]),
                k=k or 3,
                judge=judge if takes > 1 else None,
                takes=takes,
            )
            key = {"speaker": speaker, "sentence": sentence, "emotion": emotion, "arm": arm}
            self.kept.add(key | self._measured(done, new_text, emotion, target))

    def _measured(self, done: Correction, new_text: str, emotion: str, target: Samples) -> dict[str, Any]:
        start, end = done.spans[0].start_sample, done.spans[-1].end_sample
        words = done.samples[start:end]
        label, arousal, label_large = self.told(words)
        centre, mood = self.centre(emotion), self.mood.hear(words)
        return {
            "told": label,
            "emotion right": float(label == emotion),
            "right, large": float(label_large == emotion),
            "arousal": arousal,
            "wanted arousal": centre.arousal,
            "cosine to mood": float(mood.vector @ centre.vector),
            "speaker cosine": cosine(target, self.embedder.embed(words)),
            "WER": word_error(new_text, heard_text(self.speech, done.samples)),
            "phone errors": self._phone_errors(" ".join(span.new for span in done.spans), words),
            "seam, semitones": seam_semitones(done.samples, start),
            "watermark": float(find_watermark(done.samples).is_found),
        }

    def _phone_errors(self, text: str, words: Samples) -> float:
        """Edits per phone of the new words, by a recogniser that knows no words; NaN where it is not installed."""
        if importlib.util.find_spec("hama") is None:
            return float("nan")
        wanted = "".join(form.signs for form in self.service.forms(text, "en-us"))
        return error_rate(_plain(as_heard(wanted)), _plain(heard_signs(words)))

    def _scale(self, speaker: str, sentence: int, text: str, samples: Samples) -> None:
        """What the judges say of recordings: the speaker's other clip, a stranger, the moods as they were acted."""
        rest = self.everything
        other = next(one for _, one in rest if one.speaker == speaker and one.emotion == "neutral" and one.text != text)
        stranger = next(one for _, one in rest if one.speaker != speaker and one.text == text)
        target = self.embedder.embed(samples)
        moods = [
            next(one for _, one in rest if one.speaker == speaker and one.emotion == emotion and one.text == text)
            for emotion in SENTENCES
        ]
        acted = [(one.emotion, read(one.path)) for one in moods]
        told = [(emotion, *self.told(clip)) for emotion, clip in acted]
        self.kept.add(
            {
                "scale": speaker,
                "sentence": sentence,
                "same speaker, other clip": cosine(target, self.embedder.embed(read(other.path))),
                "other speaker, same sentence": cosine(target, self.embedder.embed(read(stranger.path))),
                "same speaker, other mood": float(
                    np.mean([cosine(target, self.embedder.embed(clip)) for _, clip in acted])
                ),
                "acted clips right": float(np.mean([one[0] == one[1] for one in told])),
                "acted clips right, large": float(np.mean([one[0] == one[3] for one in told])),
            }
        )


def report(rows: list[dict[str, Any]], arms: Sequence[str], stored: int) -> None:
    """Print means and 95 % of a bootstrap over corrections; differences are of the same recording and mood."""
    made = [row for row in rows if row.get("arm") in arms]
    speakers = {row["speaker"] for row in made}
    print(f"{len(made)} corrections of {len(speakers)} speakers, {len(SENTENCES)} moods; {stored} stored clips")
    plain = {(row["speaker"], row["sentence"], row["emotion"]): row for row in made if row["arm"] == "plain"}
    for arm in arms:
        own = [row for row in made if row["arm"] == arm]
        print(f"{arm}  ({len(own)})")
        for name in (
            "emotion right",
            "right, large",
            "cosine to mood",
            "speaker cosine",
            "WER",
            "phone errors",
            "seam, semitones",
            "watermark",
        ):
            print(f"  {name:<18}{interval([row.get(name, float('nan')) for row in own])}")
        pairs = [(row, plain.get((row["speaker"], row["sentence"], row["emotion"]))) for row in own]
        for name in ("emotion right", "right, large", "arousal"):
            sign = [-1.0 if name == "arousal" and row["emotion"] == "sad" else 1.0 for row in own]
            gains = [
                way * (row[name] - other[name])
                for way, (row, other) in zip(sign, pairs, strict=True)
                if other is not None
            ]
            print(f"  {name + ' over plain':<26}{interval(gains)}")
        heard = [(row["arousal"], row["wanted arousal"]) for row in own if np.isfinite(row["arousal"])]
        if len(heard) > 2:
            tau = kendalltau(*zip(*heard, strict=True)).statistic
            print(f"  {'tau of arousal':<18}{tau:6.2f}  (n = {len(heard)})")
        told = {name: Counter(row["told"] or "-" for row in own if row["emotion"] == name) for name in SENTENCES}
        print(f"  {'told':<18}" + "; ".join(f"{name}: {dict(count.most_common())}" for name, count in told.items()))
    scales = [row for row in rows if "scale" in row]
    for name in scales[0] if scales else ():
        if name not in ("scale", "sentence"):
            print(f"{name}: {interval([row[name] for row in scales])}")


def _plain(signs: str) -> str:
    """Signs without stress, length and spaces."""
    return "".join(sign for sign in signs if sign not in " ˈˌː.,!?")


def build_store(
    everything: list[tuple[str, Recording]], speakers: int, sentences: int, mood: MoodEmbedder
) -> ClipStore:
    names = sorted({one.speaker for split, one in everything if split == "train"})[:speakers]
    # A clip that says what a recording says is left out of its search: of one recording a speaker, all of those.
    texts = sorted({one.text for _, one in everything}, reverse=True)[-sentences:]
    clips = []
    for name in names:
        for emotion in EMOTIONS:
            for text in texts:
                one = next(
                    one for _, one in everything if (one.speaker, one.emotion, one.text) == (name, emotion, text)
                )
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
