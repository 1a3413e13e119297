"""The parties of one line: told apart, named for good, left open where nobody can tell, and forgotten."""

import itertools

import numpy as np
import pytest

from rtemo_plugins.parties.clusters import unit
from rtemo_plugins.parties.line import KEPT_WINDOWS, MOST_WINDOWS, Heard, Line

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
WIDTH = 64
WINDOW, STRIDE = round(1.6 * RATE_HZ), round(0.8 * RATE_HZ)
ANNA, BEN, CARL = unit(np.random.default_rng(0).standard_normal((3, WIDTH)).astype(np.float32))


class Telephone:
    """Says turns of known voices into a line, and keeps what it tells."""

    def __init__(self, parties=2, spread=0.04, unsure_below=0.7):
        self.line = Line(parties, RATE_HZ, unsure_below)
        self.random = np.random.default_rng(1)
        self.spread = spread
        self.at = 0
        self.said = []
        self.spans = []

    def say(self, *voices, is_last=False):
        """A turn of a window for each voice in order, every 0.8 s; gives what was said of it and after it."""
        start = self.at
        end = start + WINDOW + (len(voices) - 1) * STRIDE
        said = []
        for number, voice in enumerate(voices):
            at = start + number * STRIDE
            vector = unit((voice + self.spread * self.random.standard_normal(WIDTH)).astype(np.float32))
            heard = Heard(at, at + WINDOW, vector)
            if number < len(voices) - 1:
                said += self.line.hear(start, heard)
            else:
                said += self.line.close(start, end, heard, is_last)
        self.spans.append((start, end))
        self.at = end + RATE_HZ
        self.said += said
        return said


def finals(said):
    return [one.data for one in said if one.data.is_final and one.data.trigger != "correction"]


def parties(said):
    return [data.party for data in finals(said)]


def corrections(said):
    return [(one.data.was, one.data.party, one.data.turn) for one in said if one.data.trigger == "correction"]


def test_two_voices_that_take_turns_are_two_parties_numbered_as_they_are_first_heard():
    line = Telephone()
    for _ in range(6):
        line.say(*[ANNA] * 4)
        line.say(*[BEN] * 4)
    told = parties(line.said)
    assert told[0] == 0
    assert told[4:] == [0, 1] * 4
    assert all(data.is_estimate for data in finals(line.said))


def test_what_was_left_open_or_put_to_the_wrong_one_is_corrected_with_what_it_was_before():
    line = Telephone()
    first = [line.say(*[ANNA] * 3), line.say(*[BEN] * 3)]
    assert parties(first[1])[0] in (None, 1)
    for _ in range(3):
        line.say(*[ANNA] * 3)
        line.say(*[BEN] * 3)
    final = {}
    for one in line.said:
        if one.data.is_final:
            assert one.data.was is None or one.data.was == final[one.data.turn]
            final[one.data.turn] = one.data.party
    assert [final[turn] for turn in sorted(final)] == [0, 1] * 4


def test_a_name_once_told_changes_by_nothing_but_a_correction_and_none_is_told_twice():
    line = Telephone(spread=0.12)
    random = np.random.default_rng(3)
    for _ in range(40):
        line.say(*[(ANNA, BEN)[random.integers(2)]] * int(random.integers(1, 6)))
    told = {}
    for one in line.said:
        data, key = one.data, (one.data.turn, one.start)
        if not data.is_final:
            continue
        if data.trigger == "correction":
            assert data.party is not None
            assert data.party != data.was
        else:
            assert key not in told
        told[key] = data.party


def test_one_voice_alone_stays_one_party_however_long():
    line = Telephone(spread=0.06)
    for _ in range(40):
        line.say(*[ANNA] * 4)
    assert set(parties(line.said)) == {0}
    assert all(len(data.known_s) == 1 for data in finals(line.said))
    assert not corrections(line.said)


def test_what_is_as_near_to_one_as_to_the_other_is_left_open():
    line = Telephone()
    for _ in range(4):
        line.say(*[ANNA] * 4)
        line.say(*[BEN] * 4)
    line.spread = 0.0
    between = unit(line.line.voices[0] + line.line.voices[1])
    (data,) = finals(line.say(*[between] * 3))
    assert data.party is None
    assert data.confidence < 0.7
    (sure,) = finals(line.say(*[BEN] * 3))
    assert (sure.party, sure.confidence > 0.9) == (1, True)


