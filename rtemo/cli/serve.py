"""`rtemo serve`: many calls in, their events out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured, own_process
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt, term_first

if TYPE_CHECKING:
    from rtemo.cli.serving.drain import Drain
    from rtemo.config import Config
    from rtemo.session import Session

_PATIENCE_S = 0.2
_MOST_WORKERS = 256
_AUTO = 0  # as many workers as there are processors


def _count(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Read how many workers are wanted: a number, or `_AUTO`."""
    if value is None:
        return None
    if value == "auto":
        return _AUTO
    if not (value.isdecimal() and 1 <= int(value) <= _MOST_WORKERS):
        raise click.BadParameter(f"{value!r} is neither 'auto' nor a number from 1 to {_MOST_WORKERS}")
    return int(value)


def _join(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Take an option that lists names once with commas between them, or several times."""
    return ",".join(values) if values else None


@click.command("serve")
@click.option(
    "--source",
    multiple=True,
    callback=_join,
    metavar="NAMES",
    help="Where audio comes from, as zmq,NAME (see rtemo plugins).  [zmq]",
)
@click.option("--ingest", "ingest_endpoint", metavar="ENDPOINT", help="Where audio comes in.  [sources.zmq.endpoint]")
@click.option(
    "--publish",
    multiple=True,
    callback=_join,
    metavar="NAMES|ENDPOINT",
    help="Where events go out, as zmq,NAME.  [publishers.zmq.events]",
)
@click.option("--sink", multiple=True, callback=_join, metavar="NAMES", help="Where processed audio goes, as zmq,NAME.")
@click.option(
    "--audio-out", "audio_endpoint", metavar="ENDPOINT", help="Where processed audio goes out.  [sinks.zmq.endpoint]"
)
@click.option("--capacity", type=click.IntRange(1, 4096), help="Streams held at once.  [engine.capacity]")
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="How long calls may go on after SIGTERM; no new ones are taken.  [sources.zmq.drain_s]",
)
@click.option(
    "--workers",
    callback=_count,
    metavar="auto|N",
    help="Share the calls among N processes, or as many as there are processors (see docs/scale.md).",
)
@click.option(
    "--cluster",
    metavar="local|auto|HOST:PORT",
    help="Run the workers on the nodes of a Ray cluster (see docs/scale.md).  [workers.cluster]",
)
@click.option("--pin", is_flag=True, help="Keep each worker on processors of its own.  [workers.pin]")
@click.option("--device", metavar="NAME", help="Where models run: cpu, cuda or cuda:1.  [runtime.device]")
@click.option("--jsonl", type=click.Path(dir_okay=False, path_type=Path), help="Write every event to a file as JSON.")
@click.option(
    "--collect",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep turns worth rating there, of the calls that DIR/consents.csv lists (see docs/corpus.md).",
)
@click.option("--quiet", is_flag=True, help="Say nothing about streams that come and go.")
@configured
def command(
    config: "Config",
    source: str | None,
    ingest_endpoint: str | None,
    publish: str | None,
    sink: str | None,
    audio_endpoint: str | None,
    capacity: int | None,
    drain_s: float | None,
    workers: int | None,
    cluster: str | None,
    pin: bool,
    device: str | None,
    jsonl: Path | None,
    collect: Path | None,
    quiet: bool,
) -> int:
    """Take audio of many calls in and publish their events, until Ctrl-C or SIGTERM; over ZeroMQ if nothing is said.

    With --source, --publish and --sink audio and events come and go by other ways that are installed; rtemo plugins
    lists them, and each has a table in the configuration. With --audio-out the processed audio of every stream goes out
    too, for rtemo subscribe --audio and others.

    Streams are analysed whose role is among policy.analysed_roles ('customer', 'caller', ...); of all others, and of
    those without a role, only speech and silence are told. One more stream than capacity is refused with a reason;
    rtemo bench capacity tells what this machine can carry.

    Clients whose calls are cut off by a stop open them again by themselves, here or where the address leads them then.
    With --workers one process takes everything in and publishes everything, and others do the work; capacity is that of
    all together, each call goes to a worker that has room for it by what was measured, one that dies or hangs is
    replaced and its calls go on elsewhere, and rtemo workers lists, adds, removes and renews them. With --cluster they
    run on the nodes of a Ray cluster, where workers.cpus, workers.gpus and workers.resources say what each wants.

    With --drain the first SIGTERM lets the calls that run come to their end within that time; a second one, or
    Ctrl-C, stops at once.
    """
    import msgspec

    from rtemo.api import ConfigError
    from rtemo.cli import edges
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.cli.serving.console import announce, raise_files, read_keys_on_hangup
    from rtemo.cli.serving.drain import Drain
    from rtemo.cli.serving.words import without_words
    from rtemo.cli.starting import StartLine
    from rtemo.processors import count_processors
    from rtemo.session import Session

    config = own_process(config, **({} if capacity is None else {"capacity": capacity}))
    if device is not None:
        config = msgspec.structs.replace(config, runtime=msgspec.structs.replace(config.runtime, device=device))
    if jsonl is not None:
        config = edges.with_options(config, "publishers", "jsonl", path=str(jsonl))
    if collect is not None:
        config = edges.with_options(config, "sinks", "collect", folder=str(collect))
    for table, endpoint in (("sources", ingest_endpoint), ("sinks", audio_endpoint)):
        if endpoint is not None:
            config = edges.with_endpoint(config, table, endpoint)
    config, from_ = edges.chosen(config, "sources", source, ("zmq",))
    config, to = edges.chosen(config, "publishers", publish, ("zmq",))
    is_audio_wanted = bool(config.sinks.get("zmq", {}).get("endpoint"))
    config, audio_to = edges.chosen(config, "sinks", sink, ("zmq",) if is_audio_wanted else ())
    for names, name, is_asked in (
        (from_, "zmq", ingest_endpoint),
        (audio_to, "zmq", audio_endpoint),
        (to, "jsonl", jsonl),
        (audio_to, "collect", collect),
    ):
        if is_asked is not None and name not in names:
            names.append(name)
    raise_files(config)
    if cluster is not None:
        config = msgspec.structs.replace(config, workers=msgspec.structs.replace(config.workers, cluster=cluster))
        if workers is None:
            raise click.UsageError("--cluster needs to know how many workers there are to be: add --workers N")
    if workers == _AUTO:
        if config.workers.cluster:
            raise ConfigError("--workers auto counts the processors of this machine", "give a number for a cluster")
        workers = count_processors()
    if workers is not None:
        from rtemo.cli.serving.front import run

        if pin:
            config = msgspec.structs.replace(config, workers=msgspec.structs.replace(config.workers, pin=True))
        return run(config, workers, from_, to, audio_to, drain_s, quiet)
    config, words = without_words(config)
    if words:
        print(f"rtemo: {words}", file=sys.stderr, flush=True)
    sources = edges.sources(config, from_)
    session = Session(
        config,
        sources=sources,
        publishers=edges.publishers(config, to),
        sinks=edges.sinks(config, audio_to),
        on_progress=StartLine(),
    )
    drain = Drain(sources, drain_s)
    read_keys_on_hangup(session.edges)
    with term_as_interrupt(), term_first(drain.begin):
        try:
            session.start()
            announce(config, session.edges)
            _follow(session, drain, quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            with shielded():
                session.stop("stopped")
                _say(session, quiet)
    return EXIT_FAILED if session.publisher_faults else 0


def _follow(session: "Session", drain: "Drain", quiet: bool) -> None:
    while not session.is_finished and not drain.is_over:
        stop_if_told()  # an interrupt that struck in the midst of an import may have been lost
        _say(session, quiet, drain)


def _say(session: "Session", quiet: bool, drain: "Drain | None" = None) -> None:
    from rtemo.cli.serving.console import say

    for event in session.events(_PATIENCE_S):
        say((event,), session.engine.format.sample_rate_hz, quiet)
        if drain is not None and drain.is_over:
            return  # under load there is always another event
