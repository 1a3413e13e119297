"""Who of a call speaks how much, over whom and when nobody does, told of streams in the engine."""

import numpy as np
import pytest

from rtemo.api import Mark, PluginSpec, RowParts, SpeechEnd, SpeechStart, StateTable
from rtemo_plugins.dialogue.options import DialogueOptions
from rtemo_plugins.dialogue.plugin import DialoguePlugin
from tests.engine.rig import HOP, RATE_HZ, Rig

pytestmark = pytest.mark.engine

HANGOVER = 40


class LoudIsSpeech:
    """A detector for which every sample that is not 0 is speech; it says so as the real one does, late."""

    spec = PluginSpec(
        name="vad",
        analyses="timing",
        provides=(Mark("vad.speech", "uint8", (), 255),),
        emits=(SpeechStart, SpeechEnd),
    )

    def open(self, context, capacity):
        return _Loud(capacity)


class _Loud(RowParts):
    def __init__(self, capacity):
        table = StateTable(capacity)
        self._start = table.add("start", (), np.int64, -1)
        self._end = table.add("end", (), np.int64)
        super().__init__(table)

    def process(self, block, emit):
        for row in range(block.n if len(block.streams) == block.n else 0):
            here = int(block.start_sample[row])
            if block.samples[row].any():
                if self._start[row] < 0:
                    self._start[row] = here
                    emit(row, SpeechStart(), here, here + HOP)
                self._end[row] = here + HOP
            elif self._start[row] >= 0 and (here - self._end[row] >= HANGOVER * HOP or block.flags[row] & 8):
                start, end = int(self._start[row]), int(self._end[row])
                emit(row, SpeechEnd(speech_s=(end - start) / RATE_HZ), start, end)
                self._start[row] = -1
            block.marks["vad.speech"][row] = self._start[row] >= 0


def sound(length_s: float, *turns: tuple[float, float]) -> np.ndarray:
    samples = np.zeros(round(length_s * RATE_HZ), np.float32)
    for start_s, end_s in turns:
        samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)] = 0.1
    return samples


def play(parties: dict[str, np.ndarray], call: str = "a", **options) -> Rig:
    """Play parties side by side, from their first samples on."""
    rig = Rig(LoudIsSpeech(), DialoguePlugin(DialogueOptions(**options)), live=False, capacity=8, ring_s=1.0)
    say(rig, parties, call)
    return rig


def say(rig: Rig, parties: dict[str, np.ndarray], call: str = "a", timed: tuple[str, ...] = ()) -> None:
    left = {
        channel: (rig.engine.open_stream(call, channel, analysis="timing" if channel in timed else "person"), samples)
        for channel, samples in parties.items()
    }
    while left:
        for channel, (writer, samples) in list(left.items()):
            samples = samples[writer.write(samples[: 10 * HOP]) :]
            left[channel] = writer, samples
            if not samples.size:
                writer.end("end")
                del left[channel]
        for _ in range(10):
            rig.step()
    rig.run_dry()


def told(rig: Rig, kind: str) -> list[tuple]:
    return [
        (event.channel, round(event.start_sample / RATE_HZ, 2), round(event.end_sample / RATE_HZ, 2), event.data)
        for event in rig.all_events(kind)
    ]


def test_the_time_of_a_call_is_shared_out_among_its_parties() -> None:
    rig = play({"0": sound(29, (1, 5), (12, 14)), "1": sound(29, (4.7, 11), (13, 13.2))}, interval_s=10)
    last = {channel: data for channel, _, _, data in told(rig, "talk") if data.is_final}
    assert last["0"].speech_s == pytest.approx(6, abs=0.02)
    assert last["1"].speech_s == pytest.approx(6.5, abs=0.02)
    assert last["0"].share + last["1"].share == pytest.approx(1, abs=0.002)
    assert last["0"].overlap_s == last["1"].overlap_s == pytest.approx(0.5, abs=0.02)
    assert last["0"].silence_s == pytest.approx(29 - 12, abs=0.1)
    assert (last["0"].turns, last["1"].turns) == (2, 2)
    assert last["1"].longest_s == pytest.approx(6.3, abs=0.02)
    assert [channel for channel, *_ in told(rig, "talk")].count("0") == 3, "after 10 s, 20 s and at the end"
    assert not told(rig, "interruption"), "short overlap at the end of a turn is how people take turns"
    assert last["0"].interruptions == last["1"].interruptions == 0


