"""Front: one server whose calls are shared by several worker processes."""

import os
import queue
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rtemo.api import (
    AskingPublisher,
    EndpointError,
    Event,
    Fault,
    Payload,
    Publisher,
    StreamFormat,
    StreamWriter,
)
from rtemo.cluster.audio_merge import AudioMerge
from rtemo.cluster.control import Control
from rtemo.cluster.event_queue import EventQueue
from rtemo.cluster.fleet import Fleet
from rtemo.cluster.gateways import FrontGateways
from rtemo.cluster.ingest import FrontIngest
from rtemo.cluster.merging import LiveEvents
from rtemo.cluster.messages import Begin
from rtemo.cluster.queries import FrontQueries
from rtemo.cluster.renewal import Renewal
from rtemo.cluster.room import Room
from rtemo.cluster.source_line import SourceLine
from rtemo.cluster.starter import Place, Starter
from rtemo.cluster.worker_process import ProcessStarter
from rtemo.config import Config
from rtemo.config.admission import Admission
from rtemo.engine.precedence import Precedence
from rtemo.engine.publish_thread import PublishThread
from rtemo.engine.source_thread import SourceThread
from rtemo.io.endpoints import check_apart
from rtemo.io.worker_wire import Compiling
from rtemo.io.zmq_options import AudioOutOptions, IngestOptions, PublishOptions

if TYPE_CHECKING:
    from rtemo.io.gateways.gateway import Gateway

_STOP_S = 3.0
_GATEWAYS_S = 1.5  # of it, for gateways to hang up
_KEPT_EVENTS = 1_000
_SPARE = 2.0  # calls are hashed, so that workers are not equally full, and some take those of one that has died


