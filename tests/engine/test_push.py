import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtemo
from rtemo.api import AudioInputError, Event, RtemoError
from rtemo.dsp.resample import resample
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import delay, teller
from tests.engine.rig import HOP, RATE_HZ, noise, ramp

pytestmark = pytest.mark.engine


Make = Callable[..., rtemo.Session]


def heard_of(session: rtemo.Session, push: Callable[[Any], None], **options: Any) -> np.ndarray:
    heard: list[np.ndarray] = []
    session.engine.driver._hand_out._on_audio = lambda call, channel, start, hop: heard.append(hop)
    with session:
        stream = session.stream(**options)
        push(stream)
        stream.end()
        assert session.wait(10.0)
    return np.concatenate(heard)


def test_every_kind_of_audio_that_can_be_pushed_is_the_same_audio(session_of: Make) -> None:
    whole = (noise(3_000) * 32768).astype(np.int16)
    expected = whole.astype(np.float32) / 32768
    for pcm in (
        whole,
        whole.tobytes(),
        bytearray(whole.tobytes()),
        memoryview(whole),
        expected,
        expected.astype(np.float64),
        expected.tolist(),
        whole[::-1][::-1],
    ):
        out = heard_of(session_of(mode="freewheel"), lambda stream, pcm=pcm: stream.push(pcm))
        assert np.allclose(out[:3_000], expected, atol=1e-7)


@pytest.mark.parametrize(
    ("pcm", "text"),
    [
        (b"abc", "got 3 bytes of 16-bit audio, an odd number; push whole samples of two bytes each"),
        (np.zeros((2, 8), np.float32), r"got audio of shape \(2, 8\), expected \[k\]; push one channel per stream"),
        (np.zeros(8, np.int32), r"got samples of type int32; push float32 in \[-1, 1\] or int16"),
        (np.zeros(8, np.complex64), "got samples of type complex64"),
        (np.float32(0.5), r"got audio of shape \(\)"),
    ],
)
def test_audio_that_cannot_be_pushed_is_refused_in_one_line_and_the_stream_goes_on(
    session_of: Make, pcm: Any, text: str
) -> None:
    def push(stream: Any) -> None:
        with pytest.raises(AudioInputError, match=text):
            stream.push(pcm)
        stream.push(ramp(HOP))

    assert np.array_equal(heard_of(session_of(mode="freewheel"), push)[:HOP], ramp(HOP))


def test_pushing_nothing_is_nothing(session_of: Make) -> None:
    def push(stream: Any) -> None:
        for nothing in (b"", np.zeros(0, np.int16), []):
            stream.push(nothing)

    assert not heard_of(session_of(mode="freewheel"), push).any()


def test_pushing_after_the_end_is_refused(session_of: Make) -> None:
    with session_of(mode="freewheel") as session:
        stream = session.stream("a")
        stream.end()
        stream.end()
        with pytest.raises(AudioInputError, match="stream 'a'/0 was ended before; open a new stream"):
            stream.push(ramp(HOP))


