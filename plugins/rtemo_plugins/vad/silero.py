"""SileroBackEnd: the Silero network, run for all streams whose window is full in one batch."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, HopFlag, ModelHandle, PluginError, StateTable, StreamFormat
from rtemo.dsp.kernel import kernel
from rtemo_plugins.vad.back_end import UNKNOWN

MODEL = "silero-vad"
WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
SPREAD_HOPS = 2
"""A window's result counts this many hops after the window is full, always, so that streams that started together
need not all be computed in the same tick: a row is computed at any of these hops and the outcome is the same."""

_NEED_SAMPLES = CONTEXT_SAMPLES + WINDOW_SAMPLES
_CONCEALED = int(HopFlag.CONCEALED)
_VOICED = np.float32(0.5)
_SILENT = np.float32(0.1)


def longest_lag_samples(hop_samples: int) -> int:
    """Tell how far behind a hop's first sample the window that is judged with it may begin."""
    return WINDOW_SAMPLES + (SPREAD_HOPS + 1) * hop_samples - 1


class SileroBackEnd:
    """Judges windows of 512 samples, each seen together with the 64 samples before it.

    The network is a short-time spectrum, four convolutions and an LSTM (Silero team, "Silero VAD", version 6). It
    drifts on endless streams, so the state of a row is cleared after a long silence. Windows of obvious silence are
    not computed.

    Args:
        format: Must have 16 kHz.
        capacity: Most rows.
        handle: The network.
        silence_power: Mean square below which a window is silence without computing.
        forget_s: Silence after which the state is cleared.

    Raises:
        PluginError: The rate is not 16 kHz or the hop too long.
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
        self._hop_samples = format.hop_samples
        self._handle = handle
        self._silence_power = np.float32(silence_power)
        self._forget_windows = max(1, round(forget_s * format.sample_rate_hz / WINDOW_SAMPLES))
        self._memory = handle.new_state(capacity)
        self._state = StateTable(capacity)
        held = _NEED_SAMPLES + (SPREAD_HOPS + 1) * format.hop_samples
        self._audio = self._state.add("audio", (held,), np.float32)
        self._fill = self._state.add("fill_samples", (), np.int64, fill=CONTEXT_SAMPLES)
        self._pending = self._state.add("pending", (), np.bool_)
        self._result = self._state.add("result", (), np.float32)
        self._latest = self._state.add("latest", (), np.float32, fill=np.nan)
        self._silent_windows = self._state.add("silent_windows", (), np.int64)
        self._lag = self._state.add("lag_samples", (), np.int64)
        self.lag_samples: NDArray[np.int64] = self._lag
        self._age = np.zeros(capacity, np.int64)
        self._windows = np.zeros((capacity, _NEED_SAMPLES), np.float32)
        handle.warm(self._memory, {1, capacity})

    def judge(self, block: Block, probability: NDArray[np.float32], voice: NDArray[np.uint8]) -> None:
        """Take in one hop of every row, compute some of the full windows, and judge."""
        n = block.n
        forget = _take_in(
            block.samples, self._silence_power, self._forget_windows, self._audio, self._fill, self._pending,
            self._result, self._silent_windows, self._age,
        )  # fmt: skip
        if forget:
            for row in np.flatnonzero(self._silent_windows[:n] == self._forget_windows).tolist():
                self._memory.reset(row)
                self._silent_windows[row] = 0
        self._compute(n)
        _settle(
            block.flags, self._hop_samples, self._age, self._audio, self._fill, self._result, self._latest,
            self._silent_windows, self._lag, probability, voice,
        )  # fmt: skip

    def _compute(self, n: int) -> None:
        """Run the network for the windows that are due and an even share of those that may still wait."""
        rows = np.flatnonzero(self._pending[:n])
        if not len(rows):
            return
        ages = self._age[rows]
        share = max(int(np.count_nonzero(ages == SPREAD_HOPS)), -(-len(rows) // (SPREAD_HOPS + 1)))
        if share < len(rows):
            rows = np.sort(rows[np.argsort(-ages, kind="stable")[:share]])
        count = len(rows)
        np.take(self._audio[:n, :_NEED_SAMPLES], rows, axis=0, out=self._windows[:count])
        out = self._handle.run({"input": self._windows[:count]}, self._memory, count if count == n else rows)
        self._result[rows] = out["output"][:, 0]
        self._pending[rows] = False

    def admit(self, row: int) -> None:
        """Prepare fresh state at `row`."""
        self._state.admit(row)
        self._memory.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget `row`; the stream at `last` takes its place."""
        self._state.retire(row, last)
        self._memory.retire(row, last)

    def reset(self, row: int) -> None:
        """Make the state at `row` fresh."""
        self._state.reset(row)
        self._memory.reset(row)


@kernel
def _take_in(
    samples: NDArray[np.float32],
    silence_power: np.float32,
    forget_windows: int,
    audio: NDArray[np.float32],
    fill: NDArray[np.int64],
    pending: NDArray[np.bool_],
    result: NDArray[np.float32],
    silent_windows: NDArray[np.int64],
    age: NDArray[np.int64],
) -> bool:
    """Append a hop to every row; say whether a row's memory is to be cleared.

    `age` becomes the number of hops since the row's window was full, -1 when none is.
    """
    n, hop_samples = samples.shape
    forget = False
    for i in range(n):
        for k in range(hop_samples):
            x = samples[i, k]
            audio[i, fill[i] + k] = np.float32(0.0) if np.isnan(x) else min(max(x, np.float32(-1.0)), np.float32(1.0))
        fill[i] += hop_samples
        age[i] = -1 if fill[i] < _NEED_SAMPLES else (fill[i] - _NEED_SAMPLES) // hop_samples
        if age[i] == 0:
            power = np.float32(0.0)
            for k in range(CONTEXT_SAMPLES, _NEED_SAMPLES):
                power += audio[i, k] * audio[i, k]
            pending[i] = power >= silence_power * np.float32(WINDOW_SAMPLES)
            result[i] = 0.0
            forget |= silent_windows[i] == forget_windows
    return forget


@kernel
def _settle(
    flags: NDArray[np.uint8],
    hop_samples: int,
    age: NDArray[np.int64],
    audio: NDArray[np.float32],
    fill: NDArray[np.int64],
    result: NDArray[np.float32],
    latest: NDArray[np.float32],
    silent_windows: NDArray[np.int64],
    lag: NDArray[np.int64],
    probability: NDArray[np.float32],
    voice: NDArray[np.uint8],
) -> None:
    """Let the results whose time has come count, drop their audio, and write every row's judgement."""
    for i in range(flags.shape[0]):
        if age[i] == SPREAD_HOPS:
            latest[i] = result[i]
            silent_windows[i] = silent_windows[i] + 1 if result[i] < _SILENT else 0
            lag[i] = fill[i] - CONTEXT_SAMPLES - hop_samples
            fill[i] -= WINDOW_SAMPLES
            for k in range(fill[i]):
                audio[i, k] = audio[i, k + WINDOW_SAMPLES]
        if flags[i] & _CONCEALED:
            probability[i] = np.float32(np.nan)
        else:
            probability[i] = latest[i]
        if np.isnan(probability[i]):
            voice[i] = UNKNOWN
        else:
            voice[i] = 1 if latest[i] >= _VOICED else 0