def test_when_it_is_told_does_not_depend_on_when_the_engine_began() -> None:
    found = []
    for ticks in (0, 3, 7):
        rig = Rig(LoudIsSpeech(), DialoguePlugin(DialogueOptions()), live=False, capacity=8, ring_s=1.0)
        say(rig, {"0": sound(0.01 * ticks)}, call="before")
        say(rig, {"0": sound(21, (1, 2)), "1": sound(21, (3, 4))})
        found.append([event for event in told(rig, "talk") + told(rig, "dead_air") if event[0] in ("0", "1")])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 8, "after 10 s, 20 s and at the end; dead air that goes on to the end"


def test_who_talks_over_another_until_he_stops_has_interrupted() -> None:
    rig = play({"0": sound(12, (1, 5)), "1": sound(12, (2, 2.4), (4, 8))})
    [(channel, start_s, end_s, data)] = told(rig, "interruption")
    assert (channel, start_s, end_s) == ("1", 4, 5)
    assert (data.interrupted, data.overlap_s) == ("0", pytest.approx(1, abs=0.02))
    last = {channel: data for channel, _, _, data in told(rig, "talk") if data.is_final}
    assert (last["0"].interruptions, last["1"].interruptions) == (0, 1), "a word thrown in is none"


def test_dead_air_is_told_while_it_lasts_and_when_somebody_speaks_again() -> None:
    rig = play({"0": sound(24, (1, 2), (12, 13)), "1": sound(24, (3, 4))}, dead_air_s=5)
    first, over, again, end = told(rig, "dead_air")
    assert first[:2] == ("1", 4)
    assert first[3].silence_s == pytest.approx(5, abs=0.1)
    assert not first[3].is_over
    assert over[:3] == ("1", 4, 12)
    assert (over[3].is_over, over[3].ended_by) == (True, "0")
    assert over[3].silence_s == pytest.approx(8, abs=0.02)
    assert (again[0], again[1], again[3].is_over) == ("0", 13, False)
    assert (end[0], end[3].is_over, end[3].ended_by) == ("0", True, "")


def test_nothing_is_said_of_a_call_with_one_party_and_the_rest_goes_on_when_one_leaves() -> None:
    rig = play({"0": sound(12, (1, 2))}, dead_air_s=2)
    assert not [event for event in rig.all_events() if event.plugin == "dialogue"]
    say(rig, {"0": sound(20, (1, 3), (15, 16)), "1": sound(6, (4, 5))}, call="b")
    assert {channel for channel, _, _, data in told(rig, "talk") if data.is_final} == {"0", "1"}
    last = next(data for channel, _, _, data in reversed(told(rig, "talk")) if channel == "0")
    assert last.share == pytest.approx(3 / 4, abs=0.01), "what was said stays said"


def test_parties_that_came_at_different_times_are_put_together_by_when_it_was_said() -> None:
    rig = Rig(LoudIsSpeech(), DialoguePlugin(DialogueOptions()), live=False, capacity=8, ring_s=1.0)
    early, late = rig.open("a", "0"), None
    samples, other = sound(12, (3, 6)), sound(8, (1.5, 4))  # the second begins 4 s later: it speaks from 5.5 s on
    written = 0
    while samples.size or other.size:
        samples = samples[early.write(samples[: 10 * HOP]) :]
        written += 1
        if written > 40:
            late = late or rig.open("a", "1")
            other = other[late.write(other[: 10 * HOP]) :]
        for _ in range(10):
            rig.step()
    early.end("end")
    late.end("end")
    rig.run_dry()
    [(channel, start_s, end_s, data)] = told(rig, "interruption")
    assert (channel, data.interrupted) == ("1", "0")
    assert (start_s, end_s) == (pytest.approx(1.5, abs=0.15), pytest.approx(2, abs=0.15)), "in its own time"


def test_a_party_of_whom_only_the_timing_may_be_known_is_counted_too() -> None:
    rig = Rig(LoudIsSpeech(), DialoguePlugin(DialogueOptions()), live=False, capacity=8, ring_s=1.0)
    say(rig, {"0": sound(3, (1, 2)), "1": sound(3, (1.5, 2.9))}, timed=("1",))
    last = {channel: data for channel, _, _, data in told(rig, "talk") if data.is_final}
    assert last["1"].speech_s == pytest.approx(1.4, abs=0.02)
    assert last["0"].share == pytest.approx(1 / 2.4, abs=0.01)
