"""Whether what rtemo says is caught: by the watermark, and by gem and listener with and without it.

    python -m bench.quality.own_speech --data DIR [--voices 5] [--sentences 3] [--speakers 2] [--tries 20]

Four kinds of speech, of each voice a call of its own, the watermark looked for in each phrase of it: voices of the
model that say sentences of the Harvard list (`say`); RAVDESS speakers of the split dev whose words are replaced in
four moods, the new words alone (`correct`); the same speakers' recordings said again (`reconstruct`); and these
recordings themselves, for comparison. What is made is made once, without a watermark; the marked copy differs by
nothing else.
"""

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

import rtemo
from bench.quality.correction import CONSENT, SENTENCES, Recording, read, recordings
from bench.quality.speech_scores import Samples
from bench.quality.watermark import CHANNELS
from bench.quality.watermark import SENTENCES as HARVARD
from rtemo.api import EMOTIONS, Spoof
from rtemo.config import load_config
from rtemo.dsp.watermark import RATE_HZ, THRESHOLD, add_watermark, find_watermark
from rtemo.runtime import ModelStore
from rtemo.voice.fit import fit_style
from rtemo.voice.imitation import Imitator
from rtemo.voice.service import VoiceService
from rtemo.voice.speaker import SpeakerEmbedder
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.chiressd.reconstruct import reconstruct
from rtemo_models.systems.emo_corrector.correct import correct, transcribed

CHAINS = {"gem": ["vad", "merit", "gem"], "listener": ["vad", "listener"]}
HEARD_THROUGH = ("as it is", "mu-law 8 kHz", "MP3 low rate")


class Piece(NamedTuple):
    """Phrases of one voice; `is_ours` tells whether rtemo made them."""

    kind: str
    name: str
    phrases: list[Samples]
    is_ours: bool = True


def said(service: VoiceService, voices: int, sentences: int) -> Iterator[Piece]:
    for name in list(service.voice.voices)[:voices]:
        style = read_style(name, service.voice.voices, "kokoro")
        yield Piece("say", name, [service.say(text, style).samples for text in HARVARD[:sentences]])


def imitated(service: VoiceService, models: ModelStore, data: Path, speakers: int, tries: int) -> Iterator[Piece]:
    everything = [one for split, one in recordings(data) if split == "dev"]
    embedder, speech = SpeakerEmbedder(models.load("speaker")), models.speech("whisper-base")
    for speaker in sorted({one.speaker for one in everything})[:speakers]:
        own: list[Recording] = [one for one in everything if one.speaker == speaker and one.emotion == "neutral"]
        clips = [read(one.path) for one in own]
        yield Piece("recorded", speaker, clips, is_ours=False)
        fitted = fit_style(service.voice, np.concatenate(clips[:2]), embedder, CONSENT, tries=tries)
        style = Style(np.asarray(fitted.style, np.float32), speaker, fitted)
        imitator = Imitator(service, style, clips[0], own[0].text, envelope_share=1.0)
        heard = transcribed(speech, clips[0], "en-us")
        words = []
        for emotion, text in SENTENCES.items():
            wanted = np.array([float(name == emotion) for name in EMOTIONS])
            done = correct(clips[0], own[0].text, text, imitator, heard=heard, emotion=wanted)
            words.append(done.samples[done.spans[0].start_sample : done.spans[-1].end_sample])
        yield Piece("correct", speaker, words)
        again = [reconstruct(clip, one.text, service, style).samples for clip, one in zip(clips, own, strict=True)]
        yield Piece("reconstruct", speaker, again)


class Judges:
    """Chains that say whether a voice is synthetic, each loaded once."""

    def __init__(self) -> None:
        self._sessions = {
            name: rtemo.Session(load_config(None, (), plugins), mode="freewheel") for name, plugins in CHAINS.items()
        }
        for session in self._sessions.values():
            session.__enter__()
        self._count = 0

    def tell(self, judge: str, samples: Samples) -> Spoof | None:
        """Give the last word on one call; None where there was none."""
        self._count += 1
        stream = self._sessions[judge].stream(f"call-{self._count}")
        stream.push(np.concatenate([samples, np.zeros(RATE_HZ, np.float32)]))
        stream.end()
        told = [event.data for event in stream.events() if isinstance(event.data, Spoof)]
        return told[-1] if told else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--voices", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=3)
    parser.add_argument("--speakers", type=int, default=2)
    parser.add_argument("--tries", type=int, default=20)
    asked = parser.parse_args()
    models = ModelStore()
    service = VoiceService(models.voice("kokoro"), has_watermark=False)
    judges = Judges()
    found: dict[tuple[str, bool], list[Told]] = {}
    for piece in chain(
        said(service, asked.voices, asked.sentences),
        imitated(service, models, asked.data, asked.speakers, asked.tries),
    ):
        for is_marked in (False, True) if piece.is_ours else (False,):
            told = told_of([add_watermark(one) if is_marked else one for one in piece.phrases], judges)
            found.setdefault((piece.kind, is_marked), []).append(told)
            print(f"# {piece.kind} {piece.name}, marked {is_marked}: {told}", flush=True)
    for (kind, is_marked), rows in found.items():
        report(f"{kind}, {'with' if is_marked else 'without'} watermark", rows)


class Told(NamedTuple):
    """What is said of one voice: scores of the watermark by channel and phrase, verdict and score of each judge."""

    marks: dict[str, list[float]]
    verdicts: dict[str, str]
    scores: dict[str, float]


def told_of(phrases: list[Samples], judges: Judges) -> Told:
    marks = {
        channel: [round(float(find_watermark(*CHANNELS[channel](one)).score), 1) for one in phrases]
        for channel in HEARD_THROUGH
    }
    last = {judge: judges.tell(judge, np.concatenate(phrases)) for judge in CHAINS}
    return Told(
        marks,
        {judge: one.verdict if one is not None else "nothing" for judge, one in last.items()},
        {judge: round(one.score, 2) if one is not None else float("nan") for judge, one in last.items()},
    )


def report(kind: str, rows: list[Told]) -> None:
    print(f"{kind}: {len(rows)} voices")
    for channel in HEARD_THROUGH:
        scores = [score for row in rows for score in row.marks[channel]]
        print(f"  watermark {channel:<14} found in {sum(x >= THRESHOLD for x in scores)} of {len(scores)} phrases")
    for judge in CHAINS:
        said = [row.verdicts[judge] for row in rows]
        scores = [row.scores[judge] for row in rows]
        verdicts = ", ".join(f"{name} {said.count(name)}" for name in sorted(set(said)))
        above = sum(score > 0 for score in scores)
        print(f"  {judge:<14} {verdicts}; score {np.nanmedian(scores):+.1f} (median), above 0 in {above}")


if __name__ == "__main__":
    main()
