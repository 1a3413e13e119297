"""What is written where nobody speaks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.vad.telephony import CALL_PROGRESS, comfort_noise, hum, music, tone
from bench.quality.words.clips import RATE_HZ, read_noises
from bench.quality.words.errors import words_of
from bench.quality.words.systems import streamed
from rtemo.runtime import ModelStore
from rtemo.runtime.options import RuntimeOptions
from rtemo_plugins.transcript.options import TranscriptOptions
from rtemo_plugins.transcript.trust import is_said

_DURATION_S = 6.0


def sounds(data: Path, count: int, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Sounds without a word, by kind, `count` of each."""
    size = round(_DURATION_S * RATE_HZ)
    random = np.random.default_rng(seed)
    noises = read_noises(data, "dev")
    for number in range(count):
        yield "silence", np.zeros(size, np.float32)
        yield "faint noise", (1e-3 * random.standard_normal(size)).astype(np.float32)
        yield "comfort noise", _level(comfort_noise(_DURATION_S, number), -50)
        yield "hum", _level(hum(50.0, _DURATION_S, number), -40)
        names = list(CALL_PROGRESS)
        yield "call progress", _level(tone(*CALL_PROGRESS[names[number % len(names)]], _DURATION_S), -20)
        kind = ("chords", "melody", "strings", "pop")[number % 4]
        yield "music", _level(music(kind, _DURATION_S, number), -24)
        yield "noise", _level(np.resize(noises[random.integers(len(noises))], size), -28)


def table(data: Path, count: int, seed: int) -> list[str]:
    """Rows: kind, words per minute that the model makes up, that pass the thresholds, and that leave the chain."""
    by_kind: dict[str, list[NDArray[np.float32]]] = {}
    for kind, sound in sounds(data, count, seed):
        by_kind.setdefault(kind, []).append(sound)
    speech, options = ModelStore(RuntimeOptions(speech_threads=1)).speech("whisper-base"), TranscriptOptions()
    rows = []
    for kind, of in by_kind.items():
        utterances = [one for text in speech.transcribe(of) for one in text.utterances]
        made_up = _words([one.text for one in utterances])
        passed = _words([one.text for one in utterances if is_said(one, options)])
        told = _words(streamed(of).texts)
        minutes = len(of) * _DURATION_S / 60
        rows.append(f"| {kind} | {made_up / minutes:.1f} | {passed / minutes:.1f} | {told / minutes:.1f} |")
    return rows


def _words(texts: Sequence[str]) -> int:
    return sum(len(words_of(text)) for text in texts)


def _level(samples: NDArray[np.floating], dbfs: float) -> NDArray[np.float32]:
    rms = float(np.sqrt(np.mean(np.square(samples)))) + 1e-12
    return np.clip(samples * (10 ** (dbfs / 20) / rms), -1, 1).astype(np.float32)
