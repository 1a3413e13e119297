"""A plugin keeps the contract that the engine and other plugins rely on; see `rtemo.testing`."""

import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

import rtemo
from rtemo.api import OVERLOAD_ORDER, THRIFT, HopFlag, ModelError, Payload, Plugin, PluginSpec, ResetReason
from rtemo.config import Config
from rtemo.engine import registry
from rtemo.extensions import PLUGINS
from rtemo.testing.chosen import Chosen, chosen
from rtemo.testing.rig import FORMAT, HOP, Context, Emitted, Heard, Rig, Sound
from rtemo.testing.voice import voice

RATE_HZ = FORMAT.sample_rate_hz


class Case(NamedTuple):
    """A plugin and its options."""

    name: str
    options: dict[str, Any]

    def make(self) -> Plugin:
        """Make the plugin."""
        return registry.make(self.name, self.options)


@pytest.fixture(params=chosen(PLUGINS), ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    """Give what is to be proved; tests that import these replace it."""
    found: Chosen = request.param
    made = Case(found.name, found.options)
    try:
        Rig(made.make(), 1).close()
    except ModelError as error:
        pytest.skip(str(error))
    return made


MakeRig = Callable[..., Rig]


@pytest.fixture
def rig(case: Case) -> Iterator[MakeRig]:
    """Make rigs around the plugin; they are closed at the end."""
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        made.append(Rig(case.make(), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def assert_same(one: Heard, other: Heard) -> None:
    """Compare events by payload and position, and marks and audio hop by hop.

    Sums may be made in another order, and a network with weights as bytes rounds its inputs: where a sum stood on the
    edge, half a percent of a probability follows, or a percent of a gain.
    """
    assert_same_events(one.events, other.events)
    assert one.marks.keys() == other.marks.keys()
    for mark in one.marks:
        np.testing.assert_allclose(one.mark(mark), other.mark(mark), rtol=5e-3, atol=5e-3, err_msg=mark)
    np.testing.assert_allclose(one.samples, other.samples, rtol=1e-2, atol=1e-4)


def assert_same_events(one: list[Emitted], other: list[Emitted]) -> None:
    """Compare events by payload and position."""

    def sketch(events: list[Emitted]) -> list[tuple[str, int, int]]:
        return [(type(event.data).__name__, event.start_sample, event.end_sample) for event in events]

    assert sketch(one) == sketch(other)
    for a, b in zip(one, other, strict=True):
        got, expected = flat(a.data), flat(b.data)
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            is_number = isinstance(value, float)
            assert got[key] == (pytest.approx(value, rel=5e-3, abs=5e-3, nan_ok=True) if is_number else value), key


def flat(data: Payload) -> dict[str, Any]:
    """Spread a payload's fields, nested ones with a dotted name."""
    out: dict[str, Any] = {}
    for key, value in msgspec.to_builtins(data).items():
        inner = value if isinstance(value, dict) else {"": value}
        out |= {f"{key}.{part}": entry for part, entry in inner.items()}
    return out


def test_spec_says_what_the_entry_point_says(case: Case) -> None:
    plugin = case.make()
    assert isinstance(plugin.spec, PluginSpec)
    assert plugin.spec == plugin.spec
    assert plugin.spec.name == case.name
    assert plugin.spec.summary
    assert plugin.spec.cadence_hops >= 1
    assert plugin.spec.edits_audio or plugin.spec.latency_samples == 0
    assert set(plugin.spec.gives_way) <= set(OVERLOAD_ORDER)
    assert all("." in mark.name for mark in plugin.spec.provides)  # topic.name; two plugins may know one topic


def test_options_have_defaults_and_descriptions_and_no_unknown_keys(case: Case) -> None:
    options_type = registry.load(case.name).options_type
    options_type()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no_such_option": 1}, options_type)


@pytest.mark.parametrize("seed", [0, 1])
def test_file_pushed_in_any_chunks_equals_hop_by_hop(case: Case, rig: MakeRig, seed: int) -> None:
    sound = voice(8.03, seed)
    made = rig()
    expected = made.play({"a": sound})["a"]
    config = Config(chain=tuple(one.spec.name for one in made.chain), plugins={case.name: case.options})
    random = np.random.default_rng(seed)
    with rtemo.Session(config, mode="freewheel") as session:
        stream = session.stream("call")
        rest = sound
        while len(rest):
            size = int(random.integers(1, 5000))
            stream.push(rest[:size])
            rest = rest[size:]
        stream.end()
        # Events about the engine as a whole are about whoever happens to be there, so they are left out.
        events = [event for event in session.events() if event.plugin == case.name and event.call]
    got = [Emitted(event.data, event.start_sample, event.end_sample) for event in events]
    assert got or not case.make().spec.emits, "the test needs sound that makes the plugin say something"
    assert_same_events(got, expected.events)


def test_interleaved_streams_equal_separate_ones(rig: MakeRig) -> None:
    sounds = {"a": voice(7.5, 1), "b": voice(5.0, 2)}
    together = rig().play(sounds, {"b": 37})
    for stream, sound in sounds.items():
        assert_same(together[stream], rig().play({stream: sound})[stream])


def test_rows_moved_by_compaction_change_nothing(rig: MakeRig) -> None:
    sounds = {"a": voice(1.3, 1), "b": voice(2.9, 2), "c": voice(6.2, 3), "d": voice(0.4, 4), "e": voice(6.6, 5)}
    starts = {"b": 3, "c": 5, "d": 90, "e": 140}
    together = rig().play(sounds, starts)
    for stream, sound in sounds.items():
        assert_same(together[stream], rig().play({stream: sound})[stream])


def test_result_does_not_depend_on_capacity(rig: MakeRig) -> None:
    sound = voice(5.0, 6)
    assert_same(rig(capacity=1).play({"a": sound})["a"], rig(capacity=64).play({"a": sound})["a"])


@pytest.mark.parametrize("reason", list(ResetReason))
def test_reset_stream_repeats_and_its_neighbour_goes_on(rig: MakeRig, reason: ResetReason) -> None:
    sound = voice(5.0, 7)
    made = rig()
    made.play({"neighbour": sound, "reset": sound}, end=False)
    first = made.heard["reset"]
    made.reset("reset", reason)
    made.play({"neighbour": sound, "reset": sound}, end=False)
    assert_same(made.heard["reset"], first)
    alone = rig().play({"neighbour": np.concatenate([sound, sound])}, end=False)
    assert_same(made.heard["neighbour"], alone["neighbour"])


def test_row_of_a_stream_that_left_starts_afresh(rig: MakeRig) -> None:
    made = rig(capacity=1)
    first = made.play({"first": voice(3.7, 8)})["first"]
    made.play({"between": voice(2.0, 9)})
    assert_same(made.play({"again": voice(3.7, 8)})["again"], first)


def test_audio_is_untouched_or_late_as_declared(rig: MakeRig) -> None:
    made = rig()
    sound = np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1 + voice(2.0)
    out = made.play({"a": sound})["a"].samples
    assert measured_latency(sound, out) == sum(one.spec.latency_samples for one in made.chain)
    if not any(one.spec.edits_audio for one in made.chain):
        np.testing.assert_array_equal(out[: len(sound)], sound)


def measured_latency(sound: Sound, out: Sound) -> int:
    """Find the delay at which the output agrees best with the input."""
    size = len(out) + len(sound)
    agreement = np.fft.irfft(np.fft.rfft(out, size) * np.conj(np.fft.rfft(sound, size)))
    return int(np.argmax(agreement[: len(out)]))


ODD_SOUNDS: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda t: 0 * t,
    "full scale": lambda t: np.sign(np.sin(2 * np.pi * 440 * t)),
    "direct current": lambda t: 0 * t + 0.7,
    "one sample": lambda t: np.where(np.arange(len(t)) == 777, 1.0, 0.0),
    "tiny": lambda t: 1e-38 * np.sin(2 * np.pi * 440 * t),
    "not a number": lambda t: np.where(t > 0.5, np.nan, 0.1 * np.sin(t)),
    "infinite": lambda t: np.where(t > 0.5, np.inf, 0.1 * np.sin(t)),
    "far beyond full scale": lambda t: 1e30 * np.sin(t),
}


def test_odd_sound_neither_fails_nor_spreads_nor_stays(rig: MakeRig) -> None:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    sound = voice(7.0, 10)
    expected = rig().play({"normal": sound})["normal"]
    with np.errstate(all="ignore"):
        strange = {odd: make(t).astype(np.float32) for odd, make in ODD_SOUNDS.items()}
        sounds = {odd: np.concatenate([one, sound]) for odd, one in strange.items()}
        heard = rig(capacity=len(sounds) + 1).play({**sounds, "normal": sound})
    assert_same(heard.pop("normal"), expected)
    for odd, one in heard.items():
        for event in one.events:
            assert all(math.isfinite(x) for x in flat(event.data).values() if isinstance(x, float)), (odd, event)
        for mark in one.marks:  # whatever was unknown because of the odd sound is known again at the end
            got, usual = one.mark(mark)[-HOP:], expected.mark(mark)[-HOP:]
            assert np.isnan(got.astype(float)).mean() <= np.isnan(usual.astype(float)).mean() + 0.1, (odd, mark)


def test_no_speech_is_made_of_silence(rig: MakeRig) -> None:
    heard = rig().play({"a": np.zeros(3 * RATE_HZ, np.float32)})["a"]
    assert not {type(event.data).__name__ for event in heard.events} & {"SpeechStart", "Emotion", "Spoof", "Prosody"}


def test_short_streams_end_well(rig: MakeRig) -> None:
    made = rig()
    for size in (0, 1, HOP - 1, HOP, HOP + 1, 3 * HOP):
        made.play({f"{size}": voice(1.0)[:size]})
    assert made.streams == []


def test_events_speak_of_samples_that_were_heard(rig: MakeRig) -> None:
    sound = voice(9.0, 11)
    made = rig()
    heard = made.play({"a": sound})["a"]
    for event in heard.events:
        assert 0 <= event.start_sample <= event.end_sample <= len(heard.samples)


def test_concealed_and_broken_audio_is_survived(rig: MakeRig) -> None:
    sound = voice(6.0, 12)
    made = rig()
    made.admit("a")
    random = np.random.default_rng(12)
    for hop in sound.reshape(-1, HOP):
        flag = HopFlag.CONCEALED if random.random() < 0.2 else HopFlag.DISCONTINUITY if random.random() < 0.1 else 0
        made.tick({"a": hop * (flag != HopFlag.CONCEALED)}, {"a": int(flag)})
    made.tick({"a": np.zeros(HOP, np.float32)}, {"a": int(HopFlag.LAST)})
    for event in made.heard["a"].events:
        assert all(math.isfinite(x) for x in flat(event.data).values() if isinstance(x, float)), event


def test_plugin_that_is_to_say_less_says_no_more_and_something_and_any_other_all(case: Case, rig: MakeRig) -> None:
    sound = voice(9.0, 17)
    usual = rig().play({"a": sound})["a"]
    made = rig()
    made.thrift = THRIFT
    thrifty = made.play({"a": sound})["a"]
    if "rate" in case.make().spec.gives_way:
        assert 0 < len(thrifty.events) <= len(usual.events)
    else:
        assert_same(thrifty, usual)


def test_no_array_is_kept_after_the_call(rig: MakeRig) -> None:
    sound = voice(6.0, 13)
    assert_same(rig(spoil=True).play({"a": sound})["a"], rig(spoil=False).play({"a": sound})["a"])


def test_opened_twice_gives_two_independent_processors(case: Case) -> None:
    plugin = case.make()
    one, other = Rig(plugin), Rig(plugin)
    sound = voice(4.0, 14)
    first = one.play({"a": sound})["a"]
    one.close()
    assert_same(other.play({"a": sound})["a"], first)
    other.close()


def test_closing_twice_is_no_fault(case: Case) -> None:
    processor = case.make().open(Context(), 2)
    processor.admit(0)
    processor.close()
    processor.close()


def test_three_minutes_pass_without_drift_in_flat_memory(rig: MakeRig) -> None:
    made = rig(keep=False)
    minute = voice(60.0, 16)
    made.play({"a": minute}, end=False)
    gc.collect()
    for _ in range(3):  # what leaks does so every time; a heap in which much else was done grows now and then
        before_bytes = resident_bytes()
        for _ in range(2):
            made.play({"a": minute}, end=False)
        resident_grown_bytes = resident_bytes() - before_bytes
        if resident_grown_bytes < 4 << 20:
            break
    assert resident_grown_bytes < 4 << 20
    _assert_no_drift(made, 3)
    tracemalloc.start()  # by now what is kept of the last minute is full, and grows no more
    made.play({"a": minute[:RATE_HZ]}, end=False)
    made.heard["a"].events.clear()
    start_bytes = tracemalloc.get_traced_memory()[0]
    made.play({"a": minute[: 15 * RATE_HZ]}, end=False)
    made.heard["a"].events.clear()
    gc.collect()
    grown_bytes = tracemalloc.get_traced_memory()[0] - start_bytes
    tracemalloc.stop()
    assert grown_bytes < 20_000


def resident_bytes() -> int:
    """Tell the memory of this process."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("reading the resident memory needs /proc")
    return int(statm.read_text().split()[1]) * 4096


def test_ten_minutes_pass_without_drift(rig: MakeRig) -> None:
    made = rig(keep=False)
    made.play({"a": np.tile(voice(60.0, 16), 10)})
    _assert_no_drift(made, 10)


def _assert_no_drift(made: Rig, minutes: int) -> None:
    events = made.heard["a"].events
    if not events and made.plugin.spec.edits_audio and not made.plugin.spec.emits:
        return  # it edits audio and says nothing
    assert events
    assert max(event.end_sample for event in events) > (minutes - 0.5) * 60 * RATE_HZ
    for event in events:
        assert all(math.isfinite(x) for x in flat(event.data).values() if isinstance(x, float)), event
    # The last minutes are like the second: nothing has faded away or piled up.
    spans = [(k * 60 * RATE_HZ, (k + 1) * 60 * RATE_HZ) for k in (1, minutes - (2 if minutes > 3 else 1))]
    counts = [sum(start <= event.end_sample < end for event in events) for start, end in spans]
    assert abs(counts[0] - counts[1]) <= 0.1 * counts[0] + 2
