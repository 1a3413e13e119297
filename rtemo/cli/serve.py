"""`rtemo serve`: many calls in, their events out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured, own_process
from rtemo.cli.stopping import shielded, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Publisher
    from rtemo.config import Config
    from rtemo.session import Session

_PATIENCE_S = 0.2
_EVENTFUL = ("session_start", "stream_start", "stream_end", "source", "fault", "session_end")


@click.command("serve")
@click.option("--ingest", "ingest_endpoint", metavar="ENDPOINT", help="Where audio comes in.  [ingest.endpoint]")
@click.option("--publish", "publish_endpoint", metavar="ENDPOINT", help="Where events go out.  [publish.events]")
@click.option(
    "--audio-out", "audio_endpoint", metavar="ENDPOINT", help="Where processed audio goes out.  [audio_out.endpoint]"
)
@click.option("--capacity", type=click.IntRange(1, 4096), help="Streams held at once.  [engine.capacity]")
@click.option("--jsonl", type=click.Path(dir_okay=False, path_type=Path), help="Write every event to a file as JSON.")
@click.option("--quiet", is_flag=True, help="Say nothing about streams that come and go.")
@configured
def command(
    config: "Config",
    ingest_endpoint: str | None,
    publish_endpoint: str | None,
    audio_endpoint: str | None,
    capacity: int | None,
    jsonl: Path | None,
    quiet: bool,
) -> None:
    """Take audio of many calls in over ZeroMQ and publish their events, until Ctrl-C or SIGTERM.

    With --audio-out the processed audio of every stream goes out too, for rtemo subscribe --audio and others.

    Streams are analysed whose role is among policy.analysed_roles ('customer', 'caller', ...); of all others, and of
    those without a role, only speech and silence are told. One more stream than capacity is refused with a reason;
    rtemo bench tells what this machine can carry.
    """
    import msgspec

    from rtemo.cli.audio_out import audio_out
    from rtemo.io.publishers.zmq import ZmqPublisher
    from rtemo.io.sources.ingest import IngestSource
    from rtemo.session import Session

    config = own_process(config, **({} if capacity is None else {"capacity": capacity}))
    ingest_options, publish_options = config.ingest, config.publish
    if ingest_endpoint is not None:
        ingest_options = msgspec.structs.replace(ingest_options, endpoint=ingest_endpoint)
    if publish_endpoint is not None:
        publish_options = msgspec.structs.replace(publish_options, events=publish_endpoint, state="", query="")
    ingest = IngestSource(ingest_options)
    publisher = ZmqPublisher(publish_options, purpose=config.policy.purpose)
    publishers: list[Publisher] = [publisher]
    if jsonl is not None:
        from rtemo.io.publishers.jsonl import JsonlPublisher

        publishers.append(JsonlPublisher(jsonl, purpose=config.policy.purpose))
    feed = audio_out(config, audio_endpoint or config.audio_out.endpoint)
    _read_keys_on_hangup(config)
    session = Session(config, sources=[ingest], publishers=publishers, sinks=[feed] if feed else [])
    with term_as_interrupt():
        try:
            session.start()
            ends = {name: str(end) for name, end in publisher.endpoints.items()}
            if feed is not None:
                ends["audio out"] = str(feed.endpoint)
            _announce(config, str(ingest.endpoint), ends)
            _follow(session, quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            with shielded():
                session.stop("stopped")
                _say(session, quiet)


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


def _follow(session: "Session", quiet: bool) -> None:
    while not session.is_finished:
        _say(session, quiet)


def _say(session: "Session", quiet: bool) -> None:
    """Print what the operator should know: streams that come and go, sources lost, faults."""
    from rtemo.cli.view.plain import sentence

    for event in session.events(_PATIENCE_S):
        kind = event.kind
        if kind in _EVENTFUL and not (quiet and kind in ("stream_start", "stream_end")):
            file = sys.stderr if kind == "fault" else sys.stdout
            print(sentence(event, session.engine.format.sample_rate_hz), file=file, flush=True)
