"""The kernels of the tone detector: projection on its frequencies, and the decision."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, load, splat, store

PROGRESS_HOPS = 10
DIGIT_HOPS = 2
PARTIALS = 40
FREQUENCIES, DIGIT_FREQUENCIES, GROUP = 17, 8, 4

FAINTEST_POWER = np.float32(10.0**-5.5)
"""-55 dBFS: what is fainter is no tone of the line."""
DIGIT_SHARE = np.float32(0.8)
"""Least share of the energy in both frequencies; a digit that is 1 % off still has it, a voice seldom does. (ITU-T Q.24
wants 1.5 %, which made one digit in six minutes of speech.)"""
DIGIT_LEAD = np.float32(4.0)
"""How much stronger than the other three of its group a frequency is."""
DIGIT_TWIST = np.float32(10.0)
DIGIT_WINDOWS = 3
"""Windows in a row before a digit counts: one of 50 ms has at least as many."""
PROGRESS_SHARE = np.float32(0.85)
PROGRESS_TWIST = np.float32(10.0)
LEAST_PROGRESS_HOPS = 4
CONTINUOUS_HOPS = 300
GONE_HOPS = 3
ALIKE_HOPS = 4
AGAIN_HOPS, AGAIN_SHARE, AGAIN_WITHIN_HOPS = 3, np.float32(0.7), 700
"""A tone that has been heard in the last 7 s is known again by so few hops, before the detector of speech has judged
its onset."""
CADENCE_HOPS = 150
"""A short burst counts when one as long came not longer ago: a vowel may be as pure, but keeps no cadence."""

LINE = np.dtype(
    [
        ("hop", np.int64),  # counts hops, where the ring is
        ("digit", np.int64),  # one more than the digit that may be sounding
        ("digit_windows", np.int64),
        ("digit_start", np.int64),
        ("signal", np.int64),  # one more than the tone of call progress that sounds
        ("signal_hops", np.int64),
        ("signal_gone", np.int64),
        ("signal_start", np.int64),
        ("burst_hops", np.int64),  # how long the burst before was
        ("burst_signal", np.int64),
        ("burst_age", np.int64),  # hops since it ended
        ("is_said", np.bool_),
        ("is_sounding", np.bool_),
    ]
)
"""One row's tones; a fresh one is all zeros."""

NOTICE = np.dtype(
    [
        ("digit", np.int64),  # -1 for none
        ("start", np.int64),
        ("signal", np.int64),  # -1 for none
        ("signal_start", np.int64),
        ("hops", np.int64),
        ("goes_on", np.bool_),
    ]
)


