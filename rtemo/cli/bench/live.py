"""Live runs: streams of voices at the pace of real time, and what the engine counted of them."""

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from rtemo.api import Emotion, Event, SpeechEnd
from rtemo.cli.bench.distribution import Distribution, distribution
from rtemo.cli.bench.feeder import Feeder
from rtemo.cli.bench.yardstick import Yardstick
from rtemo.cli.starting import StartLine
from rtemo.cli.stopping import stop_if_told
from rtemo.config import Config
from rtemo.engine.stats import Histogram
from rtemo.session import Session

_SETTLE_S = 3.0
"""Until all streams are in and their first turns have begun."""
_PERIOD_S = 0.1
_NEVER_S = 1e9
_RATED_S = 0.6
"""Speech from which on a turn is rated, whoever tells it."""


class LiveCost(msgspec.Struct, frozen=True, kw_only=True):
    """What so many live streams cost, and what became of their audio."""

    streams: int
    seconds: float
    """That were measured."""
    hop_us: float
    """Time there is for a tick."""
    tick: Distribution
    """Time of the ticks."""
    late: Distribution
    """From when a tick could begin until it did."""
    event_age: Distribution
    """From the capture of the last sample that an event is about to its publishing, over all events."""
    events: dict[str, Distribution]
    """The same for each kind of event; what waits for its turn to be over is as old as it must be."""
    xruns: int
    skipped_hops: int
    concealed_hops: int
    overrun_samples: int
    dropped_events: int
    given_up: tuple[str, ...]
    """What the engine did without at the end, because it could not carry its load."""
    turns_ended: int
    turns_told_by: dict[str, int]
    """Who told the emotion of how many turns."""
    cpu_cores: float
    """Processors that the whole process kept busy, the feeder included."""
    yardstick_us: float = 0.0
    """Time of a fixed job of NumPy, in turns with what was measured; 0 where it was not taken."""

    @property
    def late_share(self) -> float:
        """Share of ticks that ended after the next was due."""
        return self.xruns / max(self.tick.count, 1)


class _Listener:
    """A publisher that looks at how old events are and sends them nowhere."""

    name = "bench"

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin to count."""
        self.all = Histogram()
        self.kinds: dict[str, Histogram] = {}
        self.told_by: Counter[str] = Counter()
        self.turns_ended = 0

    def open(self) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        """Count events."""
        now_ns = time.time_ns()
        for event in events:
            if event.capture_ns:
                self.all.add(now_ns - event.capture_ns)
                self.kinds.setdefault(event.kind, Histogram()).add(now_ns - event.capture_ns)
            if isinstance(event.data, Emotion):
                self.told_by[event.plugin] += event.data.is_final
            elif isinstance(event.data, SpeechEnd):
                self.turns_ended += event.data.speech_s >= _RATED_S

    def tick(self) -> None: ...

    def close(self) -> None: ...


def run_live(
    config: Config,
    streams: int,
    duration_s: float,
    *,
    packet_s: float = 0.02,
    prefill_s: float = 0.04,
) -> LiveCost:
    """Run the whole chain over live streams of voices, fed by one thread, and tell what the engine counted.

    Args:
        config: Chain and options; its capacity is that of the streams.
        streams: How many.
        duration_s: How long to measure, after a few seconds that are not counted.
        packet_s: Sound of a packet.
        prefill_s: Sound that the engine keeps in hand of each stream against jitter.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    # The engine clears its histograms with every health event: without them they hold the whole run.
    options = msgspec.structs.replace(config.engine, capacity=streams, owns_process=True, health_interval_s=_NEVER_S)
    listener = _Listener()
    session = Session(
        msgspec.structs.replace(config, engine=options),
        publishers=[listener],
        on_progress=StartLine(),
    )
    with session:
        feeder = Feeder(session.engine, streams, packet_s, prefill_s)
        feeder.start()
        try:
            _wait(_SETTLE_S)
            driver = session.engine.driver
            before, cpu_s, start_s = session.health().counters, time.process_time(), time.perf_counter()
            driver.tick_time, driver.late = ticks, late = Histogram(), Histogram()
            listener.forget()
            yardstick = Yardstick()
            _wait(duration_s, yardstick)
            driver.tick_time, driver.late = Histogram(), Histogram()
            cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - start_s
            health = session.health()
        finally:
            feeder.stop()
    after = health.counters
    return LiveCost(
        streams=streams,
        seconds=took_s,
        hop_us=session.engine.format.hop_ns / 1e3,
        tick=distribution(ticks),
        late=distribution(late),
        event_age=distribution(listener.all),
        events={kind: distribution(ages) for kind, ages in sorted(listener.kinds.items())},
        xruns=after.xruns - before.xruns,
        skipped_hops=after.skipped_hops - before.skipped_hops,
        concealed_hops=after.concealed_hops - before.concealed_hops,
        overrun_samples=after.overrun_samples - before.overrun_samples,
        dropped_events=after.dropped_events - before.dropped_events,
        given_up=health.given_up,
        turns_ended=listener.turns_ended,
        turns_told_by=dict(listener.told_by),
        cpu_cores=cpu_s / took_s,
        yardstick_us=yardstick.us,
    )


def _wait(duration_s: float, yardstick: Yardstick | None = None) -> None:
    until_s = time.perf_counter() + duration_s
    while (left_s := until_s - time.perf_counter()) > 0.0:
        stop_if_told()
        if yardstick is not None:
            yardstick.lay()
        time.sleep(min(left_s, _PERIOD_S))
