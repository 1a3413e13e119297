"""What writes the clips down: the plugin in a chain, and peers that have the whole clip at once."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.clip_source import ClipSource
from bench.quality.words.clips import RATE_HZ
from rtemo.api import Transcript
from rtemo.config import Config
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo.runtime.options import RuntimeOptions
from rtemo.session import Session

Sound = NDArray[np.float32]


class Written(NamedTuple):
    """What a system made of clips.

    Attributes:
        texts: Of every clip.
        languages: Of every clip; empty where nothing was written.
        busy_s: Processor time of all of them.
    """

    texts: list[str]
    languages: list[str]
    busy_s: float


System = Callable[[Sequence[Sound]], Written]


def config_of(options: dict[str, Any], chain: tuple[str, ...] = ("vad", "transcript"), **more: Any) -> Config:
    """A chain that hears speech and writes it down on one thread, digits unmasked."""
    plugins = {"transcript": {"redact": False, **options}} if "transcript" in chain else {}
    return Config(chain=chain, plugins=plugins, runtime=RuntimeOptions(speech_threads=1), engine=EngineOptions(**more))


def streamed(sounds: Sequence[Sound], **options: Any) -> Written:
    """Stream clips through the plugin, four side by side; the time of the rest of the chain counts, too."""
    texts, languages = [""] * len(sounds), [""] * len(sounds)
    source = ClipSource([(str(number), sound) for number, sound in enumerate(sounds)], 4)
    begun_s = time.process_time()
    with Session(config_of(options), sources=[source], mode="freewheel") as session:
        for event in session.events():
            if isinstance(event.data, Transcript) and event.data.is_final:
                number = int(event.call)
                texts[number] = f"{texts[number]} {event.data.text}".strip()
                languages[number] = languages[number] or event.data.language
    return Written(texts, languages, time.process_time() - begun_s)


def final_only(sounds: Sequence[Sound]) -> Written:
    """The plugin without partial texts."""
    return streamed(sounds, partial=False)


def whisper_offline(sounds: Sequence[Sound]) -> Written:
    """faster-whisper as its users call it, on whole clips: beam of five, fallback temperatures, the same weights."""
    model = ModelStore(RuntimeOptions(speech_threads=1)).speech("whisper-base")._model  # type: ignore[attr-defined]
    texts, languages = [], []
    begun_s = time.process_time()
    for sound in sounds:
        segments, info = model.transcribe(sound, word_timestamps=True)
        texts.append("".join(segment.text for segment in segments).strip())
        languages.append(info.language)
    return Written(texts, languages, time.process_time() - begun_s)


def moonshine(sounds: Sequence[Sound]) -> Written:
    """Moonshine tiny, English alone, on whole clips; the package moonshine-voice."""
    from moonshine_voice import ModelArch, Transcriber, get_model_path

    model = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY)
    begun_s = time.process_time()
    texts = []
    for sound in sounds:
        transcript = model.transcribe_without_streaming(sound.tolist(), RATE_HZ)
        texts.append(" ".join(line.text for line in transcript.lines))
    return Written(texts, ["en"] * len(texts), time.process_time() - begun_s)


SYSTEMS: dict[str, System] = {
    "transcript": streamed,
    "transcript, final only": final_only,
    "faster-whisper offline": whisper_offline,
    "moonshine tiny offline": moonshine,
}
