"""Turn: the state machine that makes stretches of speech out of hop decisions, for all rows at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel

QUIET, STARTING, SPEAKING, STOPPING = 0, 1, 2, 3

REASONS = ("", "silence", "stream_end", "frames_stopped", "max_duration")
"""Why a stretch of speech ended, by the number in `CHANGE`; 0 when it did not."""

_SILENCE, _STREAM_END, _FRAMES_STOPPED, MAX_DURATION = range(1, 5)

TURN = np.dtype(
    [
        ("phase", np.int64),
        ("evidence", np.int64),  # voiced minus unvoiced hops: of starting, or of resuming
        ("silent", np.int64),  # hops since speech paused
        ("concealed", np.int64),  # how many of those were made up
        ("onset", np.int64),  # first voiced sample of what may become speech
        ("voiced_end", np.int64),  # one past the last voiced sample
        ("start", np.int64),  # where the open stretch starts, as announced
        ("earliest", np.int64),  # end of the stretch before
    ]
)
"""One row's state; a fresh one is all zeros."""

CHANGE = np.dtype(
    [
        ("started", np.int64),  # 1 when speech has started at `start`
        ("start", np.int64),
        ("reason", np.int64),  # not 0 when the stretch from `ended_start` to `ended_end` has ended
        ("ended_start", np.int64),
        ("ended_end", np.int64),
    ]
)
"""What a hop changed about one row's speech; at `MAX_DURATION` the end comes before the start, else after it."""

_CONCEALED = int(HopFlag.CONCEALED)
_LAST = int(HopFlag.LAST)


class Rules(NamedTuple):
    """When speech starts and ends, in hops and samples."""

    start_probability: float
    stop_probability: float
    min_speech_hops: int
    resume_hops: int
    hangover_hops: int
    onset_pad_samples: int
    offset_pad_samples: int
    max_samples: int
    """0 for no limit."""
    hop_samples: int


@kernel
def advance(
    rules: Rules,
    probability: NDArray[np.float32],
    position: NDArray[np.int64],
    flags: NDArray[np.uint8],
    turns: NDArray[np.void],
    changes: NDArray[np.void],
    speech: NDArray[np.uint8],
) -> None:
    """Move every row's machine on by one hop.

    Starting and resuming follow the same rule: voiced hops must outweigh unvoiced ones by a number of hops, so that
    a click neither starts speech nor keeps it alive. The hangover is counted from the last hop that was speech and
    is not restarted by single voiced hops. Unknown (NaN) and concealed hops count as unvoiced: when frames stop
    arriving, speech still ends on time.

    Args:
        rules: Thresholds and times.
        probability: float32 [n], of voice in the hop at `position`.
        position: int64 [n], first sample of the hop that is judged.
        flags: uint8 [n] of `HopFlag` bits.
        turns: `TURN` [n], changed in place.
        changes: `CHANGE` [n], overwritten.
        speech: uint8 [n], overwritten: 1 from the start of speech to the end of its hangover.
    """
    for i in range(probability.shape[0]):
        turn = turns[i]
        change = changes[i]
        change.started = change.reason = 0
        hop_end = position[i] + rules.hop_samples
        is_concealed = flags[i] & _CONCEALED != 0
        p = np.float32(0.0) if is_concealed or np.isnan(probability[i]) else probability[i]
        is_voiced = p >= rules.start_probability

        if turn.phase == QUIET and is_voiced:
            turn.phase = STARTING
            turn.evidence = 0
            turn.onset = position[i]
        if turn.phase == STARTING:
            turn.evidence += 1 if is_voiced else -1
            if is_voiced:
                turn.voiced_end = hop_end
            if turn.evidence >= rules.min_speech_hops:
                turn.phase = SPEAKING
                turn.start = max(turn.onset - rules.onset_pad_samples, turn.earliest)
                change.started = 1
                change.start = turn.start
            elif turn.evidence <= 0:
                turn.phase = QUIET
        elif turn.phase == SPEAKING:
            if p >= rules.stop_probability:
                turn.voiced_end = hop_end
            else:
                turn.phase = STOPPING
                turn.evidence = 0
                turn.silent = 1
                turn.concealed = 1 if is_concealed else 0
        elif turn.phase == STOPPING:
            turn.silent += 1
            turn.concealed += 1 if is_concealed else 0
            turn.evidence = max(turn.evidence + (1 if is_voiced else -1), 0)
            if turn.evidence >= rules.resume_hops:
                turn.phase = SPEAKING
                turn.voiced_end = hop_end

        if turn.phase == STOPPING and turn.silent >= rules.hangover_hops:
            change.reason = _FRAMES_STOPPED if 2 * turn.concealed > turn.silent else _SILENCE
        if flags[i] & _LAST and turn.phase >= SPEAKING:
            change.reason = _STREAM_END
        if change.reason != 0:
            change.ended_start = turn.start
            padded_end = min(turn.voiced_end + rules.offset_pad_samples, hop_end)
            change.ended_end = max(padded_end, turn.start + rules.hop_samples)
            turn.earliest = change.ended_end
            turn.phase = QUIET
        elif turn.phase == SPEAKING and 0 < rules.max_samples <= hop_end - turn.start:
            change.reason = MAX_DURATION
            change.ended_start = turn.start
            change.ended_end = change.start = turn.start = turn.earliest = hop_end
            change.started = 1
        speech[i] = 1 if turn.phase >= SPEAKING else 0
