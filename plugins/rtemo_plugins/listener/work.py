"""Work: encodes the newest seconds of every stream and says what they express; runs on the lane's own thread."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Emotion, LaneContext, ModelCard, ModelError, ModelHandle, Window
from rtemo.api.emotions import committed
from rtemo.api.lane import STRIDE
from rtemo.dsp.whisper_mel import MEL_COUNT, RATE_HZ, as_whisper_hears, log_mel_power
from rtemo_plugins.listener.judgement import LEAST_S, Judgement, judges
from rtemo_plugins.listener.memory import Heard, Memory
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.room import Room
from rtemo_plugins.listener.stretches import Stretches

FRAME_SAMPLES = 320
"""A frame of the encoder: two of the log-mel bands."""
ONSET_SAMPLES = 3 * RATE_HZ // 10
"""How far before `vad.speech` a turn is taken to begin: that mark waits until it is sure."""
LEAST_FRAMES = 5
"""A window of fewer is not worth a run."""


class Told(NamedTuple):
    """What one window says of the turn so far.

    Attributes:
        start_sample: Where the turn began.
        emotion: None where too little was heard, or it is not asked for.
        judgement: Of the voice; None likewise.
    """

    start_sample: int
    emotion: Emotion | None
    judgement: Judgement | None


class Job(NamedTuple):
    """A window made ready for the network."""

    number: int
    heard: Heard
    mel: NDArray[np.float32]
    frames: int
    window_samples: int
    turn_samples: int
    is_final: bool
    is_repeated: bool
    """Whether it closes a turn of which the window before it heard nearly as much."""


def window_frames(model: ModelHandle, bundle: str) -> int:
    """How many frames the network takes; see `frames_of`."""
    return frames_of(model.card, bundle)


def frames_of(card: ModelCard, bundle: str) -> int:
    """How many frames a network takes, once it is known to be one that this plugin can run.

    Raises:
        ModelError: It takes or says something else.
    """
    there = card.inputs.get("there")
    frames = there.shape[0] if there is not None and there.shape else 0
    wanted = {"mel": (2 * frames, MEL_COUNT), "there": (frames,)}
    if not frames or card.states or {name: spec.shape for name, spec in card.inputs.items()} != wanted:
        raise ModelError(
            f"bundle {bundle!r} does not take mel [2t, {MEL_COUNT}] and there [t], without state",
            "choose another `bundle` for the listener plugin",
        )
    labels, outputs = card.labels, card.outputs
    has_logits = "logits" in outputs and outputs["logits"].shape == (len(labels),) and len({*labels}) == len(labels) > 1
    if not has_logits or not {"arousal", "valence"} <= outputs.keys():
        raise ModelError(
            f"bundle {bundle!r} does not tell logits of the labels on its card, arousal and valence",
            "choose another `bundle` for the listener plugin",
        )
    return frames


class Work:
    """Works on batches of windows.

    A window is the newest seconds of the present turn and nothing before it. Of a turn that is longer than a window,
    the estimates are averaged by time.

    Args:
        context: Lends the model.
        options: Of the plugin.
        stretches: When each stream spoke.
        room: Told of windows that did not come, and how long work takes.

    Raises:
        ModelError: The bundle is not one that this plugin can run.
    """

    def __init__(
        self, context: LaneContext, options: ListenerOptions, stretches: Stretches, room: Room | None = None
    ) -> None:
        self._model = model = context.model(options.bundle)
        self._frames = window_frames(model, options.bundle)
        self._options = options
        self._stretches = stretches
        self._room = room
        self._stride_samples = round(options.stride_s * RATE_HZ)
        self._first_samples = round(options.first_s * RATE_HZ)
        self._span_samples = round(options.span_s * RATE_HZ)
        self._memory = Memory(stretches)
        self._state = model.new_state(options.max_batch)
        card = model.card
        self._says_emotion = options.emotion
        self._judges = options.spoof and judges(card)
        self._labels = tuple(card.labels)
        self._loudest = float(card.front_end["loudest"])
        self._temperature = card.calibration.get("temperature", 1.0)
        unsure_below = options.unsure_below
        self._unsure_below = card.calibration.get("unsure_below", 0.0) if unsure_below is None else unsure_below

    def __call__(self, windows: Sequence[Window]) -> list[Any]:
        """One result for each window, or None; of one stream the windows come one after the other."""
        began_s = time.monotonic()
        results = self._results(windows)
        if self._room is not None:
            self._room.busy_s += time.monotonic() - began_s
        return results

    def _results(self, windows: Sequence[Window]) -> list[Any]:
        self._memory.look()
        results: list[Any] = [None] * len(windows)
        left = list(range(len(windows)))
        while left:
            streams: set[int] = set()
            turn, later = [], []
            for number in left:
                stream = windows[number].stream.id
                (later if stream in streams else turn).append(number)
                streams.add(stream)
            jobs = [job for number in turn if (job := self._prepare(number, windows[number])) is not None]
            if jobs:
                self._run(jobs, results)
            left = later
        return results

    def _prepare(self, number: int, window: Window) -> Job | None:
        start = self._turn_start(window)
        if start is None:
            return None
        heard = self._memory.of(window.stream.id)
        start = max(start, heard.closed)
        is_end = window.trigger != STRIDE
        if is_end and window.end_sample <= start:
            return None  # the turn was closed already
        if heard.turn_start != start:
            heard.begin(start)
            heard.window_end = start
        turn_samples = window.end_sample - start
        if self._room is not None:
            if not is_end and self._is_spared(heard, window.end_sample, turn_samples, self._room.sparing):
                heard.spared += 1
                return None
            strides = (window.end_sample - heard.window_end) // self._stride_samples
            expected = max(heard.spared + 1, self._room.sparing)
            self._room.dropped += max(0, strides - expected + is_end)
        is_repeated = window.end_sample - heard.window_end < self._stride_samples
        heard.window_end, heard.spared = window.end_sample, 0
        begin = max(window.start_sample, start)
        samples = window.samples[begin - window.start_sample :]
        frames = min(len(samples) // FRAME_SAMPLES, self._frames)
        if frames < LEAST_FRAMES:
            return None
        mel = np.zeros((2 * self._frames, MEL_COUNT), np.float32)
        mel[: 2 * frames] = as_whisper_hears(log_mel_power(samples[: frames * FRAME_SAMPLES]), self._loudest)
        is_final = is_end or turn_samples >= self._span_samples
        if is_final:
            heard.closed = window.end_sample
        return Job(number, heard, mel, frames, len(samples), turn_samples, is_final, is_final and is_repeated)

    def _is_spared(self, heard: Heard, end_sample: int, turn_samples: int, sparing: int) -> bool:
        """Whether a stride of a turn is passed over, to have time for other turns; never one that closes it."""
        if sparing == 1 or turn_samples >= self._span_samples:
            return False
        if heard.said is None:
            return turn_samples < self._first_samples  # nothing could be told yet
        return end_sample - heard.window_end < (sparing - 0.5) * self._stride_samples  # they come some hops late

    def _turn_start(self, window: Window) -> int | None:
        """Where speech began that goes on at the end of a window; None outside of speech."""
        stretch = self._stretches.before(window.stream.id, window.end_sample)
        if stretch is None:
            return None if window.trigger == STRIDE else window.start_sample
        is_over = stretch.end is not None and window.end_sample > stretch.end
        if not stretch.is_taken or (window.trigger == STRIDE and is_over):
            return None
        return max(0, stretch.start - ONSET_SAMPLES)

    def _run(self, jobs: list[Job], results: list[Any]) -> None:
        frames = np.array([job.frames for job in jobs])
        inputs = {
            "mel": np.stack([job.mel for job in jobs]),
            "there": (np.arange(self._frames)[None] < frames[:, None]).astype(np.float32),
        }
        outputs = self._model.run(inputs, self._state, len(jobs))
        said = np.column_stack([outputs["logits"], outputs["arousal"], outputs["valence"]]).astype(np.float64)
        for row, (job, one) in enumerate(zip(jobs, said, strict=True)):
            pooled = job.heard.add(one, job.window_samples, job.turn_samples, job.is_repeated)
            emotion = self._emotion(job, pooled) if self._says_emotion else None
            is_enough = self._judges and job.frames * FRAME_SAMPLES >= LEAST_S * RATE_HZ
            judgement = Judgement.of(outputs, row) if is_enough else None
            if emotion is not None or judgement is not None:
                results[job.number] = Told(job.heard.turn_start, emotion, judgement)

    def _emotion(self, job: Job, said: NDArray[np.float64]) -> Emotion | None:
        heard, options = job.heard, self._options
        speech_s = job.turn_samples / RATE_HZ
        if speech_s < (options.least_s if job.is_final else options.first_s):
            return None
        trigger = "refresh" if heard.estimates else "first"
        if job.is_final:
            trigger = "turn_end" if speech_s < options.span_s else "span"
        heard.estimates += 1
        odds = np.exp((said[:-2] - said[:-2].max()) / self._temperature)
        posterior = (odds / odds.sum()).tolist()
        probabilities = dict(zip(self._labels, posterior, strict=True))
        label, confidence = committed(probabilities)
        return Emotion(
            label=label if confidence >= self._unsure_below else "unsure",
            probabilities={name: round(p, 4) for name, p in probabilities.items()},
            arousal=round(float(said[-2]), 4),
            valence=round(float(said[-1]), 4),
            confidence=round(confidence, 4),
            speech_s=round(speech_s, 3),
            trigger=trigger,
            is_final=job.is_final,
        )
