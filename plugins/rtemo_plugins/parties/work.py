"""Work: embeds windows of the voices of all streams, and tells who speaks; runs on the lane's own thread."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import LaneContext, ModelCard, ModelError, Window
from rtemo.api.lane import STRIDE
from rtemo.api.turns import Turn, Turns
from rtemo.dsp.speaker_mel import FRAMES, MEL_COUNT, RATE_HZ, window_mel
from rtemo_plugins.parties.clusters import unit
from rtemo_plugins.parties.line import Heard, Saying
from rtemo_plugins.parties.lines import Held, Lines
from rtemo_plugins.parties.options import PartiesOptions

_LEAST_SAMPLES = round(0.8 * RATE_HZ)
"""A window of a turn that goes on is not worth a look before."""
_LEAST_LAST_SAMPLES = round(0.4 * RATE_HZ)
"""The last window of a turn is not worth one below: nobody can tell a voice by so little."""


class _Job(NamedTuple):
    window: Window
    turn: Turn
    start: int
    samples: NDArray[np.float32]


def check_card(card: ModelCard, bundle: str) -> None:
    """Refuse a bundle that does not embed voices as this plugin feeds it.

    Raises:
        ModelError: It takes or says something else.
    """
    inputs = {name: spec.shape for name, spec in card.inputs.items()}
    embedding = card.outputs.get("embedding")
    if inputs != {"mel": (FRAMES, MEL_COUNT)} or card.states or embedding is None or len(embedding.shape) != 1:
        raise ModelError(
            f"bundle {bundle!r} does not make an `embedding` of mel [{FRAMES}, {MEL_COUNT}], without state",
            "choose another `bundle` for the parties plugin",
        )


class Work:
    """Works on batches of windows; see `rtemo.api.lane.LaneWork`.

    Args:
        context: Lends the model.
        options: Of the plugin.
        turns: When each stream spoke.
        lines: What is known of each stream.
    """

    def __init__(self, context: LaneContext, options: PartiesOptions, turns: Turns, lines: Lines) -> None:
        self._model = context.model(options.bundle)
        check_card(self._model.card, options.bundle)
        self._rows = options.max_batch
        self._state = self._model.new_state(self._rows)
        self._turns = turns
        self._lines = lines

    def __call__(self, windows: Sequence[Window]) -> list[list[Saying] | None]:
        """What is to be said after each window, or None; of one stream the windows come one after the other."""
        jobs = [self._prepare(window) for window in windows]
        worth = [job for job in jobs if job is not None and len(job.samples)]
        vectors = self.embed([job.samples for job in worth])
        of = {id(job): vector for job, vector in zip(worth, vectors, strict=True)}
        results = [None if job is None else self._tell(job, of.get(id(job))) for job in jobs]
        vectors.fill(0.0)  # a line has its own copies, and wipes them
        return results

    def embed(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed windows of up to 1.6 s, float32 [n, width] of length 1."""
        found = np.zeros((len(sounds), self._model.card.outputs["embedding"].shape[0]), np.float32)
        for first in range(0, len(sounds), self._rows):
            mel = np.stack([window_mel(samples) for samples in sounds[first : first + self._rows]])
            said = self._model.run({"mel": mel}, self._state, len(mel))["embedding"]
            found[first : first + len(mel)] = said
            said.fill(0)  # it is a buffer of the model's, which would keep the last voices
        return unit(found)

    def _prepare(self, window: Window) -> _Job | None:
        stream, is_final = window.stream.id, window.trigger != STRIDE
        if is_final:
            turn = self._turns.ended_at(stream, window.end_sample) or Turn(window.start_sample, window.end_sample)
        else:
            going_on = self._turns.going_on(stream, window.end_sample)
            if going_on is None:
                return None
            turn = going_on
        start = max(window.start_sample, turn.start_sample)
        samples = window.samples[start - window.start_sample :]
        if len(samples) < (_LEAST_LAST_SAMPLES if is_final else _LEAST_SAMPLES):
            if not is_final:
                return None
            samples = samples[:0]
        clean = np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)
        return _Job(window, turn, start, clean if np.any(clean) else clean[:0])

    def _tell(self, job: _Job, vector: NDArray[np.float32] | None) -> list[Saying] | None:
        stream = job.window.stream.id
        held = self._lines.of(stream)
        if held is None:
            return None
        with held.lock:
            said = self._said(held, job, vector)
        self._lines.wipe_if_done(stream, held)  # the driver may have found it locked
        return said or None

    def _said(self, held: Held, job: _Job, vector: NDArray[np.float32] | None) -> list[Saying]:
        window, turn = job.window, job.turn
        held.closed += window.trigger != STRIDE
        if held.line.is_wiped:
            return []
        heard = None if vector is None else Heard(job.start, window.end_sample, vector.copy())
        if window.trigger == STRIDE:
            return [] if heard is None else held.line.hear(turn.start_sample, heard)
        return held.line.close(turn.start_sample, window.end_sample, heard, turn.is_last)
