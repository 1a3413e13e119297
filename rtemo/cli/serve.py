"""`rtemo serve`: many calls in, their events out."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.options import configured, own_process
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt, term_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtemo.config import Config
    from rtemo.session import Session

_PATIENCE_S = 0.2
_EVENTFUL = ("session_start", "stream_start", "stream_end", "source", "quality", "fault", "session_end")


@click.command("serve")
@click.option(
    "--source", "source", metavar="NAMES", help="Where audio comes from, as zmq,NAME (see rtemo plugins).  [zmq]"
)
@click.option("--ingest", "ingest_endpoint", metavar="ENDPOINT", help="Where audio comes in.  [sources.zmq.endpoint]")
@click.option(
    "--publish", "publish", metavar="NAMES|ENDPOINT", help="Where events go out, as zmq,NAME.  [publishers.zmq.events]"
)
@click.option("--sink", "sink", metavar="NAMES", help="Where processed audio goes, as zmq,NAME.")
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
    rtemo bench tells what this machine can carry.

    Clients whose calls are cut off by a stop open them again by themselves, here or where the address leads them then.
    With --drain the first SIGTERM lets the calls that run come to their end within that time; a second one, or
    Ctrl-C, stops at once.
    """
    import msgspec

    from rtemo.cli import edges
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.cli.starting import StartLine
    from rtemo.io.connections import raise_file_limit
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
    config = _without_words(config)
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
    files, wanted = raise_file_limit(), 2 * config.engine.capacity + 256
    if files < wanted:
        problem = f"this process may open {files} files, {config.engine.capacity} streams may need {wanted}"
        print(f"rtemo: {problem}; raise `ulimit -n`, or LimitNOFILE= of the service", file=sys.stderr, flush=True)
    sources = edges.sources(config, from_)
    session = Session(
        config,
        sources=sources,
        publishers=edges.publishers(config, to),
        sinks=edges.sinks(config, audio_to),
        on_progress=StartLine(),
    )
    drain = _Drain(sources, drain_s)
    _read_keys_on_hangup(session.edges)
    with term_as_interrupt(), term_first(drain.begin):
        try:
            session.start()
            _announce(config, session.edges)
            _follow(session, drain, quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            with shielded():
                session.stop("stopped")
                _say(session, quiet)
    return EXIT_FAILED if session.publisher_faults else 0


def _without_words(config: "Config") -> "Config":
    """Leave plugins out that write down what is said, unless the policy lets them."""
    import msgspec

    from rtemo.cli.options import specs_of

    if config.policy.words == "always":
        return config
    verbatim = [spec.name for spec in specs_of(config, config.chain) if spec.is_verbatim]
    if verbatim:
        names = ", ".join(verbatim)
        problem = f"{names} left out of the chain: what callers say is written down only if policy.words is 'always'"
        print(f"rtemo: {problem}", file=sys.stderr, flush=True)
    return msgspec.structs.replace(config, chain=tuple(name for name in config.chain if name not in verbatim))


def _read_keys_on_hangup(edges: "Sequence[object]") -> None:
    """Let SIGHUP read the lists of clients again, where there are any; otherwise it ends the program as always."""
    import signal

    from rtemo.io.curve import read_keys_again

    if hasattr(signal, "SIGHUP") and any(getattr(edge, "is_encrypted", False) for edge in edges):
        signal.signal(signal.SIGHUP, lambda number, frame: read_keys_again())


def _announce(config: "Config", edges: "Sequence[object]") -> None:
    policy = config.policy
    endpoints = {name: str(end) for edge in edges for name, end in getattr(edge, "endpoints", {}).items()}
    rows = {**endpoints, "purpose": policy.purpose, "streams": str(config.engine.capacity)}
    rows["analysed"] = f"{', '.join(policy.analysed_roles) or 'nobody'}; others: {policy.others}"
    for name, value in rows.items():
        print(f"{name:<9} {value}", flush=True)
    ends = ", ".join([*(f"{name} {end}" for name, end in endpoints.items()), f"{config.engine.capacity} slots"])
    print(f"rtemo: ready: {ends}", file=sys.stderr, flush=True)


class _Drain:
    """A planned stop that lets calls come to their end, at the sources that know how to take no new ones."""

    def __init__(self, sources: "Sequence[Any]", limit_s: float | None) -> None:
        self._sources = [source for source in sources if hasattr(source, "drain")]
        longest_s = max((float(getattr(source, "drain_s", 0.0)) for source in self._sources), default=0.0)
        self._limit_s = longest_s if limit_s is None else limit_s
        self._until_s = 0.0
        self._is_told = False

    def begin(self) -> bool:
        """Take no new calls from now on; tell whether there is time for those that run."""
        if not self._limit_s or not self._sources:
            return False
        self._until_s = time.monotonic() + self._limit_s
        for source in self._sources:
            source.drain()
        return True

    @property
    def _count_streams(self) -> int:
        return sum(source.count_streams for source in self._sources)

    @property
    def is_over(self) -> bool:
        """Whether the last call has ended, or the time is up."""
        if not self._until_s:
            return False
        count = self._count_streams
        if not self._is_told:
            self._is_told = True
            print(f"draining: no new calls; {count} streams go on for {self._limit_s:g} s at most", flush=True)
        return not count or time.monotonic() > self._until_s


def _follow(session: "Session", drain: _Drain, quiet: bool) -> None:
    while not session.is_finished and not drain.is_over:
        stop_if_told()  # an interrupt that struck in the midst of an import may have been lost
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