def test_two_who_speak_without_a_pause_between_them_are_two_pieces_of_one_turn():
    line = Telephone()
    for _ in range(3):
        line.say(*[ANNA] * 4)
        line.say(*[BEN] * 4)
    said = [one for one in line.say(*[ANNA] * 6, *[BEN] * 6) if one.data.is_final]
    assert [(one.data.party, one.data.pieces) for one in said] == [(0, 2), (1, 2)]
    assert said[0].start == line.spans[-1][0]
    assert said[0].end == said[1].start
    assert said[1].end == line.spans[-1][1]
    assert len({one.data.turn for one in said}) == 1
    middle = line.spans[-1][0] + 6 * STRIDE
    assert abs(said[0].end - middle) < 0.9 * RATE_HZ


def test_while_a_turn_goes_on_the_party_is_told_once_and_again_when_it_changes():
    line = Telephone()
    for _ in range(3):
        line.say(*[ANNA] * 4)
        line.say(*[BEN] * 4)
    said = [one for one in line.say(*[ANNA] * 6, *[BEN] * 6) if not one.data.is_final]
    assert [(one.data.party, one.data.trigger) for one in said] == [(0, "first"), (1, "change")]


def test_a_third_voice_is_a_party_only_where_there_may_be_three():
    for most in (2, 3):
        line = Telephone(parties=most)
        for _ in range(5):
            for voice in (ANNA, BEN, CARL):
                line.say(*[voice] * 4)
        last = finals(line.said)[-3:]
        assert len(last[0].known_s) == most
        assert [data.party for data in last[:2]] == [0, 1]
        if most == 3:
            assert last[2].party == 2


def test_seconds_known_and_unsure_add_up_to_what_was_told_of():
    line = Telephone(spread=0.2)
    for number in range(80):  # more than is remembered
        said = line.say(*[(ANNA, BEN, unit(ANNA + BEN))[number % 3]] * 4)
        data = said[-1].data
        spoken_s = sum(end - start for start, end in line.spans) / RATE_HZ
        assert sum(data.known_s) + data.unsure_s == pytest.approx(spoken_s, abs=0.01)
    assert len(data.known_s) == 2


def test_a_turn_that_never_ends_is_told_in_parts_that_lie_side_by_side():
    line = Telephone()
    line.say(*[ANNA] * 4)
    said = [one for one in line.say(*[ANNA] * (3 * MOST_WINDOWS)) if one.data.is_final]
    assert [one.data.trigger for one in said] == ["span", "span", "turn_end"]
    assert said[0].start == line.spans[-1][0]
    assert said[-1].end == line.spans[-1][1]
    assert all(one.end == other.start for one, other in itertools.pairwise(said))
    assert len({one.data.turn for one in said}) == 1


def test_a_turn_too_short_to_tell_is_left_open_and_teaches_nothing():
    line = Telephone()
    said = line.line.close(0, 4000, None, False)
    assert [(one.start, one.end, one.data.party, one.data.confidence) for one in said] == [(0, 4000, None, 0.0)]
    assert len(line.line.voices) == 0


def test_what_is_kept_is_bounded_and_all_of_it_is_overwritten():
    line = Telephone()
    for number in range(200):
        line.say(*[(ANNA, BEN)[number % 2]] * 3)
    kept = line.line._turns
    assert sum(len(turn.windows) for turn in kept) <= KEPT_WINDOWS
    arrays = [window.vector for turn in kept for window in turn.windows]
    arrays += [turn.units for turn in kept] + [line.line.voices, line.line._anchors]
    assert all(array.any() for array in arrays)
    line.line.wipe()
    assert not any(array.any() for array in arrays)
    assert line.line.is_wiped
    assert len(line.line.voices) == 0


def test_the_same_turns_say_the_same():
    one, other = Telephone(spread=0.15), Telephone(spread=0.15)
    for number in range(30):
        voice = (ANNA, BEN)[number % 2]
        assert one.say(*[voice] * (1 + number % 5)) == other.say(*[voice] * (1 + number % 5))
