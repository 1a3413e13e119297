"""EmotionPlugin: estimates emotion, arousal and valence while somebody speaks."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    EMOTIONS,
    Block,
    Emit,
    Emotion,
    HopFlag,
    Mark,
    ModelError,
    ModelHandle,
    PluginContext,
    PluginSpec,
    ResetReason,
    StateTable,
)
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.logmel import LogMel
from rtemo_plugins.emotion.options import EmotionOptions

_MARKS = (
    Mark("emotion.posterior", shape=(len(EMOTIONS),), meaning="probability of each emotion in the present turn"),
    Mark("emotion.arousal", meaning="-1 calm to 1 excited"),
    Mark("emotion.valence", meaning="-1 negative to 1 positive"),
)
_BATCH_ROWS = 16  # a step of 16 rows costs twice one of a single row (2-core x86), so smaller batches waste
_SILENCE = 0  # of `vad.speech` and `vad.voice`: anything else, unknown too, is listened to


class EmotionPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[EmotionOptions]] = EmotionOptions

    def __init__(self, options: EmotionOptions) -> None:
        self.options = options
        self.spec = PluginSpec(
            name="emotion",
            summary="Eight emotions, arousal and valence of the current turn, with an honest confidence.",
            version="1",
            cadence_hops=4,
            lookahead_samples=0,
            is_optional=False,
            provides=_MARKS,
            requires=("vad.speech", "vad.voice"),
        )

    def open(self, context: PluginContext, capacity: int) -> "EmotionProcessor":
        """Load the bundle and make a processor."""
        return EmotionProcessor(self.options, context.model(self.options.bundle), capacity)


class EmotionProcessor:
    """Runs the network one step every `hops_per_step` hops of each stream.

    Which hops make a step is fixed by the stream's own hop count, so the result does not depend on when a
    stream came in. *When* the step is computed is staggered, up to `hops_per_step - 1` ticks later: rows share
    a tick while that makes a better batch, and beyond it are spread evenly. Marks change at the stream's own
    step boundaries, after the slowest phase, so later plugins do not see the stagger either.
    """

    def __init__(self, options: EmotionOptions, model: ModelHandle, capacity: int) -> None:
        card = model.card
        if tuple(card.labels) != EMOTIONS or not {"logits", "arousal", "valence"} <= set(card.outputs):
            raise ModelError(
                f"bundle {card.name!r} does not give the eight emotions, arousal and valence",
                "choose another bundle for the emotion plugin",
            )
        self._model = model
        self._step_hops = card.hops_per_step
        self._hop_s = card.hop_samples / card.sample_rate_hz
        # Counted in whole hops: seconds added up as floats would drift.
        self._first_hops = round(options.first_s / self._hop_s)
        self._refresh_hops = round(options.refresh_s / self._hop_s)
        self._least_hops = round(options.least_s / self._hop_s)
        self._span_hops = round(options.span_s / self._hop_s)
        self._hop_samples = card.hop_samples
        self._temperature = card.calibration.get("temperature", 1.0)
        threshold = options.unsure_below
        self._unsure_below = card.calibration.get("unsure_below", 0.0) if threshold is None else threshold
        self._log_mel = LogMel(capacity, **card.front_end)  # type: ignore[arg-type]
        self._network = model.new_state(capacity)
        self._pooling = [name for name in self._network if name.startswith("pool_")]
        self._fresh = model.new_state(1)

        table = StateTable(capacity)
        depth = 2 * self._step_hops
        mel_count = self._log_mel.mel_count
        self._frames: NDArray[np.float32] = table.add("frames", (depth, mel_count), np.float32)  # type: ignore[assignment]
        self._speech: NDArray[np.bool_] = table.add("speech", (depth,), np.bool_)  # type: ignore[assignment]
        self._voice: NDArray[np.float32] = table.add("voice", (depth,), np.float32)  # type: ignore[assignment]
        self._held: NDArray[np.int64] = table.add("held", (), np.int64)  # type: ignore[assignment]
        self._starts: NDArray[np.int64] = table.add("starts", (depth,), np.int64)  # type: ignore[assignment]
        self._end: NDArray[np.int64] = table.add("end", (), np.int64)  # type: ignore[assignment]
        self._phase: NDArray[np.int64] = table.add("phase", (), np.int64)  # type: ignore[assignment]
        self._hops: NDArray[np.int64] = table.add("hops", (), np.int64)  # type: ignore[assignment]
        self._in_turn: NDArray[np.bool_] = table.add("in_turn", (), np.bool_)  # type: ignore[assignment]
        self._turn_start: NDArray[np.int64] = table.add("turn_start", (), np.int64)  # type: ignore[assignment]
        self._spoken: NDArray[np.int64] = table.add("spoken_hops", (), np.int64)  # type: ignore[assignment]
        self._next: NDArray[np.int64] = table.add("next_hops", (), np.int64)  # type: ignore[assignment]
        self._findings: NDArray[np.float32] = table.add("findings", (len(EMOTIONS) + 2,), np.float32, np.nan)  # type: ignore[assignment]
        self._shown: NDArray[np.float32] = table.add("shown", (len(EMOTIONS) + 2,), np.float32, np.nan)  # type: ignore[assignment]
        self._table = table
        self._rows = np.arange(capacity)
        self._load = [0] * self._step_hops  # streams per phase

    def process(self, block: Block, emit: Emit) -> None:
        """Take one hop of each stream; run the network for the rows that are due."""
        n = block.n
        rows = self._rows[:n]
        frames = self._log_mel.process(finite_rows(block.samples))
        held = self._held[:n]
        speech = block.marks["vad.speech"] != _SILENCE
        self._starts[rows, held] = block.start_sample
        self._frames[rows, held] = frames
        self._speech[rows, held] = speech
        self._voice[rows, held] = speech & (block.marks["vad.voice"] != _SILENCE)
        held += 1
        hops = self._hops[:n]
        hops += 1

        # Before this tick's step: by now the step before it is done in every phase.
        boundary = hops % self._step_hops == 0
        if boundary.any():
            self._shown[:n][boundary] = self._findings[:n][boundary]

        due = (held >= self._step_hops) & ((hops + self._phase[:n]) % self._step_hops == 0)
        last = (block.flags & np.uint8(HopFlag.LAST)) != 0
        if last.any():
            due |= last & (held >= self._step_hops)
        if due.any():
            self._step(rows[due] if not due.all() else rows, n, emit)
        if last.any():
            for row in np.flatnonzero(last):
                if self._in_turn[row]:
                    self._emit(int(row), emit, "stream_end", int(self._end[row]))
                    self._in_turn[row] = False

        block.marks["emotion.posterior"][:] = self._shown[:n, :-2]
        block.marks["emotion.arousal"][:] = self._shown[:n, -2]
        block.marks["emotion.valence"][:] = self._shown[:n, -1]

    def _step(self, rows: NDArray[np.int64], n: int, emit: Emit) -> None:
        """Run the network on the oldest complete step of each given row, and settle turns."""
        k = self._step_hops
        speech = self._speech[rows, :k]
        weight = self._voice[rows, :k]
        starting = speech.any(axis=1) & ~self._in_turn[rows]
        for row in rows[starting]:
            self._begin_turn(int(row), int(self._starts[row, 0]))
        outputs = self._model.run(
            {"logmel": self._frames[rows, :k], "weight": weight}, self._network, n if len(rows) == n else rows
        )
        self._settle(rows, outputs)
        self._spoken[rows] += (weight != 0).sum(axis=1)
        end = self._starts[rows, k - 1] + self._hop_samples
        for i in np.flatnonzero(self._in_turn[rows]):
            row = int(rows[i])
            if not speech[i, -1]:
                self._emit(row, emit, "turn_end", int(end[i]))
                self._in_turn[row] = False
            elif self._spoken[row] >= self._span_hops:
                self._emit(row, emit, "span", int(end[i]))
                self._begin_turn(row, int(end[i]))
            elif self._spoken[row] >= self._next[row]:
                is_first = self._next[row] == self._first_hops
                self._emit(row, emit, "first" if is_first else "refresh", int(end[i]))
                self._next[row] += self._refresh_hops
        for queue in (self._starts, self._frames, self._speech, self._voice):
            queue[rows, :k] = queue[rows, k:]
        self._held[rows] -= k
        self._end[rows] = end

    def _settle(self, rows: NDArray[np.int64], outputs: dict[str, NDArray[Any]]) -> None:
        logits = outputs["logits"] / self._temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        heard = self._in_turn[rows]
        findings = np.concatenate(
            [
                odds / odds.sum(axis=1, keepdims=True),
                outputs["arousal"].reshape(-1, 1),
                outputs["valence"].reshape(-1, 1),
            ],
            axis=1,
        )
        self._findings[rows[heard]] = findings[heard]

    def _begin_turn(self, row: int, start_sample: int) -> None:
        for name in self._pooling:
            self._network[name][row] = self._fresh[name][0]
        self._in_turn[row] = True
        self._turn_start[row] = start_sample
        self._spoken[row] = 0
        self._next[row] = self._first_hops

    def _emit(self, row: int, emit: Emit, trigger: str, end_sample: int) -> None:
        spoken_hops = int(self._spoken[row])
        is_final = trigger not in ("first", "refresh")
        if spoken_hops < (self._least_hops if is_final else self._first_hops):
            return
        posterior = self._findings[row, :-2]
        best = int(posterior.argmax())
        confidence = float(posterior[best])
        emit(
            row,
            Emotion(
                label=EMOTIONS[best] if confidence >= self._unsure_below else "unsure",
                probabilities={name: round(float(value), 4) for name, value in zip(EMOTIONS, posterior, strict=True)},
                arousal=round(float(self._findings[row, -2]), 4),
                valence=round(float(self._findings[row, -1]), 4),
                confidence=round(confidence, 4),
                speech_s=round(spoken_hops * self._hop_s, 3),
                trigger=trigger,
                is_final=is_final,
            ),
            int(self._turn_start[row]),
            end_sample,
        )

    def admit(self, row: int) -> None:
        """Give a new stream a phase: one that is still short of a batch, or else the one that fewest have."""
        self._log_mel.admit(row)
        self._network.admit(row)
        self._table.admit(row)
        short = [phase for phase, load in enumerate(self._load) if load < _BATCH_ROWS]
        phase = short[0] if short else self._load.index(min(self._load))
        self._phase[row] = phase
        self._load[phase] += 1

    def retire(self, row: int, last: int) -> None:
        """Forget a stream and its phase."""
        self._load[int(self._phase[row])] -= 1
        self._log_mel.retire(row, last)
        self._network.retire(row, last)
        self._table.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Make streams fresh; they keep their phase, which does not show in any result."""
        for row in rows:
            phase = self._phase[row]
            self._log_mel.reset(int(row))
            self._network.reset(int(row))
            self._table.reset(int(row))
            self._phase[row] = phase

    def close(self) -> None:
        """Nothing to free: the weights belong to the engine."""
