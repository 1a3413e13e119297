"""ToneDetector: the tones of a telephone line, found hop by hop: dialled digits and the tones of call progress."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable, StreamFormat
from rtemo.dsp.lanes import LANES
from rtemo_plugins.vad.tone_kernel import LINE, NOTICE, PARTIALS, PROGRESS_HOPS, find_tones, project

ROWS_HZ, COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
DIGITS = "123A456B789C*0#D"
"""In order of rows and columns (ITU-T Q.23)."""

PROGRESS_HZ = (350, 400, 425, 440, 450, 480, 620, 1100, 2100)
SIGNALS_HZ = ((350, 440), (350, 450), (400, 450), (440, 480), (480, 620), (400,), (425,), (450,), (1100,), (2100,))
"""Tones of call progress by their frequencies (ITU-T E.180 supplement 2, and T.30 for facsimile)."""

_CONTINUOUS = {(350, 440): "dial", (350, 450): "dial", (425,): "dial"}
_RINGING = {(440, 480), (400, 450), (425,), (450,)}
_KEYED = {(480, 620), (425,), (400,), (450,)}
_FACSIMILE = {(1100,), (2100,)}


class Tone(NamedTuple):
    """A tone that was found.

    Attributes:
        row: Whose.
        name: `dtmf`, `dial`, `ringback`, `busy`, `congestion`, `facsimile` or `tone`.
        digit: Of a dialled one.
        frequencies_hz: What it consists of.
        start_sample: Where it began.
    """

    row: int
    name: str
    digit: str
    frequencies_hz: tuple[float, ...]
    start_sample: int


class ToneDetector:
    """Finds pure tones at the frequencies of the telephone network.

    Every hop is projected on the frequencies once; sums over 2 hops tell digits, sums over 10 hops the tones of call
    progress, whose frequencies are orthogonal over that time. A tone is one or two frequencies that hold nearly all
    energy. What a tone of call progress means is told by how long it sounds.

    Args:
        format: 16 kHz, hops of 10 ms.
        capacity: Most rows.
    """

    def __init__(self, format: StreamFormat, capacity: int) -> None:
        self._hop_samples = format.hop_samples
        self._hops_per_s = format.sample_rate_hz / format.hop_samples
        self._state = StateTable(capacity)
        frequencies = np.array(ROWS_HZ + COLUMNS_HZ + PROGRESS_HZ, np.float64)
        count = len(frequencies)
        registers = -(-2 * count // LANES)
        angle = 2 * np.pi * np.arange(format.hop_samples)[:, None] * frequencies / format.sample_rate_hz
        table = np.zeros((format.hop_samples, registers * LANES), np.float32)
        table[:, :count], table[:, count : 2 * count] = np.cos(angle), -np.sin(angle)
        self._table = table.reshape(-1, LANES)
        ages = np.arange(PROGRESS_HOPS)[:, None]
        self._turn = np.exp(2j * np.pi * ages * frequencies * format.hop_samples / format.sample_rate_hz)
        self._turn = self._turn.astype(np.complex64)
        members = np.zeros((len(SIGNALS_HZ), len(PROGRESS_HZ)), np.bool_)
        for k, signal in enumerate(SIGNALS_HZ):
            members[k, [PROGRESS_HZ.index(f) for f in signal]] = True
        self._members = members
        self._alone_hops = np.array(
            [round(self._hops_per_s * (0.35 if signal in _FACSIMILE else 0.75)) for signal in SIGNALS_HZ], np.int64
        )
        self._partials = self._state.add("partials", (PROGRESS_HOPS, PARTIALS), np.float32)
        self._energy = self._state.add("energy", (PROGRESS_HOPS,), np.float32)
        self._line = self._state.add("line", (), LINE)
        self._toned = self._state.add("toned", (), np.uint32)
        self._notices = np.zeros(capacity, NOTICE)

    def process(self, samples: NDArray[np.float32], start_sample: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Take in one hop of n rows; tell for each, bit k for the hop k hops ago, what was a tone."""
        n = len(samples)
        project(samples, self._table, self._partials, self._energy, self._line)
        find_tones(
            start_sample, self._hop_samples, self._turn, self._members, self._alone_hops, self._partials,
            self._energy, self._line[:n], self._toned, self._notices,
        )  # fmt: skip
        return self._toned[:n]

    def sounding(self, n: int) -> NDArray[np.bool_]:
        """Tell which rows had any level in the last hop."""
        return self._line["is_sounding"][:n]

    def findings(self, n: int) -> list[Tone]:
        """Tell what has been found with the last hop."""
        notices = self._notices[:n]
        found = []
        for row in np.flatnonzero(notices["digit"] >= 0).tolist():
            digit = int(notices["digit"][row])
            pair = (float(ROWS_HZ[digit // 4]), float(COLUMNS_HZ[digit % 4]))
            found.append(Tone(row, "dtmf", DIGITS[digit], pair, int(notices["start"][row])))
        for row in np.flatnonzero(notices["signal"] >= 0).tolist():
            signal = SIGNALS_HZ[int(notices["signal"][row])]
            duration_s = float(notices["hops"][row]) / self._hops_per_s
            name = meaning(signal, duration_s, bool(notices["goes_on"][row]))
            found.append(Tone(row, name, "", tuple(map(float, signal)), int(notices["signal_start"][row])))
        return found

    def admit(self, row: int) -> None:
        """Prepare fresh state at `row`."""
        self._state.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget `row`; the stream at `last` takes its place."""
        self._state.retire(row, last)

    def reset(self, row: int) -> None:
        """Make the state at `row` fresh."""
        self._state.reset(row)


def meaning(signal_hz: tuple[int, ...], duration_s: float, goes_on: bool) -> str:
    """Tell what a tone of call progress means by its frequencies and how long it sounds.

    >>> meaning((425,), 1.0, goes_on=False)
    'ringback'
    """
    if signal_hz in _FACSIMILE:
        return "facsimile"
    if goes_on:
        return _CONTINUOUS.get(signal_hz, "tone")
    if signal_hz in _RINGING and (0.75 <= duration_s <= 2.5 or signal_hz == (400, 450)):
        return "ringback"
    if signal_hz in _KEYED and 0.33 <= duration_s < 0.75:
        return "busy"
    if signal_hz in _KEYED and duration_s < 0.33:
        return "congestion"
    return "tone"
