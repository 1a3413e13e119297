"""Ctranslate2Speech: a Whisper model in the form of CTranslate2, run by faster-whisper."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import ctranslate2
import faster_whisper
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError, SpokenText, SpokenWord, Utterance
from rtemo.runtime.whisper import LONGEST_S, Whisper, most_tokens

_NEEDED = ("config.json", "tokenizer.json")
_NOWHERE = os.path.join(os.devnull, "model")
"""Handed over as the path of the model: nothing lies there, so nothing is read but what was proved."""
_LEAST_S = 0.1
_MOST_FRAMES = 3000


class Ctranslate2Speech:
    """A speech model loaded for one lane; see `rtemo.api.SpeechHandle`.

    Decoding is greedy and never sampled, so that a window gives the same text every time.

    Args:
        card: What the model is.
        files: File name → contents, proved; read from memory, so that what is loaded is what was hashed.
        device: `cpu`, `cuda` or `cuda:<number>`.
        half: Half precision where a GPU runs it; a CPU runs 8-bit integers.
        threads: On a CPU; 0 takes half of the processors.

    Raises:
        ModelError: A file is missing on the card, the files are no such model, or there is no such device.
    """

    def __init__(
        self, card: ModelCard, files: Mapping[str, bytes], device: str = "cpu", half: bool = True, threads: int = 0
    ) -> None:
        self.card = card
        missing = [name for name in _NEEDED if name not in files]
        if missing:
            raise ModelError(
                f"the card of {card.name!r} names no {' and no '.join(missing)}, without which it cannot be run",
                "add them to `files` of the card",
            )
        kind, _, number = device.partition(":")
        _check_device(kind, int(number) if number.isdecimal() else 0, device)
        try:
            self._model = faster_whisper.WhisperModel(
                _NOWHERE,
                device=kind,
                device_index=int(number or 0),
                compute_type=_compute_type(kind, half),
                cpu_threads=threads or max(1, (os.cpu_count() or 1) // 2),
                files=dict(files),
            )
        except Exception as error:  # each of the libraries that read the files raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the files of {card.name!r} are no speech model that can be run on {device} ({reason})",
                "correct the card, or use another bundle",
            ) from error
        self._whisper = Whisper(self._model)
        mels = card.front_end.get("mels", self._model.model.n_mels)
        if mels != self._model.model.n_mels:
            raise ModelError(
                f"the card of {card.name!r} states {mels} mels, but its model takes {self._model.model.n_mels}",
                "correct `front_end.mels` on the card",
            )

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages it knows."""
        return tuple(self._model.supported_languages)

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the log-mel features of a window: float32 [k] → float32 [mels, frames], 10 ms each."""
        made: NDArray[np.float32] = self._model.feature_extractor(np.asarray(samples, np.float32))
        return np.ascontiguousarray(made[..., :-1], dtype=np.float32)  # the last frame is padding, as Whisper has it

    def encode(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode windows of one length: float32 [k, mels, frames] → float32 [k, ceil(frames / 2), width].

        Raises:
            ValueError: The features are of another shape, or longer than 30 s.
        """
        mels = self._model.model.n_mels
        if features.ndim != 3 or features.shape[1] != mels or not 1 <= features.shape[2] <= _MOST_FRAMES:
            raise ValueError(f"features have the shape {features.shape}, expected [k, {mels}, 1 to {_MOST_FRAMES}]")
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features, dtype=np.float32))
        return np.array(self._model.model.encode(view, to_cpu=True)).astype(np.float32, copy=False)

    def transcribe(
        self,
        windows: Sequence[NDArray[np.float32]],
        *,
        language: str = "",
        words: bool = True,
        prompt: str = "",
        patient: bool = True,
    ) -> list[SpokenText]:
        """Write down what is said in each window, float32 [k]; see `rtemo.api.SpeechHandle`.

        Raises:
            ValueError: The model does not know the language.
        """
        if language and language not in self.languages:
            raise ValueError(f"{self.card.name!r} does not know the language {language!r}")
        rate_hz = self.card.sample_rate_hz
        results: dict[int, SpokenText] = {}
        short = []
        for number, samples in enumerate(windows):
            if len(samples) < _LEAST_S * rate_hz:  # nothing can be said in it, and the library fails
                results[number] = SpokenText(
                    language=language, language_probability=float(bool(language)), utterances=()
                )
            elif len(samples) <= LONGEST_S * rate_hz:
                short.append(number)
            else:
                results[number] = self._write_down(np.asarray(samples, np.float32), language, words, prompt)
        written = self._whisper.write([windows[number] for number in short], language, words, prompt, patient)
        results.update(zip(short, written, strict=True))
        return [results[number] for number in range(len(windows))]

    def _write_down(self, samples: NDArray[np.float32], language: str, words: bool, prompt: str) -> SpokenText:
        """Write down what is longer than the model hears at once, piece by piece."""
        segments, info = self._model.transcribe(
            samples,
            language=language or None,
            beam_size=1,
            temperature=0.0,
            word_timestamps=words,
            condition_on_previous_text=False,
            initial_prompt=prompt or None,
            max_new_tokens=most_tokens(len(samples) / self.card.sample_rate_hz),
        )
        return SpokenText(
            language=info.language,
            language_probability=float(info.language_probability),
            utterances=tuple(map(_utterance, segments)),
        )


def _utterance(segment: "faster_whisper.transcribe.Segment") -> Utterance:
    return Utterance(
        text=segment.text,
        start_s=float(segment.start),
        end_s=float(segment.end),
        words=tuple(
            SpokenWord(
                text=word.word, start_s=float(word.start), end_s=float(word.end), probability=float(word.probability)
            )
            for word in segment.words or ()
        ),
        no_speech=float(segment.no_speech_prob),
        mean_log_probability=float(segment.avg_logprob),
        compression=float(segment.compression_ratio),
    )


def _check_device(kind: str, number: int, device: str) -> None:
    if kind not in ("cpu", "cuda"):
        raise ModelError(f"speech models cannot run on {device!r}", "set runtime.device to cpu, cuda or cuda:<number>")
    if kind == "cuda" and number >= ctranslate2.get_cuda_device_count():
        raise ModelError(f"CTranslate2 finds no GPU for {device!r} on this machine", "use runtime.device = 'cpu'")


def _compute_type(kind: str, half: bool) -> str:
    if kind == "cuda":
        return "float16" if half else "float32"
    return "int8" if _multiplies_bytes() and "int8" in ctranslate2.get_supported_compute_types("cpu") else "float32"


def _multiplies_bytes() -> bool:
    """Whether sums of products of bytes are exact: x86 without VNNI cuts them off, which costs words.

    Whisper base, 30 clips, without VNNI: word error rate .214 by bytes, .145 by float32 at 1.4 times the time.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "vnni" in flags
