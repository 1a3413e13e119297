"""SileroBackEnd: the Silero network on a levelled copy of the audio, run in batches for all streams with a window."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    BATCH_ROWS,
    Block,
    ModelHandle,
    ModelState,
    PluginError,
    StateTable,
    StreamFormat,
    check_seam,
    choose_steps,
)
from rtemo.dsp.fft import FftPlan
from rtemo.dsp.lanes import LANES
from rtemo_plugins.vad.steadiness import FRESH, STEADY, THIN_SAMPLES, weigh_steadiness
from rtemo_plugins.vad.windows import (
    BINS,
    CONTEXT_SAMPLES,
    FRAME_SAMPLES,
    FRAMES,
    LOUDNESS,
    NEED_SAMPLES,
    SPREAD_HOPS,
    WINDOW_SAMPLES,
    settle,
    spectra,
    take_in,
)

MODEL = "silero-vad"
REST_WINDOWS = 62
"""Windows of digital silence that a fresh memory has heard, 2 s: one that begins from nothing takes loud first words
for noise (of 360 clips of training speakers 9 instead of 18 have less than a second of speech then)."""


def longest_lag_samples(hop_samples: int) -> int:
    """Tell how far behind a hop's first sample the window that is judged with it may begin."""
    return WINDOW_SAMPLES + (SPREAD_HOPS + 1) * hop_samples - 1


