"""Work: hears the newest seconds of every stream and scores them against the queries; on the lane's own thread."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import LaneContext, ModelError, ModelHandle, QueryScore, Window
from rtemo.api.lane import STRIDE
from rtemo.api.turns import Turn, Turns
from rtemo.dsp.whisper_mel import MEL_COUNT, RATE_HZ, as_whisper_hears, log_mel_power
from rtemo_plugins.meaning.book import Book
from rtemo_plugins.meaning.options import MeaningOptions
from rtemo_plugins.meaning.queries import Query, directions

FRAME_SAMPLES = 320
_LEAST_S = 0.5
_LEAST_HEARD_S = 0.1
_LEAST_SCORES = 20
"""Scores of a query before its deviation means anything."""


class Scores(NamedTuple):
    """What is to be said of a turn."""

    start_sample: int
    meanings: list[QueryScore]


class _Job(NamedTuple):
    number: int
    window: Window
    turn: Turn
    samples: NDArray[np.float32]
    is_final: bool


class Spread:
    """Mean and deviation of all scores of one query on one stream so far, by Welford's way."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._sum = 0.0

    def add(self, score: float) -> float | None:
        """Take a score in and tell where it stands, in deviations; None while there are few."""
        self._count += 1
        away = score - self._mean
        self._mean += away / self._count
        self._sum += away * (score - self._mean)
        if self._count < _LEAST_SCORES:
            return None
        deviation = math.sqrt(self._sum / (self._count - 1)) + 1e-6
        return round((score - self._mean) / deviation, 3)


