"""Faults of devices, clocks, sound, plugins and lanes, injected into the engine; see docs/reliability-machine.md."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bench.fakes.portaudio import HEADSET, FakePortAudio, RealClock
from rtemo.api import Event, Fault, GivesWay, HopFlag, Quality, SourceState
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.engine.registry import make
from rtemo.io.sources.capture import InputDevice
from rtemo.io.sources.microphone import MicrophoneSource
from tests.attack.fault_table import Promise
from tests.engine.costly import costly
from tests.engine.lane_work import WorkOptions
from tests.engine.plugins import failing, hanging, teller, witness
from tests.engine.rig import HOP, HOP_NS, RATE_HZ, Rig, Timetable, noise
from tests.engine.slow_plugin import lane_plugin
from tests.fakes.voice import voice

S = 1_000_000_000
_EPOCH_NS = 1_000_000_000_000


class DeviceClock(RealClock):
    """The time of devices, which is that of the engine's timetable."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable

    @property
    def now_ns(self) -> int:
        return _EPOCH_NS + self._timetable.now_ns()


class Desk:
    """A live engine with one microphone that hears a voice, all on virtual time."""

    def __init__(self) -> None:
        self.rig = Rig(make("level", {}), make("vad", {}), health_interval_s=1e6)
        clock = DeviceClock(self.rig.clock)
        self.port = FakePortAudio(HEADSET, clock=clock)
        self.source = MicrophoneSource(backend=self.port, clock_ns=clock, hang_s=0.2)
        self.source.open(self.rig.engine)
        self._sounds: dict[int, NDArray[np.float32]] = {}
        self.rig.clock.every(HOP_NS, self._deliver, HOP_NS, 10_000 * S)
        self.rig.clock.every(3_000_000, self._pump, 3_000_000, 10_000 * S)

    def run(self, duration_s: float) -> None:
        self.rig.run_until(self.rig.clock.now_ns() + round(duration_s * S))

    def unplug(self) -> int:
        """Take the device away; it notices nothing itself."""
        self.port.present.clear()
        return self.rig.clock.now_ns()

    def plug(self, device: InputDevice = HEADSET) -> int:
        self.port.present.append(device)
        return self.rig.clock.now_ns()

    def states(self) -> list[tuple[str, int]]:
        return [
            (event.data.state, event.emit_ns)
            for event in self.rig.all_events("source")
            if isinstance(event.data, SourceState)
        ]

    def _deliver(self) -> None:
        stream = self.port.stream
        if not stream.is_active or stream.device not in self.port.present:
            return
        step = stream.rate_hz // 100
        at = self.rig.clock.now_ns() // HOP_NS * step % (20 * stream.rate_hz)
        if stream.rate_hz not in self._sounds:
            place = np.arange(20 * stream.rate_hz) * RATE_HZ / stream.rate_hz
            spoken = voice(20.0, seed=3)
            self._sounds[stream.rate_hz] = np.interp(place, np.arange(spoken.size), spoken).astype(np.float32)
        block = np.repeat(self._sounds[stream.rate_hz][at : at + step, None], stream.channels, axis=1)
        stream.play(block, stream.time_ns() - HOP_NS)

    def _pump(self) -> None:
        self.source.pump()
        if self.source._outage is not None:
            time.sleep(0.0003)  # devices are closed and opened on threads that know the machine's time alone

    def whole_after(self, promise: Promise, plugged_ns: int) -> None:
        """See that from so long after the device is there again nothing is missing, and positions are those of time."""
        self.run(promise.whole_s)
        states = self.states()
        assert [state for state, _ in states] == ["lost", "recovered"]
        assert states[1][1] - plugged_ns <= promise.whole_s * S
        before = self.rig.counters()
        self.run(3.0)
        assert self.rig.counters() == before
        position = self.rig.heard["mic", "0"][-1][0]
        assert abs(position / RATE_HZ - self.rig.clock.now_ns() / S) < 0.1
        assert before.source_lost_samples > 0