class SileroBackEnd:
    """Judges windows of 512 samples, each seen together with the 64 samples before it.

    The network is a short-time spectrum, four convolutions and an LSTM (Silero team, "Silero VAD", version 6). It hears
    a copy that is amplified to the level of near speech (`windows.take_in`), and what it says is weighed against how
    steady the sound has been (`steadiness`), because music has stretches that it takes for speech. It drifts on endless
    streams, so the state of a row goes back to that of silence after a long silence. Windows of obvious silence are not
    computed.

    Args:
        format: Must have 16 kHz.
        capacity: Most rows.
        handle: The network.
        silence_power: Mean square below which a window is silence without computing.
        forget_s: Silence after which the state is cleared.

    Attributes:
        began: uint8 [capacity], `steadiness.TONE` or `MUSIC` where that has become plain with this hop.

    Raises:
        PluginError: The rate is not 16 kHz or the hop too long.
        ModelError: The bundle is not one of this network.
    """

    def __init__(
        self, format: StreamFormat, capacity: int, handle: ModelHandle, silence_power: float, forget_s: float
    ) -> None:
        if format.sample_rate_hz != 16_000 or format.hop_samples * (SPREAD_HOPS + 1) > WINDOW_SAMPLES:
            raise PluginError(
                f"silero takes 16 kHz in hops of at most 10.6 ms; got {format.hop_samples} samples at "
                f"{format.sample_rate_hz} Hz",
                "choose such a format or `back_end = 'webrtc'`",
            )
        check_seam(
            handle.card,
            "vad",
            "back_end",
            hops_per_step=1,
            inputs={"spectrum": (FRAMES * BINS,)},
            outputs={"probability": (1,)},
        )
        self._hop_samples = format.hop_samples
        self._handle = handle
        self._silence_power = np.float32(silence_power)
        self._forget_windows = max(1, round(forget_s * format.sample_rate_hz / WINDOW_SAMPLES))
        self._memory = handle.new_state(capacity)
        self._rested = _rested(handle)
        self._state = StateTable(capacity)
        held = NEED_SAMPLES + (SPREAD_HOPS + 1) * format.hop_samples

        def add(name: str, dtype: type, shape: tuple[int, ...] = (), fill: float = 0) -> NDArray[np.generic]:
            return self._state.add(name, shape, dtype, fill)

        self._audio = add("audio", np.float32, (held,))
        self._fill = add("fill_samples", np.int64, fill=CONTEXT_SAMPLES)
        self._pending = add("pending", np.bool_)
        self._result = add("result", np.float32)
        self._latest = add("latest", np.float32, fill=np.nan)
        self._silent_windows = add("silent_windows", np.int64)
        self._loudness = self._state.add("loudness", (), LOUDNESS)
        self._past = add("past", np.float32, (THIN_SAMPLES,))
        self._shape = add("shape", np.float32, (BINS,))
        self._steady = self._state.add("steady", (), STEADY, fill=FRESH)
        self.began: NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self.lag_samples = cast(NDArray[np.int64], add("lag_samples", np.int64))
        self._age = np.zeros(capacity, np.int64)
        plan = FftPlan(FRAME_SAMPLES)
        self._tables = (plan.stages, plan.twiddle, plan.unpack)
        turns = np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
        self._hann = (0.5 - 0.5 * np.cos(2 * np.pi * turns)).astype(np.float32)
        self._x = np.zeros((FRAME_SAMPLES, LANES), np.float32)
        self._y = np.zeros((FRAME_SAMPLES, LANES), np.float32)
        self._power = np.zeros((BINS, LANES), np.float32)
        self._frames = np.zeros((capacity * FRAMES, FRAME_SAMPLES), np.float32)
        self._spectra = np.zeros((capacity * FRAMES, BINS), np.float32)
        handle.warm(self._memory, {1, capacity, min(capacity, BATCH_ROWS)})

    def judge(
        self,
        block: Block,
        probability: NDArray[np.float32],
        voice: NDArray[np.uint8],
        toned: NDArray[np.uint32],
    ) -> None:
        """Take in one hop of every row, compute some of the full windows, and judge."""
        n = block.n
        self.began[:n] = 0
        forget = take_in(
            block.samples, self._silence_power, self._forget_windows, self._audio, self._fill, self._pending,
            self._result, self._silent_windows, self._loudness, self._age,
        )  # fmt: skip
        if forget:
            for row in np.flatnonzero(self._silent_windows[:n] == self._forget_windows).tolist():
                self._rest(row)
                self._steady["windows"][row] = 0
                self._silent_windows[row] = 0
        self._compute(n, toned)
        settle(
            block.flags, toned, self._hop_samples, self._age, self._audio, self._fill, self._result, self._latest,
            self._silent_windows, self.lag_samples, probability, voice,
        )  # fmt: skip

    def _compute(self, n: int, toned: NDArray[np.uint32]) -> None:
        """Run the network for the windows that are due and an even share of those that may still wait."""
        rows = np.flatnonzero(self._pending[:n])
        if not len(rows):
            return
        rows = rows[choose_steps(self._age[rows], SPREAD_HOPS)]
        count = len(rows)
        frames, magnitude = self._frames[: count * FRAMES], self._spectra[: count * FRAMES]
        spectra(
            self._audio,
            self._loudness,
            rows,
            self._hann,
            self._tables,
            self._x,
            self._y,
            self._power,
            frames,
            magnitude,
        )
        spectrum = magnitude.reshape(count, FRAMES * BINS)
        out = self._handle.run({"spectrum": spectrum}, self._memory, count if count == n else rows)
        self._result[rows] = out["probability"][:, 0]
        weigh_steadiness(
            magnitude, rows, self._audio, self._past, self._loudness, self._shape, self._steady, self._silent_windows,
            toned, self._result, self.began,
        )  # fmt: skip
        self._pending[rows] = False

    def admit(self, row: int) -> None:
        """Prepare fresh state at `row`."""
        self._state.admit(row)
        self._rest(row)

    def retire(self, row: int, last: int) -> None:
        """Forget `row`; the stream at `last` takes its place."""
        self._state.retire(row, last)
        self._memory.retire(row, last)

    def reset(self, row: int) -> None:
        """Make the state at `row` fresh."""
        self._state.reset(row)
        self._rest(row)

    def _rest(self, row: int) -> None:
        self._memory.copy(row, self._rested, 0)


def _rested(handle: ModelHandle) -> ModelState:
    """Give the memory, one row, of a stream that has been silent."""
    memory = handle.new_state(1)
    silence = np.zeros((1, FRAMES * BINS), np.float32)
    for _ in range(REST_WINDOWS):
        handle.run({"spectrum": silence}, memory, 1)
    return memory