class Work:
    """Works on batches of windows; see `rtemo.api.lane.LaneWork`.

    Args:
        context: Lends the models.
        options: Of the plugin.
        book: What is looked for.
        turns: When each stream spoke.

    Raises:
        ModelError: A bundle is missing, or two do not fit together.
    """

    def __init__(self, context: LaneContext, options: MeaningOptions, book: Book, turns: Turns) -> None:
        self._options = options
        self._book = book
        self._turns = turns
        self._listen = listen = context.model(options.listen_bundle)
        self._frames = listen.card.inputs["there"].shape[0]
        self._loudest = float(listen.card.front_end["loudest"])
        self._listen_state = listen.new_state(options.max_batch)
        self._clap = clap = context.model(options.bundle)
        check_clap(clap, listen, options)
        self._clap_state = clap.new_state(max(options.max_batch, 8))
        self._text_width = clap.card.inputs["text"].shape[0]
        self._sentence = context.sentence(options.sentence_bundle)
        self._queries: tuple[Query, ...] = ()
        self._directions = np.zeros((0, clap.card.outputs["voice"].shape[0]), np.float32)
        self._look()
        self._spreads: dict[int, dict[str, Spread]] = {}
        self._points: dict[tuple[int, int], NDArray[np.float32]] = {}

    def __call__(self, windows: Sequence[Window]) -> list[Scores | None]:
        """Scores for each window, or None; of one stream the windows come one after the other."""
        results: list[Scores | None] = [None] * len(windows)
        self._look()
        if not self._queries:
            return results
        for stream in [stream for stream in self._spreads if not self._turns.knows(stream)]:
            del self._spreads[stream]
        jobs = [job for number, window in enumerate(windows) if (job := self._prepare(number, window)) is not None]
        if jobs:
            for job, point in zip(jobs, self._hear([job.samples for job in jobs]), strict=True):
                results[job.number] = self._score(job, point)
        return results

    def _look(self) -> None:
        """Make directions of what is looked for now, where that has changed."""
        queries = self._book.now
        if queries is self._queries:
            return
        known = dict(zip(self._queries, self._directions, strict=True))
        new = [query for query in queries if query not in known]
        if new:
            found = directions(new, lambda texts: self._project(self._sentence.embed(texts)))
            known.update(zip(new, found, strict=True))
        self._queries = queries
        self._directions = np.array([known[query] for query in queries], np.float32).reshape(
            -1, self._directions.shape[1]
        )

    def _prepare(self, number: int, window: Window) -> _Job | None:
        stream, is_final = window.stream.id, window.trigger != STRIDE
        turn = self._turns.ended_at(stream, window.end_sample) if is_final else None
        turn = turn or self._turns.going_on(stream, window.end_sample)
        if turn is None or window.end_sample - turn.start_sample < _LEAST_S * RATE_HZ:
            return None
        if not is_final and window.end_sample - turn.start_sample < self._options.first_s * RATE_HZ:
            return None
        samples = window.samples[max(0, turn.start_sample - window.start_sample) :]
        if len(samples) < _LEAST_HEARD_S * RATE_HZ:  # the stream has jumped: hardly anything of the turn is there
            return None
        return _Job(number, window, turn, samples, is_final)

    def _hear(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Points of stretches, float32 [n, width]."""
        mel = np.zeros((len(sounds), 2 * self._frames, MEL_COUNT), np.float32)
        there = np.zeros((len(sounds), self._frames), np.float32)
        for row, samples in enumerate(sounds):
            count = min(len(samples) // FRAME_SAMPLES, self._frames)
            power = log_mel_power(np.ascontiguousarray(samples[-count * FRAME_SAMPLES :]))
            mel[row, : 2 * count] = as_whisper_hears(power, self._loudest)[: 2 * count]
            there[row, :count] = 1.0
        words = self._listen.run({"mel": mel, "there": there}, self._listen_state, len(sounds))["words"]
        empty = np.zeros((len(sounds), self._text_width), np.float32)
        points = self._clap.run({"words": words, "text": empty}, self._clap_state, len(sounds))["voice"]
        return np.array(points, np.float32)

    def _project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points of texts, float32 [n, width]."""
        width = self._clap.card.inputs["words"].shape[0]
        empty = np.zeros((len(vectors), width), np.float32)
        points = self._clap.run({"words": empty, "text": vectors}, self._clap_state, len(vectors))["description"]
        return np.array(points, np.float32)

    def _score(self, job: _Job, point: NDArray[np.float32]) -> Scores:
        key = job.window.stream.id, job.turn.start_sample
        last = self._points.pop(key, None)
        if last is not None:
            point = (1 - self._options.share) * last + self._options.share * point
            point = point / max(float(np.linalg.norm(point)), 1e-9)
        if not job.is_final:
            self._points[key] = point
            while len(self._points) > 4096:  # turns whose end was never heard
                self._points.pop(next(iter(self._points)))
        scores = (self._directions @ point).astype(np.float64).tolist()
        speech_s = round((job.window.end_sample - job.turn.start_sample) / RATE_HZ, 3)
        trigger = "stride" if not job.is_final else "stream_end" if job.turn.is_last else "turn_end"
        before = self._spreads.get(job.window.stream.id, {})
        spreads = self._spreads[job.window.stream.id] = {
            query.text: before.get(query.text) or Spread() for query in self._queries
        }
        meanings = [
            QueryScore(
                query=query.text,
                score=round(score, 4),
                z=spreads[query.text].add(score),
                speech_s=speech_s,
                trigger=trigger,
                is_final=job.is_final,
            )
            for query, score in zip(self._queries, scores, strict=True)
        ]
        return Scores(job.turn.start_sample, meanings)


def check_clap(clap: ModelHandle, listen: ModelHandle, options: MeaningOptions) -> None:
    """Refuse bundles that do not fit together.

    Raises:
        ModelError: What one gives the other does not take.
    """
    given = listen.card.outputs.get("words")
    inputs = clap.card.inputs
    if given is None or set(inputs) != {"words", "text"} or inputs["words"].shape != given.shape:
        raise ModelError(
            f"bundle {options.bundle!r} does not take the words that {options.listen_bundle!r} gives",
            "choose another `bundle` or `listen_bundle` for the meaning plugin",
        )
    if not {"voice", "description"} <= clap.card.outputs.keys():
        raise ModelError(
            f"bundle {options.bundle!r} does not join voices and text", "choose another `bundle` for the meaning plugin"
        )