@pytest.mark.parametrize("rate_hz", [8_000, 48_000, 44_100, 384_000])
def test_audio_of_another_rate_is_converted_without_delay_or_loss(session_of: Make, rate_hz: int) -> None:
    sound = noise(rate_hz // 2 + 13, seed=rate_hz)
    expected = resample(sound, rate_hz, RATE_HZ)

    def push(stream: Any) -> None:
        for chunk in np.array_split(sound, 17):
            stream.push(chunk)

    out = heard_of(session_of(mode="freewheel"), push, sample_rate_hz=rate_hz)
    assert np.allclose(out[: expected.shape[0]], expected, atol=1e-6)
    assert not out[expected.shape[0] :].any()


def test_one_stream_pushed_while_another_starves_says_what_to_do(
    session_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtemo.push_stream.STARVED_S", 0.2)
    with session_of(mode="freewheel", engine=EngineOptions(capacity=2, ring_s=0.5)) as session:
        fed, starved = session.stream("fed"), session.stream("starved")
        starved.push(ramp(HOP))
        with pytest.raises(
            RtemoError, match="stream 'fed'/0 is full and the engine does not move on; in freewheel every"
        ):
            fed.push(ramp(2 * RATE_HZ))
        starved.end()
        fed.push(ramp(RATE_HZ))
        fed.end()
        assert session.wait(5.0)


def test_freewheel_push_from_two_threads_loses_nothing(session_of: Make) -> None:
    heard: dict[str, list[np.ndarray]] = {"a": [], "b": []}
    session = session_of(
        mode="freewheel",
        engine=EngineOptions(capacity=2, ring_s=0.2),
        on_audio=lambda call, channel, start, hop: heard[call].append(hop),
    )
    with session:

        def talk(call: str, size: int) -> None:
            stream = session.stream(call)
            for start in range(0, 5 * RATE_HZ, size):
                stream.push(ramp(min(size, 5 * RATE_HZ - start), start=start))
            stream.end()

        threads = [threading.Thread(target=talk, args=args) for args in (("a", 33_000), ("b", 411))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
        assert session.wait(5.0)
    for call in "ab":
        assert np.array_equal(np.concatenate(heard[call])[: 5 * RATE_HZ], ramp(5 * RATE_HZ))


def test_same_samples_in_any_chunking_give_the_same_events(session_of: Make) -> None:
    sound = (noise(2 * RATE_HZ + 91, seed=4) * 32768).astype(np.int16)
    session = session_of(delay("late", 100), teller(every_hops=7), mode="freewheel")
    told: dict[str, list[tuple[Any, ...]]] = {}
    with session:

        def speak(call: str, sizes: list[int]) -> list[tuple[Any, ...]]:
            stream = session.stream(call, sample_rate_hz=8_000)
            start = 0
            for size in sizes:
                stream.push(sound[start : start + size])
                start += size
            stream.push(sound[start:])
            stream.end()
            while call not in {event.call for event in ended(session, told)}:
                time.sleep(0.002)
            return told.pop(call)

        whole = speak("whole", [])
        count = 0

        @given(sizes=st.lists(st.integers(0, 2_500), max_size=20))
        @settings(max_examples=30, deadline=None)
        def chunked(sizes: list[int]) -> None:
            nonlocal count
            count += 1
            assert speak(f"cut-{count}", sizes) == whole

        chunked()
    assert len(whole) >= 2 + 57


def ended(session: rtemo.Session, told: dict[str, list[tuple[Any, ...]]]) -> list[Event]:
    """Collect what streams say, and return the ends."""
    events = list(session.events(0.0))
    for event in events:
        what = (event.seq, event.plugin, event.kind, event.start_sample, event.end_sample, event.data)
        told.setdefault(event.call, []).append(what)
    return [event for event in events if event.kind == "stream_end"]


def test_live_nan_is_silenced_and_the_stream_goes_on(session_of: Make) -> None:
    sound = noise(RATE_HZ // 2)
    sound[1_000:1_010] = np.nan
    sound[2_000] = -np.inf

    def push(stream: Any) -> None:
        for chunk in np.array_split(sound, 25):
            stream.push(chunk)
            time.sleep(0.005)

    for rate_hz in (8_000, RATE_HZ):
        out = heard_of(session_of(delay("late", 40)), push, sample_rate_hz=rate_hz)
        assert np.isfinite(out).all()
        assert np.abs(out).max() > 0.1
        if rate_hz == RATE_HZ:
            assert np.array_equal(out[40 : 40 + sound.shape[0]], np.nan_to_num(sound, nan=0.0, neginf=0.0))


def test_live_push_of_more_than_the_ring_holds_is_counted_as_overrun(session_of: Make) -> None:
    with session_of(engine=EngineOptions(capacity=2, ring_s=1.0)) as session:
        stream = session.stream()
        stream.push(ramp(10 * RATE_HZ))
        stream.end()
        assert session.wait(5.0)
        ends = [event for event in session.events() if event.kind == "stream_end"]
    counters = ends[0].data.counters  # type: ignore[union-attr]
    assert 8 * RATE_HZ < counters.overrun_samples < 10 * RATE_HZ
    assert ends[0].data.duration_s == 10.0  # type: ignore[union-attr]


def test_rate_that_cannot_be_converted_is_refused_and_takes_no_room(session_of: Make) -> None:
    with session_of(mode="freewheel", engine=EngineOptions(capacity=1)) as session:
        for rate_hz in (0, -8_000):
            with pytest.raises(AudioInputError, match=f"sample_rate_hz is {rate_hz}, expected a whole number"):
                session.stream(sample_rate_hz=rate_hz)
        stream = session.stream()
        stream.end()
        assert session.wait(5.0)


def test_what_has_a_type_of_its_own_is_taken_for_what_it_is(session_of: Make) -> None:
    sound = noise(4 * HOP)
    for pcm in (memoryview(sound), memoryview(sound.tobytes()).cast("f"), array("f", sound), sound.astype(np.float64)):
        out = heard_of(session_of(mode="freewheel"), lambda stream, pcm=pcm: stream.push(pcm))
        np.testing.assert_array_equal(out[: 4 * HOP], sound)
    whole = np.rint(sound * 32_767).astype("<i2")
    for pcm in (whole, memoryview(whole), whole.tobytes(), memoryview(whole.tobytes()), bytearray(whole.tobytes())):
        out = heard_of(session_of(mode="freewheel"), lambda stream, pcm=pcm: stream.push(pcm))
        np.testing.assert_array_equal(out[: 4 * HOP], whole.astype(np.float32) / 32_768)


def test_integers_given_as_floats_are_refused_and_an_overshoot_is_not(session_of: Make) -> None:
    with session_of(mode="freewheel") as session:
        stream = session.stream()
        with pytest.raises(AudioInputError, match=r"of up to \d+, expected \[-1, 1\]; divide by the full"):
            stream.push(noise(HOP) * 20_000)
        for whole in (np.full(HOP, 1e308), np.full(HOP, 3e38, np.float32)):  # doubles beyond float32 as well
            with pytest.raises(AudioInputError, match=r"of up to \de\+\d+, expected"):
                stream.push(whole)
        overshoot = noise(HOP)
        overshoot[:3] = 1e9, np.nan, np.inf
        stream.push(overshoot)
        stream.end()
        assert [event.kind for event in stream.events()][-1] == "stream_end"


def test_a_rate_may_be_any_whole_number_and_no_other(session_of: Make) -> None:
    with session_of(mode="freewheel", engine=EngineOptions(capacity=4)) as session:
        for index, rate_hz in enumerate((8_000.0, np.int64(8_000), np.float32(8_000))):
            session.stream(f"c{index}", sample_rate_hz=rate_hz).end()  # type: ignore[arg-type]
        for rate in (8_000.5, float("nan"), float("inf"), "8000", None, True, 0, 1_000_000, 1e300, 10**400):
            with pytest.raises(AudioInputError, match="expected a whole number of Hz from 1 to 768000"):
                session.stream("bad", sample_rate_hz=rate)  # type: ignore[arg-type]
            with pytest.raises(AudioInputError, match=r"^.{1,250}$"):
                session.stream("bad", sample_rate_hz=rate)  # type: ignore[arg-type]
