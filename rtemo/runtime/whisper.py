"""Whisper over batches of windows, each encoded no longer than it is."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens
from numpy.typing import NDArray

from rtemo.api import SpokenText, SpokenWord, Utterance

LONGEST_S = 28.0
"""Longest window that is written down in one pass; with the silence behind it the model takes no more than 30 s."""
_RATE_HZ = 16_000
_FRAME_SAMPLES = 160
_MOST_FRAMES = 3000
_TRAIL_S = 2.0
"""Silence encoded behind a window. The model was trained on 30 s filled up with it, and repeats itself without any."""
_DOUBTFUL_LOG_PROBABILITY = -0.4
_EDGE_S = 0.2
_BUCKET_FRAMES = 100
"""Windows are filled up to whole seconds, so that those of about one length make a batch."""
_MOST_TOKENS = 220
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001
_TOKENS_AT_LEAST = 20
_TOKENS_PER_S = 16.0  # fast speech has 5 in English, and up to 15 in scripts whose signs take several


class Whisper:
    """Writes windows down in one pass each, greedily, several at once.

    The encoder takes 30 s whatever is in it, when it is used as its authors do, and most of the time goes there. With
    silence behind it a shorter window is heard nearly as well, for a sixth of the time. What the model makes up then
    stands behind the end of the window, by the times that it writes between segments, and is left out.

    Args:
        model: As loaded by faster-whisper.
    """

    def __init__(self, model: faster_whisper.WhisperModel) -> None:
        self._model = model

    def write(
        self, windows: Sequence[NDArray[np.float32]], language: str, words: bool, prompt: str, patient: bool
    ) -> list[SpokenText]:
        """Write down windows of at most `LONGEST_S`, float32 [k] at 16 kHz; see `rtemo.api.SpeechHandle`."""
        frames = [_frames(len(samples)) for samples in windows]
        results: dict[int, SpokenText] = {}
        order = sorted(range(len(windows)), key=frames.__getitem__)
        for count, group in groupby(order, key=frames.__getitem__):
            self._pass(windows, list(group), count, (language, words, prompt), results)
        doubtful = [number for number in order if patient and _is_doubtful(results[number])]
        for number in doubtful:  # one by one: batches of 30 s gain nothing on a processor
            self._pass(windows, [number], _MOST_FRAMES, (language, words, prompt), results)
        return [results[number] for number in range(len(windows))]

    def _pass(
        self,
        windows: Sequence[NDArray[np.float32]],
        numbers: Sequence[int],
        frames: int,
        how: tuple[str, bool, str],
        results: dict[int, SpokenText],
    ) -> None:
        """Write some windows down, each encoded as so many frames."""
        features = np.stack([self._features(windows[number], frames) for number in numbers])
        encoded = self._model.model.encode(_view(features), to_cpu=True)
        durations_s = [len(windows[number]) / _RATE_HZ for number in numbers]
        results.update(zip(numbers, self._decode(encoded, durations_s, *how), strict=True))

    def _features(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """Log-mel features, float32 [mels, frames], of a window and the silence behind it."""
        filled = np.zeros(frames * _FRAME_SAMPLES, np.float32)
        filled[: len(samples)] = samples
        made: NDArray[np.float32] = self._model.feature_extractor(filled)
        return made[:, :frames]

    def _decode(
        self, encoded: Any, durations_s: Sequence[float], language: str, words: bool, prompt: str
    ) -> list[SpokenText]:
        if language:
            found = [(language, 1.0)] * len(durations_s)
        else:
            found = [_best_language(probabilities) for probabilities in self._model.model.detect_language(encoded)]
        rows: NDArray[np.float32] | None = None
        results: list[SpokenText | None] = [None] * len(durations_s)
        for code in dict.fromkeys(code for code, _ in found):
            members = [index for index, (other, _) in enumerate(found) if other == code]
            part = encoded
            if len(members) < len(found):
                rows = np.array(encoded) if rows is None else rows
                part = _view(rows[members])
            written = self._write_down(part, [durations_s[index] for index in members], code, words, prompt)
            for index, utterances in zip(members, written, strict=True):
                results[index] = SpokenText(
                    language=code, language_probability=found[index][1], utterances=tuple(utterances)
                )
        return [result for result in results if result is not None]

    def _write_down(
        self, encoded: Any, durations_s: Sequence[float], language: str, words: bool, prompt: str
    ) -> list[list[Utterance]]:
        model = self._model
        tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language or "en"
        )
        before = tokenizer.encode(" " + prompt.strip()) if prompt.strip() else []
        start = model.get_prompt(tokenizer, before)
        decoded = model.model.generate(
            encoded,
            [start] * len(durations_s),
            beam_size=1,
            max_length=min(len(start) + max(map(most_tokens, durations_s)), model.max_length),
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        parts = [
            self._segments(tokenizer, one.sequences_ids[0], duration_s)
            for one, duration_s in zip(decoded, durations_s, strict=True)
        ]
        if words and any(parts):
            self._time(encoded, tokenizer, parts, durations_s)
        return [[_utterance(segment, one) for segment in part] for one, part in zip(decoded, parts, strict=True)]

    def _segments(self, tokenizer: Tokenizer, tokens: Sequence[int], duration_s: float) -> list[dict[str, Any]]:
        """Segments of a text, by the times that the model writes between them; one behind the window is made up."""
        found, _, _ = self._model._split_segments_by_timestamps(
            tokenizer=tokenizer,
            tokens=list(tokens)[: most_tokens(duration_s)],
            time_offset=0.0,
            segment_size=ceil(duration_s * 100),
            segment_duration=duration_s,
            seek=0,
        )
        segments = []
        for one in found:
            text = tokenizer.decode(one["tokens"])
            if text.strip() and one["start"] < max(duration_s - _EDGE_S, _EDGE_S):
                segments.append({**one, "text": text, "words": []})
        return segments

    def _time(self, encoded: Any, tokenizer: Tokenizer, parts: list[list[Any]], durations_s: Sequence[float]) -> None:
        """Find the times of words and write them into the parts: one by one, so that none depends on the others."""
        rows = np.array(encoded)
        for row, part, duration_s in zip(rows, parts, durations_s, strict=True):
            if part:
                self._model.add_word_timestamps(
                    [part],
                    tokenizer,
                    _view(row[None]),
                    ceil(duration_s * 100),
                    prepend_punctuations=_PREPENDED,
                    append_punctuations=_APPENDED,
                    last_speech_timestamp=0.0,
                )


def most_tokens(window_s: float) -> int:
    """Tokens that nobody says more of in a window: noise that makes the model repeat itself then costs no more.

    >>> most_tokens(1.0), most_tokens(30.0)
    (36, 220)
    """
    return min(_MOST_TOKENS, _TOKENS_AT_LEAST + round(_TOKENS_PER_S * window_s))


def _utterance(segment: dict[str, Any], decoded: Any) -> Utterance:
    words = tuple(
        SpokenWord(
            text=word["word"],
            start_s=float(word["start"]),
            end_s=float(word["end"]),
            probability=float(word["probability"]),
        )
        for word in segment["words"]
    )
    count = len(decoded.sequences_ids[0])
    return Utterance(
        text=segment["text"],
        start_s=float(segment["start"]),
        end_s=float(segment["end"]),
        words=words,
        no_speech=float(decoded.no_speech_prob),
        mean_log_probability=float(decoded.scores[0]) * count / (count + 1),  # the end of the text is one more
        compression=float(get_compression_ratio(segment["text"])),
    )


def _is_doubtful(text: SpokenText) -> bool:
    """Whether a longer look may help: nothing was made out, or little is sure of it."""
    return not text.utterances or min(one.mean_log_probability for one in text.utterances) < _DOUBTFUL_LOG_PROBABILITY


def _frames(samples: int) -> int:
    """Frames of 10 ms that a window is filled up to, in whole buckets."""
    frames = samples / _FRAME_SAMPLES + 100 * _TRAIL_S
    return min(ceil(frames / _BUCKET_FRAMES) * _BUCKET_FRAMES, _MOST_FRAMES)


def _best_language(probabilities: Sequence[tuple[str, float]]) -> tuple[str, float]:
    token, probability = probabilities[0]
    return token.strip("<|>"), float(probability)


def _view(values: NDArray[np.float32]) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values, dtype=np.float32))
