"""Metrics: what Prometheus is told, from the engine's own counters and from what this process sees."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rtemo.api import OVERLOAD_ORDER, Emotion, Health, Level

if TYPE_CHECKING:
    from rtemo.io.web.gate import Gate
    from rtemo.io.web.hub import Hub
    from rtemo.io.web.live import Arrived

CONTENT_TYPE = CONTENT_TYPE_LATEST
_AGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """A registry of our own, so that nothing of this process is told unasked.

    No name of a call or token is in it.

    Args:
        hub: Whose events are counted.
        gate: Whose refusals are told; None for none.
    """

    def __init__(self, hub: "Hub", gate: "Gate | None" = None) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter("rtemo_events", "Events by kind.", ["kind"], registry=self._registry)
        self._ages = Histogram(
            "rtemo_event_age_seconds",
            "From the capture of the last sample to publishing, of events that go out at once.",
            ["kind"],
            buckets=_AGES_S,
            registry=self._registry,
        )
        self.engine = _Engine(hub)
        self._registry.register(self.engine)
        self.engine.gate = gate

    def count(self, arrived: "Arrived") -> None:
        """Count an event."""
        event, data = arrived.event, arrived.data
        self._events.labels(event.kind).inc()
        is_prompt = isinstance(data, Level) or (isinstance(data, Emotion) and not data.is_final)
        if is_prompt and event.age_ms is not None:
            self._ages.labels(event.kind).observe(event.age_ms / 1000.0)

    def text(self) -> bytes:
        """Write all of it in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Engine(Collector):
    """What is read when somebody asks."""

    def __init__(self, hub: "Hub") -> None:
        self.gate: Gate | None = None
        self._hub = hub

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        live = hub.live
        yield GaugeMetricFamily("rtemo_up", "Whether the engine gives signs of life.", float(live.is_fed))
        yield GaugeMetricFamily("rtemo_calls_open", "Calls that run.", live.count_open)
        yield CounterMetricFamily(
            "rtemo_web_missed_events", "Events this process could not follow.", live.missed_events
        )
        clients = GaugeMetricFamily("rtemo_web_clients", "Clients that follow.", labels=["view"])
        for view, count in hub.clients.items():
            clients.add_metric([view], count)
        yield clients
        yield CounterMetricFamily("rtemo_web_evictions", "Queues given up for a snapshot.", hub.evictions)
        refused = CounterMetricFamily("rtemo_web_refused_requests", "Requests refused.", labels=["reason"])
        for reason, count in (self.gate.refused if self.gate else {}).items():
            refused.add_metric([reason], count)
        yield refused
        if live.health is not None:
            yield from _of_health(live.health)


def _of_health(health: Health) -> Iterator[Metric]:
    yield GaugeMetricFamily("rtemo_streams", "Streams held.", health.streams)
    yield GaugeMetricFamily("rtemo_capacity_streams", "Streams that may be held.", health.capacity)
    yield CounterMetricFamily("rtemo_ticks", "Ticks of the engine.", health.ticks)
    yield GaugeMetricFamily("rtemo_load_ratio", "Share of the hop that a tick takes.", health.load)
    for name, what, value_us in (
        ("tick", "Length of a tick", (health.tick_p50_us, health.tick_p99_us)),
        ("late", "How late ticks end", (None, health.late_p99_us)),
    ):
        family = GaugeMetricFamily(f"rtemo_{name}_seconds", f"{what}, of the last second.", labels=["quantile"])
        for quantile, us in zip(("0.5", "0.99"), value_us, strict=True):
            if us is not None:
                family.add_metric([quantile], us / 1e6)
        yield family
    for name, value in msgspec.structs.asdict(health.counters).items():
        yield CounterMetricFamily(f"rtemo_{name}", f"Trouble: {name.replace('_', ' ')}.", value)
    busy = GaugeMetricFamily(
        "rtemo_plugin_busy_seconds", "Time a plugin takes in a tick.", labels=["plugin", "quantile"]
    )
    running = GaugeMetricFamily(
        "rtemo_plugin_running", "Whether a plugin is neither bypassed nor left out.", labels=["plugin"]
    )
    for plugin in health.plugins:
        busy.add_metric([plugin.name, "0.5"], plugin.busy_p50_us / 1e6)
        busy.add_metric([plugin.name, "0.99"], plugin.busy_p99_us / 1e6)
        running.add_metric([plugin.name], float(plugin.state == "running"))
    yield busy
    yield running
    given_up = GaugeMetricFamily(
        "rtemo_given_up", "Whether the engine does without it, since it cannot carry its load.", labels=["what"]
    )
    for what in OVERLOAD_ORDER:
        given_up.add_metric([what], float(what in health.given_up))
    yield given_up
    yield from _of_lanes(health)
    yield from _of_workers(health)


def _of_lanes(health: Health) -> Iterator[Metric]:
    queue = GaugeMetricFamily("rtemo_lane_queue_windows", "Windows that wait.", labels=["lane"])
    age = GaugeMetricFamily(
        "rtemo_lane_age_seconds", "From the cut of a window to its finding.", labels=["lane", "quantile"]
    )
    skipped = CounterMetricFamily("rtemo_lane_skipped_windows", "Windows superseded or too old.", labels=["lane"])
    failed = CounterMetricFamily("rtemo_lane_failed_windows", "Windows lost with a lane.", labels=["lane"])
    restarts = CounterMetricFamily("rtemo_lane_restarts", "Restarts of a lane.", labels=["lane"])
    for lane in health.lanes:
        queue.add_metric([lane.name], lane.queue)
        age.add_metric([lane.name, "0.5"], lane.age_p50_ms / 1000)
        age.add_metric([lane.name, "0.99"], lane.age_p99_ms / 1000)
        skipped.add_metric([lane.name], lane.lane_skipped)
        failed.add_metric([lane.name], lane.lane_failed)
        restarts.add_metric([lane.name], lane.restarts)
    yield from (queue, age, skipped, failed, restarts)


def _of_workers(health: Health) -> Iterator[Metric]:
    if not health.workers:
        return
    running = GaugeMetricFamily("rtemo_worker_running", "Whether a worker takes calls.", labels=["worker"])
    streams = GaugeMetricFamily("rtemo_worker_streams", "Streams a worker has.", labels=["worker"])
    load = GaugeMetricFamily("rtemo_worker_load_ratio", "Share of the hop that its ticks take.", labels=["worker"])
    restarts = CounterMetricFamily("rtemo_worker_restarts", "Workers that took its place.", labels=["worker"])
    for worker in health.workers:
        running.add_metric([worker.name], float(worker.state == "running"))
        streams.add_metric([worker.name], worker.streams)
        load.add_metric([worker.name], worker.load)
        restarts.add_metric([worker.name], worker.restarts)
    yield from (running, streams, load, restarts)
