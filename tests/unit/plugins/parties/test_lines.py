"""Nothing that is known of a voice outlives the stream, whoever is last to need it."""

import numpy as np
import pytest

from rtemo_plugins.parties.line import Heard, Line
from rtemo_plugins.parties.lines import Lines

pytestmark = pytest.mark.unit


def lines_with(stream=1, turns=1):
    lines = Lines(lambda: Line(2, 16_000, 0.7))
    lines.begin(stream)
    held = lines.of(stream)
    vector = np.ones(8, np.float32) / np.float32(np.sqrt(8))
    for _ in range(turns):
        lines.end_turn(stream)
        with held.lock:
            held.line.close(0, 25_600, Heard(0, 25_600, vector), False)
            held.closed += 1
    return lines, held, vector


def test_a_stream_of_which_all_is_told_is_forgotten_when_it_leaves():
    lines, held, vector = lines_with()
    lines.leave(1, 0.0)
    assert not vector.any()
    assert held.line.is_wiped
    assert len(lines) == 0


def test_a_stream_whose_last_turn_the_lane_still_has_is_forgotten_when_that_is_told():
    lines, held, vector = lines_with()
    lines.end_turn(1)
    lines.leave(1, 0.0)
    assert vector.any()
    with held.lock:
        held.closed += 1
    lines.wipe_if_done(1, held)
    assert not vector.any()
    assert len(lines) == 0


def test_a_stream_that_leaves_while_the_lane_is_at_it_is_forgotten_by_the_lane():
    lines, held, vector = lines_with()
    with held.lock:
        lines.leave(1, 0.0)  # does not wait
        assert vector.any()
    lines.wipe_if_done(1, held)
    assert not vector.any()
    assert len(lines) == 0


def test_a_turn_that_was_dropped_is_not_waited_for_without_end():
    lines, _, vector = lines_with()
    lines.end_turn(1)
    lines.leave(1, 10.0)
    lines.sweep(9.0)
    assert vector.any()
    lines.sweep(11.0)
    assert not vector.any()
    assert len(lines) == 0


def test_streams_that_go_on_are_kept_and_all_are_forgotten_at_the_end():
    lines, _, vector = lines_with()
    lines.sweep(1e9)
    assert vector.any()
    lines.wipe_all()
    assert not vector.any()
    assert len(lines) == 0


def test_a_stream_that_begins_anew_knows_nobody():
    lines, held, vector = lines_with()
    lines.renew(1)
    assert not vector.any()
    lines.begin(1)
    assert lines.of(1) is not held
    assert len(lines.of(1).line.voices) == 0
