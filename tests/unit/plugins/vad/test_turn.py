"""Hop decisions become stretches of speech with a start, an end and a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.api import HopFlag
from rtemo_plugins.vad.turn import CHANGE, MAX_DURATION, REASONS, TURN, Rules, advance

pytestmark = pytest.mark.unit

RULES = Rules(
    start_probability=0.7,
    stop_probability=0.5,
    min_speech_hops=3,
    resume_hops=3,
    hangover_hops=10,
    onset_pad_samples=160,
    offset_pad_samples=0,
    max_samples=0,
    hop_samples=160,
)


class Machine:
    """One row per letter string: `#` voiced, `-` doubtful, `.` unvoiced, `?` unknown, `c` concealed, `L` last."""

    def __init__(self, count: int = 1, rules: Rules = RULES) -> None:
        self.rules = rules
        self.turns = np.zeros(count, TURN)
        self.changes = np.zeros(count, CHANGE)
        self.marks: list[list[int]] = []
        self.events: list[list[tuple]] = [[] for _ in range(count)]
        self.hops = 0

    def run(self, *rows: str) -> list[tuple]:
        probability_of = {"#": 0.9, "-": 0.6, ".": 0.1, "?": np.nan, "c": 0.9, "L": 0.1}
        flag_of = {"c": HopFlag.CONCEALED, "L": HopFlag.LAST}
        for letters in zip(*rows, strict=True):
            probability = np.array([probability_of[letter] for letter in letters], np.float32)
            flags = np.array([flag_of.get(letter, 0) for letter in letters], np.uint8)
            position = np.full(len(rows), self.hops * 160, np.int64)
            speech = np.zeros(len(rows), np.uint8)
            advance(self.rules, probability, position, flags, self.turns, self.changes, speech)
            self.marks.append(speech.tolist())
            for row, change in enumerate(self.changes):
                self._note(row, change)
            self.hops += 1
        return self.events[0]

    def _note(self, row: int, change: np.void) -> None:
        reason = int(change["reason"])
        started = ("start", int(change["start"]) // 160)
        ended = ("end", int(change["ended_start"]) // 160, int(change["ended_end"]) // 160, REASONS[reason])
        events = ([started] if change["started"] else []) + ([ended] if reason else [])
        self.events[row] += events[::-1] if reason == MAX_DURATION else events


def heard(row: str, **changes) -> list[tuple]:
    return Machine(rules=RULES._replace(**changes)).run(row)


def test_speech_starts_where_the_voice_began_minus_the_pad_and_ends_after_the_last_voice():
    assert heard("..." + "#" * 10 + "." * 20) == [("start", 2), ("end", 2, 13, "silence")]


def test_start_is_known_after_the_least_speech():
    machine = Machine()
    machine.run("." * 5 + "##")
    assert machine.events[0] == []
    assert machine.run("#") == [("start", 4)]


def test_click_does_not_start_speech():
    assert heard("..##....#..##......") == []


def test_word_with_a_gap_still_starts_where_it_began():
    assert heard("...##.##" + "." * 20) == [("start", 2), ("end", 2, 8, "silence")]


def test_doubtful_hops_keep_speech_but_do_not_start_it():
    assert heard("-" * 30) == []
    assert heard("#" * 5 + "-" * 30 + "." * 20) == [("start", 0), ("end", 0, 35, "silence")]


def test_pause_shorter_than_the_hangover_does_not_end_speech():
    assert heard("#" * 5 + "." * 6 + "#" * 5 + "." * 20) == [("start", 0), ("end", 0, 16, "silence")]


def test_clicks_do_not_keep_speech_alive():
    assert heard("#" * 5 + "..#...#...#...#...#...") == [("start", 0), ("end", 0, 5, "silence")]


def test_end_comes_exactly_one_hangover_after_the_voice():
    machine = Machine()
    machine.run("#" * 5 + "." * 9)
    assert len(machine.events[0]) == 1
    machine.run(".")
    assert machine.events[0][1:] == [("end", 0, 5, "silence")]
    assert [mark for [mark] in machine.marks] == [0, 0] + [1] * 12 + [0]


def test_stream_end_closes_speech():
    assert heard("#" * 8 + "L")[1:] == [("end", 0, 8, "stream_end")]
    assert heard("#" * 8 + "..L")[1:] == [("end", 0, 8, "stream_end")]


def test_stream_end_in_silence_says_nothing():
    assert heard("....L") == []
    assert heard("#" * 5 + "." * 12 + "L") == [("start", 0), ("end", 0, 5, "silence")]


def test_speech_confirmed_by_the_last_hop_is_opened_and_closed():
    machine = Machine()
    machine.run("..##")
    machine.turns["evidence"] = 2
    machine.changes[:] = 0
    probability, flags = np.array([0.9], np.float32), np.array([HopFlag.LAST], np.uint8)
    advance(RULES, probability, np.array([640]), flags, machine.turns, machine.changes, np.zeros(1, np.uint8))
    assert machine.changes["started"][0] == 1
    assert REASONS[machine.changes["reason"][0]] == "stream_end"


def test_frames_that_stop_end_speech_with_that_reason():
    assert heard("#" * 8 + "c" * 12)[1:] == [("end", 0, 8, "frames_stopped")]


def test_few_lost_frames_in_a_pause_are_still_silence():
    assert heard("#" * 8 + "..cc......" + "..")[1:] == [("end", 0, 8, "silence")]


def test_short_loss_does_not_break_speech():
    assert heard("#" * 8 + "ccc" + "#" * 8 + "." * 12)[1:] == [("end", 0, 19, "silence")]


def test_unknown_is_no_voice():
    assert heard("?" * 20) == []
    assert heard("#" * 5 + "?" * 12)[1:] == [("end", 0, 5, "silence")]


def test_long_speech_is_cut_without_a_gap():
    assert heard("#" * 12 + "." * 20, max_samples=5 * 160, onset_pad_samples=0) == [
        ("start", 0),
        ("end", 0, 5, "max_duration"),
        ("start", 5),
        ("end", 5, 10, "max_duration"),
        ("start", 10),
        ("end", 10, 12, "silence"),
    ]


def test_onset_pad_does_not_reach_into_the_speech_before():
    events = heard("#" * 5 + "." * 10 + "#" * 5 + "." * 12, onset_pad_samples=160 * 30)
    assert events[1:3] == [("end", 0, 5, "silence"), ("start", 5)]


def test_first_hop_cannot_start_before_the_stream():
    assert heard("#####")[0] == ("start", 0)


def test_negative_offset_pad_leaves_at_least_one_hop():
    assert heard("." + "#" * 3 + "." * 12, offset_pad_samples=-1600)[1:] == [("end", 0, 1, "silence")]


@given(rows=st.lists(st.text("##--..?c", min_size=60, max_size=60), min_size=2, max_size=5))
def test_rows_do_not_see_each_other_and_stretches_never_overlap(rows):
    ended = [row + "L" for row in rows]
    together = Machine(len(rows))
    together.run(*ended)
    for row, letters in enumerate(ended):
        alone = Machine()
        assert alone.run(letters) == together.events[row]
        reached, is_open = 0, False
        for event in together.events[row]:
            assert is_open == (event[0] == "end")
            is_open = event[0] == "start"
            assert event[1] >= (reached if is_open else 0)
            reached = event[-2] if event[0] == "end" else event[1]
        assert not is_open
