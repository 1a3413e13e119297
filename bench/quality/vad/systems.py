"""What is measured: the plugin with some options, or Silero's network without anything around it."""

import time
from collections.abc import Callable

import numpy as np

from bench.lending import Lending
from bench.quality.vad.corpus import HOP
from bench.quality.vad.score import Detection
from rtemo.api import Block, HopFlag, Payload, SpeechEnd, SpeechStart, StreamFormat
from rtemo.engine import registry
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.silero import MODEL
from rtemo_plugins.vad.tuning import rules_for
from rtemo_plugins.vad.turn import CHANGE, TURN, advance

System = Callable[[np.ndarray], tuple[list[Detection], float]]
"""Sounds, float32 [n, samples] → what was found in each, and the time per hop and row in us."""

_WINDOW, _CONTEXT, _SPREAD_HOPS = 512, 64, 2


def plugin(**options: object) -> System:
    """Run the plugin over sounds as rows of one block."""

    def detect(sounds: np.ndarray) -> tuple[list[Detection], float]:
        n, hops = len(sounds), sounds.shape[1] // HOP
        made = registry.make("vad", options)
        processor = made.open(Lending(), n)
        found = [Detection() for _ in range(n)]
        for row in range(n):
            processor.admit(row)
        now = 0

        def emit(row: int, data: Payload, start_sample: int, end_sample: int) -> None:
            if isinstance(data, SpeechStart):
                found[row].known.append(now)
            elif isinstance(data, SpeechEnd):
                found[row].spans.append((start_sample, end_sample))

        marks = {mark.name: np.zeros((n, *mark.shape), mark.dtype) for mark in made.spec.provides}
        busy_s = 0.0
        for k in range(hops):
            samples = sounds[:, k * HOP : (k + 1) * HOP].copy()
            flags = np.full(n, HopFlag.LAST if k == hops - 1 else 0, np.uint8)
            now = (k + 1) * HOP
            block = Block(k, samples, np.arange(n), np.full(n, k * HOP), flags, marks)
            start_s = time.perf_counter()
            processor.process(block, emit)
            busy_s += time.perf_counter() - start_s
            for row, probability in enumerate(marks["vad.probability"].tolist()):
                found[row].probability.append(probability)
        return found, 1e6 * busy_s / hops / n

    return detect


def raw(sounds: np.ndarray) -> tuple[list[Detection], float]:
    """Run the network on the sounds as they are, each window at its time, and the plugin's state machine behind it."""
    handle, format = Lending().model(MODEL), StreamFormat()
    n, hops = len(sounds), sounds.shape[1] // HOP
    memory = handle.new_state(n)
    padded = np.pad(sounds, ((0, 0), (_CONTEXT, 0)))
    hann = np.hanning(257)[:-1]
    rules = rules_for(VadOptions(), format)
    found = [Detection() for _ in range(n)]
    turns, changes, speech = np.zeros(n, TURN), np.zeros(n, CHANGE), np.zeros(n, np.uint8)
    probability, lag = np.full(n, np.nan, np.float32), 0
    done = 0
    for k in range(hops):
        if (done + 1) * _WINDOW <= (k + 1 - _SPREAD_HOPS) * HOP:
            window = padded[:, done * _WINDOW : (done + 1) * _WINDOW + _CONTEXT]
            window = np.pad(window, ((0, 0), (0, _CONTEXT)), mode="reflect")
            frames = np.stack([window[:, 128 * f : 128 * f + 256] for f in range(4)], axis=1)
            spectrum = np.abs(np.fft.rfft(frames * hann)).astype(np.float32).reshape(n, -1)
            probability = handle.run({"spectrum": spectrum}, memory, n)["probability"][:, 0].copy()
            lag = k * HOP - done * _WINDOW
            done += 1
        flags = np.full(n, HopFlag.LAST if k == hops - 1 else 0, np.uint8)
        advance(rules, probability, np.full(n, k * HOP - lag), flags, turns, changes, speech)
        for row, detection in enumerate(found):
            detection.probability.append(float(probability[row]))
            if changes[row]["started"]:
                detection.known.append((k + 1) * HOP)
            if changes[row]["reason"]:
                detection.spans.append((int(changes[row]["ended_start"]), int(changes[row]["ended_end"])))
    return found, float("nan")


SYSTEMS: dict[str, System] = {
    "webrtc, mode 3": plugin(back_end="webrtc", silence_dbfs=-70.0),
    "silero as it is": raw,
    "silero": plugin(back_end="silero"),
}
"""Name → system; the last is the plugin as it comes."""
