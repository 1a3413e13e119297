"""A doubtful voice is asked for words, and whether it said them is told, of streams in the engine."""

import numpy as np
import pytest

from rtemo.api import Challenge, PluginSpec, RowParts, Spoof, StateTable, Transcript
from rtemo_plugins.liveness.options import LivenessOptions
from rtemo_plugins.liveness.plugin import LivenessPlugin
from tests.engine.rig import HOP, RATE_HZ, Rig

pytestmark = pytest.mark.engine

ALARM = Spoof(score=5.0, verdict="spoof", is_alarmed=True, speech_s=6.0)


class Teller(RowParts):
    """Says at times of a stream, in s, what it is told to: of a channel or of all, over the half second before."""

    def __init__(self, said, kinds=(Spoof, Transcript)):
        super().__init__(StateTable(8))
        self.spec = PluginSpec(name="teller", analyses="timing", emits=kinds)
        self._said = {round(at_s * RATE_HZ / HOP): what for at_s, what in said.items()}

    def open(self, context, capacity):
        return self

    def process(self, block, emit):
        for row in range(len(block.streams)):
            here = int(block.start_sample[row]) + HOP
            found = self._said.get(here // HOP)
            if isinstance(found, dict):
                found = found.get(block.streams[row].channel)
            if found is not None:
                emit(row, found(self) if callable(found) else found, max(0, here - RATE_HZ // 2), here)


def run(said, length_s=60.0, kinds=(Spoof, Transcript), channels=("0",), analysis="person", **options) -> Rig:
    teller = Teller(said, kinds)
    rig = Rig(teller, LivenessPlugin(LivenessOptions(**options)), live=False, capacity=8, ring_s=length_s + 1)
    teller.rig = rig
    writers = [rig.engine.open_stream("a", channel, analysis=analysis) for channel in channels]
    for writer in writers:
        writer.write(np.zeros(round(length_s * RATE_HZ), np.float32))
        writer.end("end")
    rig.run_dry()
    return rig


def told(rig: Rig) -> list[tuple[float, Challenge]]:
    return [(event.end_sample / RATE_HZ, event.data) for event in rig.all_events("challenge")]


def words(count: int, extra: str = ""):
    """Say so many of the words that the last question asked for."""

    def say(teller):
        asked = [event for event in teller.rig.all_events("challenge") if event.data.state == "asked"][-1]
        return Transcript(text=" ".join((*asked.data.words[:count], extra)).upper(), is_final=True)

    return say


def test_an_alarm_has_the_speaker_asked_and_his_words_are_heard() -> None:
    (asked_s, asked), (met_s, met) = told(run({5: ALARM, 12: words(2, "please")}))
    assert asked_s == pytest.approx(5.0)
    assert asked.ask == f"Please say these words: {', '.join(asked.words)}."
    assert (asked.state, asked.reason, len(set(asked.words))) == ("asked", "alarm", 3)
    assert (met.state, met.words, met.heard) == ("met", asked.words, asked.words[:2]), "one may be misheard"
    assert (met_s, met.answer_s) == (pytest.approx(12.0), pytest.approx(7.0))


def test_words_may_come_in_several_turns() -> None:
    (_, asked), (_, met) = told(run({5: ALARM, 12: words(1), 16: words(2)}, words=3))
    assert (met.state, met.heard) == ("met", asked.words[:2])


@pytest.mark.parametrize(
    ("said", "state", "heard"),
    [
        ({12: Transcript(text="why should I", is_final=True)}, "missed", 0),
        ({12: words(1)}, "missed", 1),
        ({12: Transcript(text="", is_final=True)}, "unanswered", 0),
        ({12: words(3), 4.9: ALARM}, "met", 3),
        ({}, "unanswered", 0),
        ({29: words(3)}, "unanswered", 0),
    ],
    ids=["other words", "too few", "no words", "all", "nothing", "too late"],
)
def test_what_came_of_it_is_told_once(said, state, heard) -> None:
    (_, _), (_, over) = told(run({5: ALARM} | said))
    assert (over.state, len(over.heard)) == (state, heard)
    assert (over.answer_s is None) == (state != "met")


def test_a_turn_that_ended_before_the_question_is_no_answer_to_it() -> None:
    """The last half second before the alarm is written down just after it."""
    outcomes = [data.state for _, data in told(run({5: ALARM, 5.01: Transcript(text="hello", is_final=True)}))]
    assert outcomes == ["asked", "missed"], "this turn went on for a hop after it"
    rig = run({5: Transcript(text="hello", is_final=True), 5.01: ALARM})
    assert [data.state for _, data in told(rig)] == ["asked", "unanswered"]


def test_a_verdict_over_the_last_seconds_asks_only_where_that_is_wanted() -> None:
    verdict = Spoof(score=2.0, verdict="spoof", speech_s=3.0)
    genuine = Spoof(score=-2.0, verdict="bona_fide", speech_s=3.0)
    assert not told(run({5: verdict, 6: genuine}))
    assert told(run({5: verdict}, on="spoof"))[0][1].reason == "spoof"
    assert not told(run({6: genuine}, on="spoof"))


def test_nobody_is_asked_twice_within_the_time_set_nor_while_an_answer_is_open() -> None:
    alarms = {float(at_s): ALARM for at_s in range(5, 55)}
    assert [data.state for _, data in told(run(alarms))] == ["asked", "unanswered"]
    rig = run(alarms | {12.5: words(3)}, again_s=15.0)
    assert [(at_s, data.state) for at_s, data in told(rig)][:3] == [(5.0, "asked"), (12.5, "met"), (20.0, "asked")]


def test_without_anybody_who_writes_words_down_it_asks_and_tells_no_outcome() -> None:
    assert [data.state for _, data in told(run({5: ALARM}, kinds=(Spoof,)))] == ["asked"]


def test_a_stream_that_ends_first_has_its_outcome_told() -> None:
    (_, _), (over_s, over) = told(run({5: ALARM}, length_s=8.0))
    assert over.state == "unanswered"
    assert over_s == pytest.approx(8.0, abs=0.02)


def test_every_speaker_is_asked_for_words_of_his_own_and_answers_for_himself() -> None:
    rig = run({5: ALARM, 12: {"1": Transcript(text="no", is_final=True)}}, channels=("0", "1"))
    asked = {event.channel: event.data.words for event in rig.all_events("challenge") if event.data.state == "asked"}
    over = {event.channel: event.data.state for event in rig.all_events("challenge") if event.data.state != "asked"}
    assert asked["0"] != asked["1"]
    assert over == {"0": "unanswered", "1": "missed"}


def test_who_is_only_timed_is_never_asked() -> None:
    assert not told(run({5: ALARM}, analysis="timing"))


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "pl"])
def test_the_words_of_every_language_are_heard_without_their_accents_too(language) -> None:
    def say(teller):
        [asked] = teller.rig.all_events("challenge")
        plain = " ".join(asked.data.words).translate(
            str.maketrans("äöüéèêáíóúñâłóąęźżćśńùîôç", "aoueeeaiounaloaezzcsnuioc")
        )
        return Transcript(text=plain, is_final=True)

    (_, asked), (_, over) = told(run({5: ALARM, 12: say}, language=language, words=6))
    assert (over.state, over.heard) == ("met", asked.words)
