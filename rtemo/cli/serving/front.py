"""`rtemo serve --workers`: the front, from the command line's side."""

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rtemo.api import ConfigError, RtemoError
from rtemo.cli import edges
from rtemo.cli.options import own_process
from rtemo.cli.serving.console import announce, read_keys_on_hangup, say
from rtemo.cli.serving.drain import Drain
from rtemo.cli.starting import StartLine
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt, term_first
from rtemo.cluster.front import Front
from rtemo.config import Config
from rtemo.extensions import SOURCES, load
from rtemo.io.worker_wire import Compiling

if TYPE_CHECKING:
    from rtemo.cluster.starter import Starter
    from rtemo.io.gateways.gateway import Gateway

_PERIOD_S = 0.05
_RATE_HZ = 16_000
_ALONE = "run a server without --workers for it, on endpoints of its own"


def run(
    config: Config,
    count: int,
    sources: Sequence[str],
    publishers: Sequence[str],
    sinks: Sequence[str],
    drain_s: float | None,
    quiet: bool,
) -> int:
    """Serve with so many workers until Ctrl-C or SIGTERM; gives the exit status.

    Raises:
        RtemoError: Audio would come or go in ways that cannot be shared, or something cannot be opened.
    """
    from rtemo.cli.main import EXIT_FAILED

    others = [name for name in sinks if name != "zmq"]
    if others:
        raise RtemoError(
            f"--sink {','.join(others)} cannot be shared among workers, zmq alone can",
            _ALONE,
        )
    gateways = _gateways(config, [name for name in sources if name != "zmq"])
    own_process(config)  # no copy of this memory is left behind either
    start_line = StartLine()

    def compiling(progress: Compiling) -> None:
        from rtemo.warming import WarmProgress  # brings the engine along, which is rarely needed here

        start_line(WarmProgress(progress.ready, progress.total, progress.is_over))

    front = Front(
        config,
        count,
        edges.publishers(config, list(publishers)),
        gateways=gateways,
        has_ingest="zmq" in sources,
        has_audio_out="zmq" in sinks,
        starter=_starter(config),
        remark=lambda text: print(f"rtemo: {text}", file=sys.stderr, flush=True),
        on_compiling=compiling,
    )
    drain = Drain([front], drain_s)
    read_keys_on_hangup(front.edges)
    sys.setswitchinterval(0.0005)  # audio waits for this long when another thread computes in Python
    with term_as_interrupt(), term_first(drain.begin):
        try:
            front.start()
            gc.collect()
            gc.freeze()  # what is there by now stays
            announce(config, front.edges, count)
            _follow(front, drain, quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            with shielded():
                say(front.stop("stopped"), _RATE_HZ, quiet)
    return EXIT_FAILED if front.publisher_faults else 0


def _starter(config: Config) -> "Starter | None":
    """Make what brings workers up on other machines; None for this one.

    Raises:
        ConfigError: Ray is not installed, or what was asked for is no affair of another machine.
    """
    options = config.workers
    if not options.cluster:
        return None
    if options.pin:
        raise ConfigError("--pin keeps workers on processors of this machine", "leave it out, or --cluster")
    from rtemo.cluster.actors.choice import actor_starter

    return actor_starter(options)


def _gateways(config: Config, names: list[str]) -> "list[Gateway]":
    """Make telephone gateways.

    Raises:
        RtemoError: One of the names is that of something else, or of one that sends audio back.
    """
    if not names:
        return []
    from rtemo.io.gateways.gateway import Gateway  # brings along what compiles kernels, which is not needed otherwise

    for name in names:
        kind = load(SOURCES, name)
        if not (isinstance(kind, type) and issubclass(kind, Gateway)):
            problem = f"--source {name} cannot be shared among workers, zmq and telephone gateways alone can"
            raise RtemoError(problem, _ALONE)
    gateways = cast("list[Gateway]", edges.plain_sources(config, names))
    for gateway in gateways:
        if getattr(gateway, "sink", None) is not None:
            option = "enhanced" if getattr(gateway.options, "enhanced", False) else "assistant_role"
            problem = f"sources.{gateway.name}.{option} sends audio back, which a server with workers does not"
            raise RtemoError(problem, f"take it out, or {_ALONE}")
    return gateways


def _follow(front: Front, drain: Drain, quiet: bool) -> None:
    while not drain.is_over:
        stop_if_told()
        say(front.turn(_PERIOD_S), _RATE_HZ, quiet)
        if front.is_draining and not drain.has_begun:  # asked for by `rtemo workers`
            drain.begin_without_limit()
