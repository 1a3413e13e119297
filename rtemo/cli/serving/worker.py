"""A worker of a front: an engine in a process of its own, whose clients come through the front."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

import msgspec

from rtemo.api import AudioSink, ConfigError, Event
from rtemo.cli.options import own_process
from rtemo.cli.serving.words import without_words
from rtemo.cluster.link import Link
from rtemo.cluster.messages import Ask, Asked, Beat, Begin, Happened, Reached, Remark, Stop, to_worker
from rtemo.config import Config
from rtemo.io.connections import raise_file_limit
from rtemo.io.sinks.zmq import ZmqAudioSink
from rtemo.io.sources.relayed import RelayedIngest
from rtemo.io.wire import WireError
from rtemo.io.worker_wire import Compiling, Ready, run_told
from rtemo.io.zmq_options import AudioOutOptions, IngestOptions, PublishOptions
from rtemo.session import Session
from rtemo.telemetry import stay_offline
from rtemo.warming import WarmProgress

_PERIOD_S = 0.05
_BEAT_S = 0.1


class LinkPublisher:
    """A publisher that hands events on to the front, and says ten times a second that it lives.

    While the front does not read it waits, as a publisher may: the engine's outbox is bounded, and what finds no room
    there is counted.

    Args:
        link: To the front.
    """

    name = "front"

    def __init__(self, link: Link) -> None:
        self._link = link
        self._beat_s = 0.0

    def open(self) -> None:
        """Do nothing: the link is open."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send them on.

        Raises:
            OSError: The front has gone.
        """
        self._link.send(Happened(list(events)))

    def tick(self) -> None:
        """Send the sign of life when it is due.

        Raises:
            OSError: The front has gone.
        """
        now_s = time.monotonic()
        if now_s - self._beat_s >= _BEAT_S:
            self._beat_s = now_s
            self._link.send(Beat())

    def close(self) -> None:
        """Do nothing: there is more to be said."""


class Worker:
    """Runs a session until the front says otherwise, or is gone.

    Args:
        link: To the front.
        begin: What the engine is to be.
    """

    def __init__(self, link: Link, begin: Begin) -> None:
        self._link = link
        self._stop = threading.Event()
        self._reason = "stopped"
        self._is_ready = False
        config = own_process(msgspec.convert(begin.config, Config))
        config, words = without_words(config)
        if words:
            link.send(Remark(words))
        raise_file_limit()
        self._ingest = RelayedIngest(config.edge("sources", "zmq", IngestOptions))
        self._audio_out: ZmqAudioSink | None = None
        sinks: list[AudioSink] = []
        if begin.has_sink:
            tenant = config.edge("publishers", "zmq", PublishOptions).tenant
            options = config.edge("sinks", "zmq", AudioOutOptions)
            self._audio_out = ZmqAudioSink(options, tenant=tenant, epoch=begin.audio_epoch)
            sinks.append(self._audio_out)
        self._session = Session(
            config,
            sources=[self._ingest],
            publishers=[LinkPublisher(link)],
            sinks=sinks,
            on_progress=self._compiling,
        )

    def run(self) -> None:
        """Work to the end.

        Raises:
            RtemoError: The chain cannot be opened.
        """
        threading.Thread(target=self._listen, name="rtemo-front", daemon=True).start()
        try:
            self._session.start()
            self._is_ready = True
            queries = self._session.queries
            if queries is not None:
                self._link.send(Asked(queries.texts()))
            audio_out = "" if self._audio_out is None else str(self._audio_out.endpoint)
            self._link.send(Reached(str(self._ingest.endpoint), audio_out))
            self._link.send(Ready())
            while not self._stop.is_set() and not self._session.is_finished and not self._session.publisher_faults:
                self._stop.wait(_PERIOD_S)
        finally:
            self._session.stop(self._reason)

    def _listen(self) -> None:
        """Do what the front says; without it there is nobody to work for."""
        try:
            while True:
                message = to_worker(self._link.receive())
                if isinstance(message, Ask):
                    self._link.send(self._asked(message))
                elif isinstance(message, Stop):
                    if not self._is_ready:
                        os._exit(0)  # it may be compiling, which cannot be broken off
                    self._reason = message.reason
                    self._stop.set()
        except (EOFError, OSError, WireError):
            os._exit(1)

    def _asked(self, ask: Ask) -> Asked:
        """Look for what is asked, or no more."""
        queries, text, problem, mend = self._session.queries, ask.text, "", ""
        assert queries is not None, "the front was told that there are some"
        try:
            if ask.op == "ask":
                text = queries.ask(text)
            else:
                queries.forget(text)
        except ConfigError as error:
            problem, mend = error.problem, error.mend
        return Asked(queries.texts(), ask.number, ask.op, text, problem, mend)

    def _compiling(self, progress: WarmProgress) -> None:
        self._link.send(Compiling(progress.ready, progress.total, progress.is_over))


def main() -> int:
    """Work for the front at the other end of the socket whose number is the argument."""
    stay_offline()
    # A supervisor may tell every process of the service; when this one is to go the front knows.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: None)
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    begin = to_worker(link.receive())
    if not isinstance(begin, Begin):
        return 1
    return run_told(lambda: Worker(link, begin).run(), link.send)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # all has been said and closed; to take an interpreter with compiled kernels apart takes seconds
