"""`rtemo serve`: many calls in, their events out."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured, own_process
from rtemo.cli.stopping import shielded, term_as_interrupt, term_first

if TYPE_CHECKING:
    from rtemo.api import Publisher
    from rtemo.config import Config
    from rtemo.io.sources.ingest import IngestSource
    from rtemo.session import Session

_PATIENCE_S = 0.2
_EVENTFUL = ("session_start", "stream_start", "stream_end", "source", "quality", "fault", "session_end")


@click.command("serve")
@click.option("--ingest", "ingest_endpoint", metavar="ENDPOINT", help="Where audio comes in.  [ingest.endpoint]")
@click.option("--publish", "publish_endpoint", metavar="ENDPOINT", help="Where events go out.  [publish.events]")
@click.option(
    "--audio-out", "audio_endpoint", metavar="ENDPOINT", help="Where processed audio goes out.  [audio_out.endpoint]"
)
@click.option("--capacity", type=click.IntRange(1, 4096), help="Streams held at once.  [engine.capacity]")
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="How long calls may go on after SIGTERM; no new ones are taken.  [ingest.drain_s]",
)
@click.option("--device", metavar="NAME", help="Where models run: cpu, cuda or cuda:1.  [runtime.device]")
@click.option("--jsonl", type=click.Path(dir_okay=False, path_type=Path), help="Write every event to a file as JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing about streams that come and go.")
@configured
def command(
    config: "Config",
    ingest_endpoint: str | None,
    publish_endpoint: str | None,
    audio_endpoint: str | None,
    capacity: int | None,
    drain_s: float | None,
    device: str | None,
    jsonl: Path | None,
    quiet: bool,
) -> int:
    """Take audio of many calls in over ZeroMQ and publish their events, until Ctrl-C or SIGTERM.

    With --audio-out the processed audio of every stream goes out too, for rtemo subscribe --audio and others.

    Streams are analysed whose role is among policy.analysed_roles ('customer', 'caller', ...); of all others, and of
    those without a role, only speech and silence are told. One more stream than capacity is refused with a reason;
    rtemo bench tells what this machine can carry.

    Clients whose calls are cut off by a stop open them again by themselves, here or where the address leads them then.
    With --drain the first SIGTERM lets the calls that run come to their end within that time; a second one, or
    Ctrl-C, stops at once.
    """
    import msgspec

    from rtemo.cli.audio_out import audio_out
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.cli.starting import StartLine
    from rtemo.io.connections import raise_file_limit
    from rtemo.io.endpoints import parse_endpoint
    from rtemo.io.publishers.zmq import ZmqPublisher
    from rtemo.io.sockets import check_exposure
    from rtemo.io.sources.ingest import IngestSource
    from rtemo.session import Session

    config = own_process(config, **({} if capacity is None else {"capacity": capacity}))
    if device is not None:
        config = msgspec.structs.replace(config, runtime=msgspec.structs.replace(config.runtime, device=device))
    ingest_options, publish_options = config.ingest, config.publish
    if ingest_endpoint is not None:
        ingest_options = msgspec.structs.replace(ingest_options, endpoint=ingest_endpoint)
    if publish_endpoint is not None:
        publish_options = msgspec.structs.replace(publish_options, events=publish_endpoint, state="", query="")
    for endpoint, curve, plaintext, section in (
        (ingest_options.endpoint, ingest_options.curve, ingest_options.insecure_plaintext, "ingest"),
        (publish_options.events, publish_options.curve, publish_options.insecure_plaintext, "publish"),
    ):
        check_exposure(parse_endpoint(endpoint), curve, plaintext, section)  # before the seconds of warming up
    files, wanted = raise_file_limit(), 2 * config.engine.capacity + 256
    if files < wanted:
        problem = f"this process may open {files} files, {config.engine.capacity} streams may need {wanted}"
        print(f"rtemo: {problem}; raise `ulimit -n`, or LimitNOFILE= of the service", file=sys.stderr, flush=True)
    ingest = IngestSource(ingest_options)
    drain = _Drain(ingest, ingest_options.drain_s if drain_s is None else drain_s)
    publisher = ZmqPublisher(publish_options, purpose=config.policy.purpose)
    publishers: list[Publisher] = [publisher]
    if jsonl is not None:
        from rtemo.io.publishers.jsonl import JsonlPublisher

        publishers.append(JsonlPublisher(jsonl, purpose=config.policy.purpose))
    feed = audio_out(config, audio_endpoint or config.audio_out.endpoint)
    _read_keys_on_hangup(config)
    session = Session(
        config,
        sources=[ingest],
        publishers=publishers,
        sinks=[feed] if feed else [],
        on_progress=StartLine(),
    )
    with term_as_interrupt(), term_first(drain.begin):
        try:
            session.start()
            ends = {name: str(end) for name, end in publisher.endpoints.items()}
            if feed is not None:
                ends["audio out"] = str(feed.endpoint)
            _announce(config, str(ingest.endpoint), ends)
            _follow(session, drain, quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            with shielded():
                session.stop("stopped")
                _say(session, quiet)
    return EXIT_FAILED if session.publisher_faults else 0


def _read_keys_on_hangup(config: "Config") -> None:
    """Let SIGHUP read the lists of clients again, where there are any; otherwise it ends the program as always."""
    import signal

    from rtemo.io.curve import read_keys_again

    curves = (config.ingest.curve, config.publish.curve, config.audio_out.curve)
    if hasattr(signal, "SIGHUP") and any(curve.key_file for curve in curves):
        signal.signal(signal.SIGHUP, lambda number, frame: read_keys_again())


def _announce(config: "Config", ingest: str, endpoints: dict[str, str]) -> None:
    policy = config.policy
    rows = {"audio in": ingest, **endpoints, "purpose": policy.purpose, "streams": str(config.engine.capacity)}
    rows["analysed"] = f"{', '.join(policy.analysed_roles) or 'nobody'}; others: {policy.others}"
    for name, value in rows.items():
        print(f"{name:<9} {value}", flush=True)
    ends = ", ".join(f"{name} {end}" for name, end in {"audio in": ingest, **endpoints}.items())
    print(f"rtemo: ready: {ends}, {config.engine.capacity} slots", file=sys.stderr, flush=True)


class _Drain:
    """A planned stop that lets calls come to their end."""

    def __init__(self, ingest: "IngestSource", limit_s: float) -> None:
        self._ingest = ingest
        self._limit_s = limit_s
        self._until_s = 0.0
        self._is_told = False

    def begin(self) -> bool:
        """Take no new calls from now on; tell whether there is time for those that run."""
        if not self._limit_s:
            return False
        self._until_s = time.monotonic() + self._limit_s
        self._ingest.drain()
        return True

    @property
    def is_over(self) -> bool:
        """Whether the last call has ended, or the time is up."""
        if not self._until_s:
            return False
        if not self._is_told:
            self._is_told = True
            count = self._ingest.count_streams
            print(f"draining: no new calls; {count} streams go on for {self._limit_s:g} s at most", flush=True)
        return not self._ingest.count_streams or time.monotonic() > self._until_s


def _follow(session: "Session", drain: _Drain, quiet: bool) -> None:
    while not session.is_finished and not drain.is_over:
        _say(session, quiet, drain)


def _say(session: "Session", quiet: bool, drain: _Drain | None = None) -> None:
    """Print what the operator should know: streams that come and go, sources lost, sound that is wrong, faults."""
    from rtemo.cli.view.plain import logged

    for event in session.events(_PATIENCE_S):
        kind = event.kind
        if kind in _EVENTFUL and not (quiet and kind in ("stream_start", "stream_end")):
            file = sys.stderr if kind == "fault" else sys.stdout
            print(logged(event, session.engine.format.sample_rate_hz), file=file, flush=True)
        if drain is not None and drain.is_over:
            return  # under load there is always another event
