"""The parties plugin through the engine, behind the real detector and with the real encoder of voices."""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import rtemo
from bench.quality.vad.telephony import music
from rtemo.api import ConfigError, Event, Party, SpeechEnd, StreamStart
from rtemo.dsp.resample import resample
from rtemo.engine import registry
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo_plugins.parties.options import PartiesOptions
from rtemo_plugins.parties.plugin import PartiesPlugin
from tests.engine.rig import Timetable
from tests.fakes import freewheel
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

CALL = Path(__file__).parents[2] / "examples" / "call.flac"
RATE_HZ = 16_000

Sound = NDArray[np.float32]


class Spoken(NamedTuple):
    """A turn on the line, in samples, and who spoke."""

    start: int
    end: int
    party: int


def line(duration_s: float = 50.0) -> tuple[Sound, list[Spoken]]:
    """Two people who take turns, and who is who: actors of the example call, one slowed down, the other sped up.

    As they are their moods differ more than their voices; so changed they have vocal tracts of other lengths.
    """
    audio, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    turns = [
        _turns(resample(np.ascontiguousarray(audio[:, channel]), round(rate_hz * pace), RATE_HZ))
        for channel, pace in enumerate((0.8, 1.35))
    ]
    parts, spoken, at = [np.zeros(RATE_HZ, np.float32)], [], RATE_HZ
    for pair in zip(*turns, strict=False):
        for party, turn in enumerate(pair):
            spoken.append(Spoken(at, at + len(turn), party))
            parts += [turn, np.zeros(RATE_HZ, np.float32)]
            at += len(turn) + RATE_HZ
    noise = 1e-4 * np.random.default_rng(0).standard_normal(at)
    count = round(duration_s * RATE_HZ)
    return (np.concatenate(parts) + noise).astype(np.float32)[:count], [one for one in spoken if one.end <= count]


def _turns(sound: Sound) -> list[Sound]:
    """Stretches of sound between pauses, of 0.8 s and more."""
    is_loud = np.convolve(sound**2, np.ones(8000) / 8000, "same") > 1e-7
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_loud.astype(np.int8), [0]])))
    return [sound[start:end] for start, end in edges.reshape(-1, 2) if end - start > 12_800]


def play(sound: Sound, sizes: tuple[int, ...] = (320,), role: str = "customer", **options: Any) -> list[Event]:
    """Push a sound in packets of the given sizes, in turn; all that was said of it."""
    config = rtemo.Config(chain=("vad", "parties"), plugins={"parties": options})
    with rtemo.Session(config, mode="freewheel") as session:
        stream = session.stream("line", role=role)
        at, number = 0, 0
        while at < len(sound):
            size = sizes[number % len(sizes)]
            stream.push(sound[at : at + size])
            at, number = at + size, number + 1
        stream.end()
        return list(stream.events())


def told(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event.data, Party)]


def finals(events: list[Event]) -> list[Event]:
    return [event for event in told(events) if event.data.is_final and event.data.trigger != "correction"]


def as_text(events: list[Event]) -> list[tuple[Any, ...]]:
    return [(event.start_sample, event.end_sample, event.data) for event in told(events)]


@pytest.fixture(scope="module")
def mixed() -> list[Event]:
    return play(line()[0])


def test_two_people_on_one_line_are_two_parties_and_every_turn_that_is_told_is_put_to_the_right_one(
    mixed: list[Event],
) -> None:
    spoken = line()[1]
    last: dict[int, Event] = {}
    for event in told(mixed):
        if event.data.is_final:
            last[event.start_sample] = event  # a correction takes the place of what was told
    named = []
    for event in last.values():
        middle = (event.start_sample + event.end_sample) // 2
        owners = [one.party for one in spoken if one.start <= middle < one.end]
        if owners and event.data.party is not None:
            named.append((event.data.party, owners[0]))
    assert len(named) >= 6
    assert len(set(named)) == 2  # each party is one person, all through
    assert {party for party, _ in named} == {0, 1}
    final = told(mixed)[-1].data
    assert len(final.known_s) == 2
    assert min(final.known_s) > 4.0


