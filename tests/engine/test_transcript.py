"""The transcript plugin through the engine, on a speech model whose words are spelled by amplitude."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rtemo.api import (
    Block,
    Emit,
    Event,
    Mark,
    ModelError,
    PluginContext,
    PluginSpec,
    SpeechEnd,
    SpeechStart,
    StreamFormat,
    Transcript,
)
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo_plugins.transcript.options import TranscriptOptions
from rtemo_plugins.transcript.plugin import TranscriptPlugin
from tests.engine.plugins import FakePlugin, FakeProcessor
from tests.engine.rig import HOP, Timetable
from tests.fakes import freewheel
from tests.fakes.speech import ENGLISH, NOISE, RATE_HZ, FakeSpeech, FakeStore, say, silence

pytestmark = pytest.mark.engine

HANGOVER_HOPS = 40


class Ear(FakeProcessor):
    """Takes whatever is not 0 for speech, which is over after `HANGOVER_HOPS` of silence, as the detector has it."""

    def __init__(self) -> None:
        self._turns: dict[int, list[int]] = {}

    def process(self, block: Block, emit: Emit) -> None:
        for row, stream in enumerate(block.streams):
            now = int(block.start_sample[row]) + HOP
            sounds = bool(np.any(block.samples[row]))
            turn = self._turns.get(stream.id)
            if turn is None and sounds:
                turn = self._turns[stream.id] = [now - HOP, now]
                emit(row, SpeechStart(), now - HOP, now)
            if turn is not None and sounds:
                turn[1] = now
            is_last = bool(block.flags[row] & 8)
            if turn is not None and (now - turn[1] >= HANGOVER_HOPS * HOP or is_last):
                start, end = self._turns.pop(stream.id)
                reason = "stream_end" if is_last else "silence"
                emit(row, SpeechEnd(speech_s=(end - start) / RATE_HZ, reason=reason), start, end)
            block.marks["vad.speech"][row] = stream.id in self._turns
        if len(block.streams) != block.n:
            block.marks["vad.speech"][:] = 0


def ear() -> FakePlugin:
    spec = PluginSpec(
        name="ear",
        analyses="timing",
        provides=(Mark("vad.speech", "uint8", (), 255),),
        emits=(SpeechStart, SpeechEnd),
    )
    return FakePlugin(spec, lambda context, capacity: Ear())


def play(
    sounds: dict[str, np.ndarray], speech: FakeSpeech | None = None, analysis: str = "person", **options: Any
) -> list[Event]:
    """Run streams that begin together; all that is said."""
    store = FakeStore(speech)
    plugins = [ear(), TranscriptPlugin(TranscriptOptions(**options))]
    engine = Engine(
        plugins, EngineOptions(capacity=8, ring_s=60.0), is_live=False, clock=Timetable(), open_store=lambda: store
    )
    return freewheel.play(engine, {call: sound.astype(np.float32) for call, sound in sounds.items()}, analysis)


def told(events: Sequence[Event], call: str = "a") -> list[Event]:
    return [e for e in events if e.call == call and isinstance(e.data, Transcript)]


def finals(events: Sequence[Event], call: str = "a") -> list[Event]:
    return [e for e in told(events, call) if e.data.is_final]


KIDS = "kids are talking by the door"


def test_a_turn_is_told_while_it_goes_on_and_once_more_when_it_is_over() -> None:
    events = play({"a": np.concatenate([silence(1), say(KIDS), silence(1), say("stop"), silence(1)])})
    first = [e for e in told(events) if e.start_sample == RATE_HZ]
    assert [e.data.is_final for e in first] == [False] * (len(first) - 1) + [True]
    assert len(first) >= 2
    assert first[-1].data.text == KIDS
    assert first[-1].data.trigger == "turn_end"
    ends = [e.end_sample for e in events if isinstance(e.data, SpeechEnd)]
    assert [e.end_sample for e in finals(events)] == ends
    assert [e.data.text for e in finals(events)] == [KIDS, "stop"]
    for event in told(events):
        assert event.plugin == "transcript"
        assert event.data.trigger == ("stride" if not event.data.is_final else "turn_end")
        assert event.data.language == "en"


def test_what_is_stable_never_changes_and_all_is_stable_in_the_end() -> None:
    events = told(play({"a": np.concatenate([say(KIDS + " my number is stop " + KIDS), silence(1)])}))
    assert len(events) >= 4
    stable = ""
    for event in events:
        text, count = event.data.text, event.data.stable_chars
        assert text.startswith(stable)
        assert text[:count].startswith(stable)
        stable = text[:count]
    assert stable == events[-1].data.text == f"{KIDS} my number is stop {KIDS}"
    assert any(0 < event.data.stable_chars < len(event.data.text) for event in events[:-1])


def test_words_stand_where_they_were_said_in_the_stream() -> None:
    (final,) = finals(play({"a": np.concatenate([silence(2.5), say(KIDS), silence(1)])}))
    assert [word.text for word in final.data.words] == KIDS.split()
    for k, word in enumerate(final.data.words):
        assert word.start_sample == pytest.approx((2.5 + 0.4 * k) * RATE_HZ, abs=2)
        assert word.end_sample == pytest.approx((2.8 + 0.4 * k) * RATE_HZ, abs=2)
        assert word.probability == 0.9


def long_text() -> str:
    """A minute of words in no order."""
    return " ".join(np.random.default_rng(5).choice(ENGLISH, 150).tolist())


def test_a_turn_of_a_minute_is_written_down_whole_and_listened_to_in_short_windows() -> None:
    speech = FakeStore().fake
    text = long_text()
    events = play({"a": np.concatenate([say(text), silence(1)])}, speech, compression_above=50.0, redact=False)
    (final,) = finals(events)
    assert final.data.text == text
    assert len(final.data.words) == 150
    assert max(len(window) for window in speech.windows) <= (12 + 2 * 1.5 + 1) * RATE_HZ
    starts = [word.start_sample for word in final.data.words]
    assert starts == sorted(starts)


def test_a_long_turn_is_whole_without_partial_texts_too() -> None:
    text = long_text()
    sound = np.concatenate([say(text), silence(1)])
    events = told(play({"a": sound}, partial=False, compression_above=50.0, redact=False))
    assert [(e.data.text, e.data.is_final) for e in events] == [(text, True)]


def test_noise_that_counts_as_speech_gives_no_words() -> None:
    noise = np.full(3 * RATE_HZ, NOISE, np.float32)
    (event,) = told(play({"a": np.concatenate([noise, silence(1)])}))
    assert (event.data.text, event.data.words, event.data.is_final) == ("", (), True)


def test_silence_and_the_shortest_of_turns_are_not_listened_to() -> None:
    speech = FakeStore().fake
    blip = np.full(HOP, 0.1, np.float32)
    assert not told(play({"a": silence(3), "b": np.concatenate([blip, silence(1)])}, speech))
    assert speech.asked == []


def test_a_language_is_kept_once_it_is_sure_and_found_anew_when_it_changes() -> None:
    german = "heute ist mittwoch bitte warten gleich"
    speech = FakeStore().fake
    sound = np.concatenate([say(KIDS), silence(1), say("stop"), silence(1), say(german), silence(1), say("gleich")])
    events = finals(play({"a": np.concatenate([sound, silence(1)])}, speech, partial=False))
    assert [e.data.text for e in events] == [KIDS, "stop", german, "gleich"]
    assert [e.data.language for e in events] == ["en", "en", "de", "de"]
    assert [language for _, language, _ in speech.asked] == ["", "en", "en", "", "de"]
    assert events[0].data.language_probability == pytest.approx(0.97)


def test_a_language_that_is_given_is_never_sought() -> None:
    speech = FakeStore().fake
    events = finals(play({"a": np.concatenate([say(KIDS), silence(1)])}, speech, language="en"))
    assert {language for _, language, _ in speech.asked} == {"en"}
    assert (events[0].data.language, events[0].data.language_probability) == ("en", None)


def test_digits_are_masked_from_the_first_text_on_unless_that_is_switched_off() -> None:
    sound = np.concatenate([say("my number is four five 4-2 stop"), silence(1)])
    events = told(play({"a": sound}))
    for event in events:
        assert not any(secret in event.data.text for secret in ("four", "five", "4", "2"))
        assert not any(secret in word.text for word in event.data.words for secret in ("four", "five", "4", "2"))
    assert events[-1].data.text == "my number is # # #-# stop"
    assert events[-1].data.is_redacted
    (final,) = finals(play({"a": sound}, redact=False))
    assert final.data.text == "my number is four five 4-2 stop"
    assert not final.data.is_redacted


def test_hot_words_are_handed_to_the_model() -> None:
    speech = FakeStore().fake
    play({"a": np.concatenate([say(KIDS), silence(1)])}, speech, hot_words=("Rtemo", " Wrocław "))
    assert {prompt for *_, prompt in speech.asked} == {"Rtemo, Wrocław"}


def test_turns_of_several_calls_are_written_down_in_one_batch_and_do_not_touch_each_other() -> None:
    speech = FakeStore().fake
    sounds = {call: np.concatenate([say(text), silence(1)]) for call, text in (("a", KIDS), ("b", "stop stop stop"))}
    together = play(sounds, speech)
    assert max(count for count, *_ in speech.asked) >= 1
    for call, sound in sounds.items():
        alone = told(play({call: sound}), call)
        assert [(e.data, e.start_sample, e.end_sample) for e in told(together, call)] == [
            (e.data, e.start_sample, e.end_sample) for e in alone
        ]


def test_a_party_of_whom_only_the_timing_may_be_known_is_never_listened_to() -> None:
    speech = FakeStore().fake
    events = play({"a": np.concatenate([say(KIDS), silence(1)])}, speech, analysis="timing")
    assert [e.kind for e in events if e.kind.startswith("speech")] == ["speech_start", "speech_end"]
    assert not told(events)
    assert speech.asked == []


def test_a_turn_that_the_stream_ends_says_so() -> None:
    (final,) = finals(play({"a": say(KIDS)}))
    assert (final.data.text, final.data.trigger) == (KIDS, "stream_end")


def test_what_was_said_is_forgotten_as_soon_as_it_is_told() -> None:
    from rtemo_plugins.transcript.ear import Ear as Kept

    kept = Kept()
    kept.turn(0).words.rest.append("secret")  # type: ignore[arg-type]
    kept.close(0)
    assert not kept._turns
    for start in range(20):
        kept.turn(start)
    assert len(kept._turns) <= 4, "turns whose end was dropped do not pile up"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"language": "english"}, "did you mean 'en'"),
        ({"bundle": "silero-vad"}, "'silero-vad' is no speech model"),
        ({"bundle": "nowhere"}, "nowhere"),
    ],
)
def test_options_that_cannot_work_are_refused_in_one_sentence(options: dict[str, str], words: str) -> None:
    class Context(PluginContext):
        format = StreamFormat()
        card = staticmethod(FakeStore().card)

    with pytest.raises(ModelError, match=words):
        TranscriptPlugin(TranscriptOptions(**options)).open(Context(), 1)  # type: ignore[abstract]