def device_lost(promise: Promise, back_as: InputDevice = HEADSET) -> None:
    desk = Desk()
    desk.run(2.0)
    fault_ns = desk.unplug()
    desk.run(4.0)
    ((state, told_ns),) = desk.states()
    assert state == "lost"
    assert told_ns - fault_ns <= promise.told_s * S
    desk.whole_after(promise, desk.plug(back_as))
    spoken = [event for event in desk.rig.all_events("speech_start") if event.emit_ns > desk.states()[1][1]]
    assert spoken, "the voice is heard again"


def device_back_at_another_rate(promise: Promise) -> None:
    device_lost(promise, replace(HEADSET, index=3, channels=1, default_rate_hz=44_100))


def clocks_drift(promise: Promise, duration_s: float = 300.0) -> None:
    """Two clients whose clocks are 300 ppm fast and slow of the server's."""
    rig = Rig(health_interval_s=1e6)
    hop = noise(HOP)
    for call, ppm in (("fast", 300), ("slow", -300)):
        rig.clock.every(HOP_NS / (1 + ppm * 1e-6), partial(rig.open(call).write, hop), 1_000_000, round(duration_s * S))
    ring = rig.engine.floor._ring
    most_hops, told_s = 0, 0.0
    for second in range(5, round(duration_s) - 1, 5):
        rig.run_until(second * S)
        rig.heard.clear()
        most_hops = max(most_hops, int((ring.write - ring.read)[:2].max()) // HOP)
        if not told_s and rig.counters().concealed_hops:
            told_s = second
    counters = rig.counters()
    drifted_hops = duration_s * 100 * 300e-6
    assert 0 < told_s <= promise.told_s
    assert most_hops <= 6, "the delay is bounded"
    assert counters.overrun_samples == counters.xruns == 0
    assert 0 < counters.concealed_hops <= drifted_hops * 1.05 + 10
    assert 0 < counters.skipped_hops <= 2 * drifted_hops * 1.05 + 10


class Line:
    """One live stream that is fed a voice hop by hop, through level and vad, on virtual time.

    Attributes:
        change: What is done to each hop on its way; None for nothing.
        is_muted: Whether nothing comes.
    """

    def __init__(self) -> None:
        self.seer = witness()
        self.rig = Rig(make("level", {}), make("vad", {}), self.seer, health_interval_s=1e6)
        self.change: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
        self.is_muted = False
        self._writer = self.rig.open()
        self._sound = voice(40.0, seed=5)
        self._hops = 0
        self.rig.clock.every(HOP_NS, self._deliver, HOP_NS, 10_000 * S)

    def _deliver(self) -> None:
        self._hops += 1
        if self.is_muted:
            return
        at = self._hops * HOP % (self._sound.size - HOP)
        hop = self._sound[at : at + HOP]
        self._writer.write(hop if self.change is None else self.change(hop))

    def run(self, duration_s: float) -> None:
        self.rig.run_until(self.now_ns + round(duration_s * S))

    @property
    def now_ns(self) -> int:
        return self.rig.clock.now_ns()

    def run_into_a_word(self) -> None:
        """Go on until somebody has been speaking for a quarter of a second."""
        for _ in range(400):
            self.run(0.05)
            starts = self.rig.all_events("speech_start")
            if len(starts) > len(self.rig.all_events("speech_end")) and self.now_ns - starts[-1].emit_ns > S // 4:
                return
        raise AssertionError("nobody speaks")

    def since(self, kind: str, fault_ns: int) -> Event:
        """The first event of a kind since then."""
        found = [event for event in self.rig.all_events(kind) if event.emit_ns >= fault_ns]
        assert found, f"no {kind}"
        return found[0]

    def whole_after(self, whole_s: float) -> None:
        """See that from so long after now the voice is heard as it is, and speech is told."""
        self.change, self.is_muted = None, False
        end_ns = self.now_ns + round(whole_s * S)
        self.run(whole_s)
        self.seer.processor.seen.clear()
        before = self.rig.counters()
        self.run(5.0)
        assert self.rig.counters() == before
        assert not any(hop.flags & ~HopFlag.DISCONTINUITY for hop in self.seer.processor.seen)
        assert all(np.isfinite(hop.samples).all() for hop in self.seer.processor.seen)
        assert self.since("speech_start", end_ns)


def muted_in_mid_word(promise: Promise) -> None:
    line = Line()
    line.run_into_a_word()
    fault_ns = line.now_ns
    line.is_muted = True
    line.run(3.0)
    assert line.since("speech_end", fault_ns).emit_ns - fault_ns <= promise.told_s * S
    line.whole_after(promise.whole_s)


def bad_sound(promise: Promise, problem: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
    """Let something be done to the sound for as long as it may take to be told."""
    line = Line()
    line.run(2.0)
    fault_ns = line.now_ns
    line.change = change
    line.run(promise.told_s)
    told = line.since("quality", fault_ns)
    assert isinstance(told.data, Quality)
    assert told.data.problem == problem
    assert told.emit_ns - fault_ns <= promise.told_s * S
    assert all(np.isfinite(event.data.rms_dbfs) for event in line.rig.all_events("level"))  # type: ignore[union-attr]
    line.whole_after(promise.whole_s)


def not_finite(value: float) -> Callable[[Promise], None]:
    def change(hop: NDArray[np.float32]) -> NDArray[np.float32]:
        changed = hop.copy()
        changed[10:20] = value
        return changed

    return lambda promise: bad_sound(promise, "broken", change)


def direct_voltage(promise: Promise) -> None:
    bad_sound(promise, "offset", lambda hop: (hop + np.float32(0.2)).clip(-0.9, 0.9))


def clipping(promise: Promise) -> None:
    bad_sound(promise, "clipped", lambda hop: (hop * np.float32(12.0)).clip(-1.0, 1.0))


def plugin_raises(promise: Promise) -> None:
    seer = witness()
    rig = Rig(failing("bad", "process", count=100), teller(), seer, health_interval_s=1e6)
    writer = rig.open()
    sound = noise(200 * HOP)
    rig.clock.every(HOP_NS, iter_write(writer.write, sound), HOP_NS, 2 * S)
    seer.processor.seen.clear()
    rig.run_until(2 * S)
    (fault,) = rig.all_events("fault")
    assert fault.data == Fault(where="bad", problem="ZeroDivisionError: on purpose in process", action="bypassed")
    raised_ns = fault.start_sample * S // RATE_HZ + 100 * HOP_NS
    assert fault.emit_ns - raised_ns <= promise.told_s * S
    assert np.array_equal(rig.audio()[: 190 * HOP], sound[: 190 * HOP])
    assert len(rig.all_events("level")) >= 190
    assert rig.counters() == type(rig.counters())()


def iter_write(write: Callable[[NDArray[np.float32]], int], sound: NDArray[np.float32]) -> Callable[[], None]:
    """Write hop after hop at each call."""
    hops = iter(sound.reshape(-1, HOP))

    def deliver() -> None:
        for hop in hops:
            write(hop)
            return

    return deliver


def more_work_than_time(promise: Promise) -> None:
    """A plugin of which nothing can be given up takes so long that all together take 11 ms a hop."""
    clock = Timetable()
    ways: tuple[GivesWay, ...] = ("extras", "words", "spoof")
    load, parts = costly("load", clock, 0.0), [costly(way, clock, 1.0, way) for way in ways]
    rig = Rig(load, *parts, clock=clock, health_interval_s=1e6)
    for plugin in (load, *parts):
        plugin.processor.begin()
    rig.clock.every(HOP_NS, partial(rig.open().write, noise(HOP)), HOP_NS, 100 * S)
    rig.run_until(2 * S)
    load.processor.busy_ns = 8_000_000
    rig.run_until(12 * S)
    load.processor.busy_ns = 0
    rig.run_until(round((12 + promise.whole_s) * S))
    told = rig.all_events("overload")
    assert [(event.data.state, event.data.what) for event in told] == [  # type: ignore[union-attr]
        ("given_up", "extras"),
        ("given_up", "words"),
        ("taken_back", "words"),
        ("taken_back", "extras"),
    ]
    assert told[0].emit_ns - 2 * S <= promise.told_s * S
    before = rig.counters()
    rig.run_until(round((15 + promise.whole_s) * S))
    assert rig.counters() == before
    position = rig.heard["a", "0"][-1][0]
    assert abs(position / RATE_HZ - rig.clock.now_ns() / S) < 0.1


def plugin_hangs(promise: Promise) -> None:
    """On real threads, with the time that is usual."""
    bad = hanging("bad")
    engine = Engine([bad, teller()], EngineOptions(capacity=4, health_interval_s=0.2))
    engine.open()
    engine.start()
    events: list[Event] = []
    try:
        writer = engine.open_stream("call", "0")
        begin_s = time.monotonic()
        bad.processor.hang_at_tick = 30
        hung_s = told_s = 0.0
        hop = noise(HOP)
        for number in range(1, 1_000):
            writer.write(hop)
            time.sleep(max(0.0, begin_s + number * 0.01 - time.monotonic()))
            if bad.processor.is_hanging.is_set() and not hung_s:
                hung_s = time.monotonic()
            events += engine.outbox.take(0.0)
            if not told_s and any(event.kind == "fault" for event in events):
                told_s = time.monotonic()
            if told_s and time.monotonic() > told_s + promise.whole_s:
                break
        assert 0.0 < told_s - hung_s <= promise.told_s
        before = engine.health().counters
        for _ in range(50):
            writer.write(hop)
            time.sleep(0.01)
        after = engine.health().counters
        lost = (after.skipped_hops - before.skipped_hops, after.overrun_samples - before.overrun_samples)
        assert lost == (0, 0)
        assert before.skipped_hops + before.overrun_samples > 0, "what the hang cost is counted"
    finally:
        bad.processor.release.set()
        engine.stop("done")


@contextmanager
def lane(kind: str, misfortune: str, hang_s: float = 20.0) -> Iterator[tuple[Rig, Callable[[], bool], Any]]:
    """A live engine whose lane suffers a misfortune at its third batch, once; a call feeds it 10 ms."""
    with TemporaryDirectory() as folder:
        options = WorkOptions(**{misfortune: 3}, flag=str(Path(folder) / "once"))  # type: ignore[arg-type]
        plugin = lane_plugin(options, kind=kind, hang_s=hang_s)
        rig = Rig(plugin, health_interval_s=1e6)
        writer = rig.open()
        hop = noise(HOP)

        def push() -> bool:
            writer.write(hop)
            rig.step()
            time.sleep(0.002)
            return bool(rig.all_events("fault"))

        try:
            yield rig, push, plugin
        finally:
            rig.engine.stop("done")


def lane_fails(promise: Promise, kind: str, misfortune: str, problem: str, hang_s: float = 20.0) -> None:
    with lane(kind, misfortune, hang_s) as (rig, push, plugin):
        deadline_s = time.monotonic() + 30.0
        while len(plugin.processor.findings) < 2:
            push()
            assert time.monotonic() < deadline_s
        begin_s = time.monotonic()
        while not push():
            assert time.monotonic() < begin_s + promise.told_s + 0.5, "it is not told in time"
        (fault,) = rig.all_events("fault")
        assert fault.data == Fault(where="slow.work", problem=problem, action="retrying")
        found, told_s = len(plugin.processor.findings), time.monotonic()
        while len(plugin.processor.findings) < found + 2:
            push()
            assert time.monotonic() < told_s + promise.whole_s, "it does not come back in time"
        assert rig.counters() == type(rig.counters())(), "the audio has felt nothing"


FAULTS: dict[str, Callable[[Promise], None]] = {
    "audio device lost for 4 s": device_lost,
    "audio device comes back at another rate": device_back_at_another_rate,
    "clocks of two clients 600 ppm apart": clocks_drift,
    "call muted in mid-word": muted_in_mid_word,
    "NaN among the samples": not_finite(np.nan),
    "infinity among the samples": not_finite(np.inf),
    "direct voltage on the input": direct_voltage,
    "input that clips": clipping,
    "plugin raises": plugin_raises,
    "plugin hangs": plugin_hangs,
    "more work than time for 10 s": more_work_than_time,
    "lane raises": partial(lane_fails, kind="thread", misfortune="fails_at_call", problem="RuntimeError: bad window"),
    "lane hangs": partial(
        lane_fails, kind="thread", misfortune="hangs_at_call", problem="did not return within 0.5 s", hang_s=0.5
    ),
    "process of a lane hangs": partial(
        lane_fails, kind="process", misfortune="hangs_at_call", problem="did not return within 0.5 s", hang_s=0.5
    ),
    "process of a lane killed": partial(
        lane_fails, kind="process", misfortune="dies_at_call", problem="the process of the lane has died (signal 9)"
    ),
}