def test_every_turn_is_told_of_once_in_pieces_that_cover_it(mixed: list[Event]) -> None:
    turns = [(event.start_sample, event.end_sample) for event in mixed if isinstance(event.data, SpeechEnd)]
    assert len(turns) >= 6
    for start, end in turns:
        pieces = [event for event in finals(mixed) if start <= event.start_sample and event.end_sample <= end]
        assert pieces[0].start_sample == start
        assert pieces[-1].end_sample == end
        assert all(a.end_sample == b.start_sample for a, b in itertools.pairwise(pieces))
    assert all(event.data.is_estimate and event.plugin == "parties" for event in told(mixed))
    assert all(0.0 <= event.data.confidence <= 1.0 for event in told(mixed))


def test_packets_of_any_size_say_the_same(mixed: list[Event]) -> None:
    assert as_text(play(line()[0], (7, 4001, 1, 977))) == as_text(mixed)


def test_one_speaker_alone_stays_one_party() -> None:
    events = finals(play(voice(30.0, 1)))
    assert len(events) >= 5
    assert {event.data.party for event in events} <= {0, None}
    assert all(len(event.data.known_s) <= 1 for event in events)


def test_of_silence_music_and_broken_samples_nobody_is_told() -> None:
    organ = 0.1 * music("strings", 6.0, 0).astype(np.float32)
    broken = np.full(RATE_HZ, np.nan, np.float32)
    for sound in (np.zeros(3 * RATE_HZ, np.float32), organ, broken):
        assert not [event for event in told(play(sound)) if event.data.party is not None]
    events = play(np.concatenate([voice(6.0, 1), broken, voice(6.0, 1)]))
    assert "fault" not in {event.kind for event in events}
    assert told(events)


def test_of_who_may_only_be_timed_nothing_is_told() -> None:
    events = play(voice(8.0, 1), role="agent")
    (start,) = [event.data for event in events if isinstance(event.data, StreamStart)]
    assert start.analysis == "timing"
    assert any(isinstance(event.data, SpeechEnd) for event in events)
    assert not told(events)


@pytest.mark.parametrize("chain", [("vad", "parties", "merit"), ("vad", "merit", "parties")])
def test_a_chain_that_tells_emotion_of_everybody_on_the_line_is_refused(chain: tuple[str, ...]) -> None:
    config = rtemo.Config(chain=chain)
    with pytest.raises(ConfigError, match=r"says emotion.* may be at work"):
        rtemo.Session(config, mode="freewheel").start()


def test_it_may_tell_it_where_somebody_says_that_nobody_is_at_work() -> None:
    config = rtemo.Config(chain=("vad", "parties", "merit"), plugins={"parties": {"emotion": "both"}})
    with rtemo.Session(config, mode="freewheel") as session:
        stream = session.stream("line")
        stream.push(voice(6.0, 1))
        stream.end()
        kinds = {event.kind for event in stream.events()}
    assert {"party", "emotion"} <= kinds


class Kept(PartiesPlugin):
    """The plugin, with its lines to look at."""

    def line(self):
        made = super().line()
        self.made = [*getattr(self, "made", []), made]
        return made


def test_nothing_is_kept_of_a_voice_when_its_stream_has_ended() -> None:
    plugin = Kept(PartiesOptions())
    engine = Engine(
        [registry.make("vad"), plugin],
        EngineOptions(capacity=8, ring_s=60.0),
        is_live=False,
        clock=Timetable(),
        open_store=rtemo.runtime.ModelStore,
    )
    events = freewheel.play(engine, {"a": voice(6.0, 1), "b": voice(9.0, 2)[: 8 * RATE_HZ]})
    assert {event.call for event in told(events)} == {"a", "b"}
    assert len(plugin.made) == 2
    assert all(one.is_wiped for one in plugin.made)