class Front:
    """Admits calls, places them on workers, passes audio on, and publishes what the workers find.

    To clients it is what a `rtemo.session.Session` with an ingest is. It knows neither chain nor models.

    Args:
        config: Settings, of the workers' engines too; `engine.capacity` is that of all together.
        count: Workers.
        publishers: Where events go.
        gateways: Telephone gateways, each of which gets a process of its own.
        has_ingest: Whether clients may connect with audio.
        has_audio_out: Whether processed audio goes out, as `[sinks.zmq]` says.
        starter: Brings workers up; by itself as processes of this machine.
        remark: Called with one sentence for whoever started it.
        on_compiling: Called with how far the first start is.

    Attributes:
        config: As given.
        edges: What clients and supervisors connect to.
        ingest: Where audio comes in.
        fleet: The workers.
        is_draining: Whether no new calls are taken.
    """

    def __init__(
        self,
        config: Config,
        count: int,
        publishers: Sequence[Publisher],
        *,
        gateways: "Sequence[Gateway]" = (),
        has_ingest: bool = True,
        has_audio_out: bool = False,
        starter: Starter | None = None,
        remark: Callable[[str], None] = lambda text: None,
        on_compiling: Callable[[Compiling], None] | None = None,
    ) -> None:
        self.config = config
        self._count = count
        self._folder = _private_folder()
        self._starter = starter or ProcessStarter(config.workers.pin)
        rooms: dict[int, Room] = {}
        options = config.edge("sources", "zmq", IngestOptions)
        line = SourceLine(f"ipc://{self._folder}/sources")
        self._reports: queue.SimpleQueue[Payload] = queue.SimpleQueue()
        desk = _NoDesk(self._reports.put)
        self._gateways = FrontGateways(gateways, line.endpoint, desk, self._reports.put)
        self.ingest = FrontIngest(
            options,
            Admission(config.policy),
            config.engine.capacity,
            rooms,
            own=line if gateways else None,
            is_public=has_ingest,
        )
        self._publishers = publishers
        self.queries = FrontQueries()
        self._queue = EventQueue(config.engine.outbox_events)
        self._said: deque[Event] = deque(maxlen=_KEPT_EVENTS)
        self._events = LiveEvents(self._hand_on, config.engine.capacity, config.engine.health_interval_s)
        tenant = config.edge("publishers", "zmq", PublishOptions).tenant
        audio_out = config.edge("sinks", "zmq", AudioOutOptions)
        self._audio = AudioMerge(audio_out, tenant=tenant) if has_audio_out else None
        self.fleet = Fleet(
            _for_workers(config, count, self._starter.processors_each(count)),
            config.workers,
            self.ingest,
            () if self._audio is None else (self._audio,),
            self._events,
            self.queries,
            rooms,
            self._starter,
            self._begin,
            remark,
            on_compiling,
        )
        self._renewal = Renewal(self.fleet)
        control = config.workers.control or f"ipc://{self._folder}/control"
        self._control = Control(control, self.fleet, self._renewal, self.drain)
        self.edges: tuple[object, ...] = tuple(
            edge
            for edge in (
                self.ingest if has_ingest else None,
                *self._gateways.edges,
                *publishers,
                self._audio,
                self._control,
            )
            if edge is not None
        )
        self._source = SourceThread(self.ingest, desk)
        self._publishing = PublishThread(self._queue, publishers, lambda events: None)
        self._told_faults = 0
        self._precedence = Precedence()
        self._is_stopped = False
        self.is_draining = False

    @property
    def publisher_faults(self) -> tuple[Fault, ...]:
        """Why publishers were closed before the end, in order."""
        return self._publishing.faults

    @property
    def count_streams(self) -> int:
        """Streams that are open."""
        return self.ingest.count_streams

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`, by the options of what they come from."""
        return max(self.ingest.drain_s, self._gateways.drain_s)

    def drain(self) -> None:
        """Take no new calls from now on. Any thread, and signal handlers."""
        self.is_draining = True
        self.ingest.drain()
        self._gateways.drain()

    def start(self) -> None:
        """Bind everything, start the workers, and take calls once they are ready.

        Raises:
            RtemoError: Something cannot be opened; whatever was opened before is closed again.
        """
        try:
            check_apart([edge.check() for edge in self.edges if hasattr(edge, "check")])
            self._starter.open(self._folder, self._count)
            self.fleet.start(self._count)  # before anybody is let in: kernels may have to be compiled
            self._lend_queries()
            self._publishing.start()
            if self._audio is not None:
                self._audio.start()
            self._control.open()
            self._source.start()
            self._gateways.start()
            self._take_precedence()
        except BaseException:
            self.stop("failed to start")
            raise

    def turn(self, timeout_s: float) -> list[Event]:
        """Listen to the workers and look after them for so long; gives what was told meanwhile, or the last of it."""
        self.fleet.turn(timeout_s)
        self._renewal.turn()
        self._control.serve()
        self._tick()
        events = list(self._said)
        self._said.clear()
        return events

    def stop(self, reason: str = "stopped") -> list[Event]:
        """Stop within a few seconds, and give what was told meanwhile; may be called twice."""
        if self._is_stopped:
            return []
        self._is_stopped = True
        self.drain()
        self._stop_gateways()
        deadline_s = time.monotonic() + _STOP_S
        self.fleet.stop(reason)
        while not self.fleet.is_over and time.monotonic() < deadline_s:
            self.fleet.turn(0.05)
        self.fleet.kill()
        self._starter.close()
        self._source.stop(1.0)
        if self._audio is not None:
            self._audio.stop()
        self._control.close()
        self.queries.close()
        self._events.close(reason)
        self._publishing.stop(1.0)
        self._precedence.give_back()
        shutil.rmtree(self._folder, ignore_errors=True)
        return list(self._said)

    def _tick(self) -> None:
        for fault in self.publisher_faults[self._told_faults :]:
            self._told_faults += 1
            self._events.tell(fault)
        self._tell_reports()
        for name in self._gateways.serve(time.monotonic()):
            self.ingest.end_source(name, "source failed")
        sources = (self.ingest.source_counts(), *self._gateways.source_counts())
        self._events.tick(time.monotonic(), self.fleet.states, sources, self._queue.dropped_events)

    def _lend_queries(self) -> None:
        if self.queries.is_there:
            for publisher in self._publishers:
                if isinstance(publisher, AskingPublisher):
                    publisher.lend_queries(self.queries)

    def _tell_reports(self) -> None:
        while not self._reports.empty():
            self._events.tell(self._reports.get_nowait())

    def _stop_gateways(self) -> None:
        """Let gateways end their calls and hang up, within a bound, while there are workers that hear of it."""
        self._gateways.stop()
        deadline_s = time.monotonic() + _GATEWAYS_S
        while self._gateways.are_running and time.monotonic() < deadline_s:
            self.fleet.turn(0.02)
        self._tell_reports()

    def _hand_on(self, events: Sequence[Event]) -> None:
        self._queue.pass_on(events)
        self._said.extend(events)

    def _begin(self, config: Config, place: Place) -> Begin:
        """Tell a worker where it is to listen, for audio and with processed audio."""
        curve = dict(place.curve)
        sources = {"zmq": {**config.sources.get("zmq", {}), "endpoint": place.ingest, "curve": curve}}
        sinks = {}
        if self._audio is not None:
            sinks = {"zmq": {**config.sinks.get("zmq", {}), "endpoint": place.audio_out, "curve": curve}}
        tenant = config.edge("publishers", "zmq", PublishOptions).tenant
        publishers = {"zmq": {"tenant": tenant}}  # of the topics of processed audio
        config = msgspec.structs.replace(config, sources=sources, sinks=sinks, publishers=publishers)
        epoch = "" if self._audio is None else self._audio.epoch
        return Begin(config=msgspec.to_builtins(config), has_sink=bool(sinks), audio_epoch=epoch)

    def _take_precedence(self) -> None:
        if self.config.engine.realtime:
            self._precedence.take()


class _NoDesk:
    """What sources are given that open no streams here.

    Args:
        tell: Takes what they report; any thread.
    """

    format = StreamFormat()
    is_live = True

    def __init__(self, tell: Callable[[Payload], None]) -> None:
        self._tell = tell

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> StreamWriter:
        """Refuse: streams are the workers'."""
        raise NotImplementedError

    def report(self, data: Payload) -> None:
        """Hand it on."""
        self._tell(data)


def _private_folder() -> Path:
    """Make a folder for sockets that nobody else may enter, where the service manager or the system keeps such.

    Raises:
        EndpointError: There is no place for one.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="rtemo-", dir=os.environ.get("RUNTIME_DIRECTORY")))
    except OSError as error:
        raise EndpointError(
            f"there is no place for the sockets of the workers ({error.strerror or error})",
            "set TMPDIR to a folder that may be written",
        ) from None


def _for_workers(config: Config, count: int, processors: float) -> Config:
    """Give each engine its share of the streams, with some to spare, and half of its processors for speech models."""
    capacity = config.engine.capacity
    if count > 1:
        capacity = min(capacity, round(_SPARE * capacity / count) + 2)
    threads = config.runtime.speech_threads or max(1, int(processors / 2))
    return msgspec.structs.replace(
        config,
        engine=msgspec.structs.replace(config.engine, capacity=capacity),
        runtime=msgspec.structs.replace(config.runtime, speech_threads=threads),
    )
