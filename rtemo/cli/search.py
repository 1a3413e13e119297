"""`rtemo search`: moments in files whose voice is like a description."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import (
    NamedPath,
    are_all_missing,
    configured,
    names,
    note_misspelt_roles,
    own_process,
    roles_for,
    specs_of,
    with_queries,
)
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Event
    from rtemo.config import Config
    from rtemo.io.sources.files import FilesSource

_PATIENCE_S = 0.1
_JOBS = 16


class Moment(NamedTuple):
    """A turn, at the score it had at its end."""

    score: float
    call: str
    channel: str
    start_sample: int
    end_sample: int


@click.command("search")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=NamedPath())
@click.argument("query", metavar="QUERY")
@click.option("--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Moments to print at most.")
@click.option("--roles", metavar="NAMES", help="Who speaks on each channel, as customer,agent.")
@configured
@without_chatter
def command(config: "Config", paths: tuple[Path, ...], query: str, top: int, roles: str | None) -> int:
    """Find the turns in files and folders whose voice is most like QUERY, as 'someone close to tears'.

    Prints score, start, end, file and channel, the best first. With its opposite behind a bar, as 'tense | relaxed', a
    query says more exactly what is meant. The words that are said play no part in it, only how they sound.
    """
    from rtemo.api.text import shown
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.view.numbers import clock
    from rtemo.io.sources.files import FilesSource
    from rtemo.io.sources.options import FileOptions

    if are_all_missing(paths):
        return EXIT_FAILED
    note_misspelt_roles(config, roles)
    config = _short_chain(own_process(with_queries(config, (query,))))
    file_options = config.edge("sources", "file", FileOptions)
    source = FilesSource(
        paths,
        _JOBS,
        channel_names=file_options.channel_names,
        roles=names(roles) or file_options.roles,
        check=lambda audio: roles_for(names(roles), audio.channels, shown(audio.path)),
        on_failure=lambda failure: say(str(failure.error)),
        on_remark=say,
    )
    moments, faults, rate_hz = _listen(config, source, " | ".join(" ".join(p.split()) for p in query.split("|")))
    if moments is None:
        return EXIT_INTERRUPTED
    for problem in dict.fromkeys(faults):
        say(f"! {problem}")
    for moment in sorted(moments, reverse=True)[:top]:
        track = source.tracks.get((moment.call, moment.channel))
        start, end = clock(moment.start_sample / rate_hz), clock(moment.end_sample / rate_hz)
        name = shown(track.path) if track else moment.call
        print(f"{moment.score:+.3f}  {start:>9} {end:>9}  {name}  {moment.channel}")
    return EXIT_FAILED if faults or source.failures else 0


def _short_chain(config: "Config") -> "Config":
    """Leave out of the chain what a search does not need: all but the last plugin and those that it requires."""
    import msgspec

    specs = list(specs_of(config, config.chain))
    from rtemo.api import QueryScore

    wanted = [spec for spec in specs if QueryScore in spec.emits]
    needs = {need for spec in wanted for need in spec.requires}
    chain = [spec.name for spec in specs if spec in wanted or needs & {mark.name for mark in spec.provides}]
    return msgspec.structs.replace(config, chain=tuple(chain))


def _listen(config: "Config", source: "FilesSource", query: str) -> "tuple[list[Moment] | None, list[str], int]":
    """Run the files; None in place of moments when interrupted."""
    from rtemo.api import Fault, QueryScore, SessionStart
    from rtemo.cli.starting import StartLine
    from rtemo.session import Session

    moments: list[Moment] = []
    faults: list[str] = []
    rate_hz = 16_000

    def take(event: "Event") -> None:
        nonlocal rate_hz
        data = event.data
        if isinstance(data, SessionStart):
            rate_hz = data.sample_rate_hz
        elif isinstance(data, Fault):
            faults.append(f"{data.where} {data.action}: {data.problem}")
        elif isinstance(data, QueryScore) and data.is_final and data.query == query:
            moments.append(Moment(data.score, event.call, event.channel, event.start_sample, event.end_sample))

    session = Session(config, sources=[source], mode="freewheel", on_progress=StartLine())
    with term_as_interrupt():
        try:
            session.start()
            while not session.is_finished:
                stop_if_told()
                for event in session.events(_PATIENCE_S):
                    take(event)
        except KeyboardInterrupt:
            return None, faults, rate_hz
        finally:
            with shielded():
                session.stop("end")
                for event in session.events(0.0):
                    take(event)
    return moments, faults, rate_hz