@kernel
def project(
    samples: NDArray[np.float32],
    table: NDArray[np.float32],
    partials: NDArray[np.float32],
    energy: NDArray[np.float32],
    line: NDArray[np.void],
) -> None:
    """Write each row's hop, projected on all frequencies, into its ring.

    Args:
        samples: float32 [n, hop_samples].
        table: float32 [5 hop_samples, LANES]; five registers for each sample: cosines, then sines.
        partials: float32 [capacity, `PROGRESS_HOPS`, `PARTIALS`].
        energy: float32 [capacity, `PROGRESS_HOPS`], sum of squares.
        line: `LINE` [capacity].
    """
    n, hop_samples = samples.shape
    out = np.zeros((PARTIALS // LANES, LANES), np.float32)
    flat = out.reshape(-1)
    for i in range(n):
        at = line[i].hop % PROGRESS_HOPS
        line[i].hop += 1
        total = np.float32(0.0)
        for k in range(hop_samples):
            total += samples[i, k] * samples[i, k]
        is_sound = FAINTEST_POWER * np.float32(hop_samples) <= total < np.float32(np.inf)
        line[i].is_sounding = is_sound
        energy[i, at] = total if is_sound else np.float32(0.0)
        if not is_sound:
            partials[i, at] = np.float32(0.0)
            continue
        a = b = c = d = e = splat(np.float32(0.0))
        for k in range(hop_samples):
            x = splat(samples[i, k])
            a = fma(x, load(table, 5 * k), a)
            b = fma(x, load(table, 5 * k + 1), b)
            c = fma(x, load(table, 5 * k + 2), c)
            d = fma(x, load(table, 5 * k + 3), d)
            e = fma(x, load(table, 5 * k + 4), e)
        store(out, 0, a)
        store(out, 1, b)
        store(out, 2, c)
        store(out, 3, d)
        store(out, 4, e)
        for k in range(PARTIALS):
            partials[i, at, k] = flat[k]


@kernel
def _power(partials: Any, newest: int, hops: int, turn: Any, f: int) -> np.float32:
    """Squared size of the projection on frequency f over the last hops."""
    re = im = np.float32(0.0)
    for age in range(hops):
        at = (newest - age) % PROGRESS_HOPS
        pr, pi = partials[at, f], partials[at, FREQUENCIES + f]
        c, s = turn[age, f].real, turn[age, f].imag
        re += pr * c - pi * s
        im += pr * s + pi * c
    return re * re + im * im


@kernel
def _digit(partials: Any, energy: Any, newest: int, hop_samples: int, turn: Any) -> int:
    """One more than the digit that the last `DIGIT_HOPS` hops are, or 0."""
    total = np.float32(0.0)
    for age in range(DIGIT_HOPS):
        one = energy[(newest - age) % PROGRESS_HOPS]
        if one == 0.0:
            return 0
        total += one
    scale = np.float32(2.0 / (DIGIT_HOPS * hop_samples)) / total
    share = np.float32(0.0)
    digit = 0
    low = np.float32(0.0)
    for group in range(2):
        first = second = np.float32(0.0)
        best = 0
        for k in range(GROUP):
            power = scale * _power(partials, newest, DIGIT_HOPS, turn, GROUP * group + k)
            if power > first:
                first, second, best = power, first, k
            elif power > second:
                second = power
        if first < DIGIT_LEAD * second:
            return 0
        share += first
        digit = GROUP * digit + best
        if group == 0:
            low = first
        elif first > DIGIT_TWIST * low or low > DIGIT_TWIST * first:
            return 0
    return digit + 1 if share >= DIGIT_SHARE else 0


@kernel
def _signal(partials: Any, energy: Any, newest: int, hop_samples: int, turn: Any, members: Any, power: Any) -> int:
    """One more than the tone of call progress that the last `PROGRESS_HOPS` hops are, or 0."""
    total = np.float32(0.0)
    for age in range(PROGRESS_HOPS):
        if energy[age] == 0.0:
            return 0
        total += energy[age]
    scale = np.float32(2.0 / (PROGRESS_HOPS * hop_samples)) / total
    sum_of_all = np.float32(0.0)
    for k in range(FREQUENCIES - DIGIT_FREQUENCIES):
        power[k] = scale * _power(partials, newest, PROGRESS_HOPS, turn, DIGIT_FREQUENCIES + k)
        sum_of_all += power[k]
    if sum_of_all < PROGRESS_SHARE:
        return 0
    for signal in range(members.shape[0]):
        share, least, most = np.float32(0.0), np.float32(1.0), np.float32(0.0)
        for k in range(members.shape[1]):
            if members[signal, k]:
                share += power[k]
                least, most = min(least, power[k]), max(most, power[k])
        if share >= PROGRESS_SHARE and most <= PROGRESS_TWIST * least:
            return signal + 1
    return 0


@kernel
def _sounds_again(partials: Any, energy: Any, newest: int, hop_samples: int, turn: Any, members: Any) -> bool:
    """Whether the last `AGAIN_HOPS` hops are a tone of call progress that is known already."""
    total = np.float32(0.0)
    for age in range(AGAIN_HOPS):
        total += energy[(newest - age) % PROGRESS_HOPS]
    if energy[newest] == 0.0 or total == 0.0:
        return False
    scale = np.float32(2.0 / (AGAIN_HOPS * hop_samples)) / total
    share = np.float32(0.0)
    for k in range(members.size):
        if members[k]:
            share += scale * _power(partials, newest, AGAIN_HOPS, turn, DIGIT_FREQUENCIES + k)
    return share >= AGAIN_SHARE


@kernel
def find_tones(
    position: NDArray[np.int64],
    hop_samples: int,
    turn: NDArray[np.complex64],
    members: NDArray[np.bool_],
    alone_hops: NDArray[np.int64],
    partials: NDArray[np.float32],
    energy: NDArray[np.float32],
    line: NDArray[np.void],
    toned: NDArray[np.uint32],
    notices: NDArray[np.void],
) -> None:
    """Decide for every row what the newest hops are; write `toned` and `notices`.

    Args:
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        turn: complex64 [`PROGRESS_HOPS`, 17], what turns the projection of a hop k hops ago to the phase of the newest.
        members: bool [signals, 9], which frequencies make up a tone of call progress.
        alone_hops: int64 [signals], length from which a burst counts without another one as long before it.
        partials: See `project`.
        energy: See `project`.
        line: `LINE` [n], changed in place.
        toned: uint32 [capacity], bit k: the hop k hops ago was a tone; changed in place.
        notices: `NOTICE` [capacity], overwritten: a digit when it is recognised; a tone of call progress when it has
            ended, or has gone on for `CONTINUOUS_HOPS`.
    """
    power = np.zeros(FREQUENCIES - DIGIT_FREQUENCIES, np.float32)
    for i in range(line.shape[0]):
        row = line[i]
        notice = notices[i]
        notice.digit = notice.signal = -1
        row.burst_age += 1
        newest = (row.hop - 1) % PROGRESS_HOPS
        toned[i] <<= np.uint32(1)
        digit = _digit(partials[i], energy[i], newest, hop_samples, turn)
        if digit != 0 and digit == row.digit:
            row.digit_windows += 1
            if row.digit_windows == DIGIT_WINDOWS:
                notice.digit = digit - 1
                notice.start = row.digit_start
            if row.digit_windows >= DIGIT_WINDOWS:
                toned[i] |= np.uint32((1 << (DIGIT_HOPS + DIGIT_WINDOWS)) - 1)
        else:
            row.digit = digit
            row.digit_windows = 1 if digit else 0
            row.digit_start = max(position[i] - (DIGIT_HOPS - 1) * hop_samples, 0)

        signal = _signal(partials[i], energy[i], newest, hop_samples, turn, members, power)
        if signal != 0:
            toned[i] |= np.uint32((1 << PROGRESS_HOPS) - 1)
        elif (
            row.burst_signal != 0
            and row.burst_age <= AGAIN_WITHIN_HOPS
            and _sounds_again(partials[i], energy[i], newest, hop_samples, turn, members[row.burst_signal - 1])
        ):
            toned[i] |= np.uint32((1 << AGAIN_HOPS) - 1)
        if signal != 0 and (row.signal == 0 or signal == row.signal):
            if row.signal == 0:
                row.signal = signal
                row.signal_hops = PROGRESS_HOPS - 1
                row.signal_start = max(position[i] - (PROGRESS_HOPS - 1) * hop_samples, 0)
                row.is_said = False
            row.signal_hops += 1 + row.signal_gone
            row.signal_gone = 0
            if row.signal_hops >= CONTINUOUS_HOPS and not row.is_said:
                _notice(notice, row, True)
        elif row.signal != 0:
            row.signal_gone += 1
            if row.signal_gone >= GONE_HOPS:
                if not row.is_said and row.signal_hops >= PROGRESS_HOPS + LEAST_PROGRESS_HOPS:
                    has_cadence = (
                        row.burst_signal == row.signal
                        and row.burst_age - row.signal_hops <= CADENCE_HOPS
                        and abs(row.burst_hops - row.signal_hops) <= ALIKE_HOPS
                    )
                    row.burst_hops, row.burst_signal, row.burst_age = row.signal_hops, row.signal, 0
                    if has_cadence or row.signal_hops >= alone_hops[row.signal - 1]:
                        _notice(notice, row, False)
                row.signal = row.signal_gone = 0


@kernel
def _notice(notice: Any, row: Any, goes_on: bool) -> None:
    row.is_said = True
    notice.signal = row.signal - 1
    notice.signal_start = row.signal_start
    notice.hops = row.signal_hops
    notice.goes_on = goes_on
