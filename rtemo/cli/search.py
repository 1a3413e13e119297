"""`rtemo search`: moments in files whose voice, or whose words, are like a description."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.moment import Moment
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
    from collections.abc import Mapping, Sequence

    from rtemo.api import Event
    from rtemo.config import Config
    from rtemo.io.sources.files import FilesSource

_PATIENCE_S = 0.1
_JOBS = 16


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

    Files of events (.jsonl, or the .db of the publisher 'store') are searched too: by the scores of the same query in
    them, or else by the words of their transcripts; file and call are printed then.
    """
    from rtemo.api import RtemoError
    from rtemo.api.text import shown
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.search_events import moments_in
    from rtemo.io.recorded import EVENT_FILES
    from rtemo.io.sources.files import FilesSource
    from rtemo.io.sources.options import FileOptions

    if are_all_missing(paths):
        return EXIT_FAILED
    note_misspelt_roles(config, roles)
    query = " | ".join(" ".join(part.split()) for part in query.split("|"))
    found: list[Moment] = []
    problems: list[str] = []
    for path in (path for path in paths if path.suffix.lower() in EVENT_FILES):
        try:
            found += moments_in(config, path, query)
        except RtemoError as error:
            problems.append(str(error))
    for problem in dict.fromkeys(problems):
        say(problem)
    sounds = tuple(path for path in paths if path.suffix.lower() not in EVENT_FILES)
    if not sounds:
        _print(sorted(found, key=lambda one: one[:5], reverse=True)[:top], {})
        return EXIT_FAILED if problems else 0
    config = _short_chain(own_process(with_queries(config, (query,))))
    file_options = config.edge("sources", "file", FileOptions)
    source = FilesSource(
        sounds,
        _JOBS,
        channel_names=file_options.channel_names,
        roles=names(roles) or file_options.roles,
        check=lambda audio: roles_for(names(roles), audio.channels, shown(audio.path)),
        on_failure=lambda failure: say(str(failure.error)),
        on_remark=say,
    )
    moments, faults = _listen(config, source, query)
    if moments is None:
        return EXIT_INTERRUPTED
    for problem in dict.fromkeys(faults):
        say(f"! {problem}")
    paths_by_call = {key: track.path for key, track in source.tracks.items()}
    _print(sorted(found + moments, key=lambda one: one[:5], reverse=True)[:top], paths_by_call)
    return EXIT_FAILED if faults or problems or source.failures else 0


def _print(moments: "Sequence[Moment]", paths: "Mapping[tuple[str, str], Path]") -> None:
    """One line for each; `paths` are the files that were heard, by call and channel."""
    from rtemo.api.text import shown
    from rtemo.cli.view.numbers import clock

    for moment in moments:
        heard = paths.get((moment.call, moment.channel))
        name = shown(heard) if moment.path is None and heard else moment.call
        where = name if moment.path is None else f"{shown(moment.path)}  {name}"
        times = f"{clock(moment.start_s):>9} {clock(moment.end_s):>9}"
        print(f"{moment.score:+.3f}  {times}  {where}  {moment.channel}")


def _short_chain(config: "Config") -> "Config":
    """Leave out of the chain what a search does not need: all but the last plugin and those that it requires."""
    import msgspec

    specs = list(specs_of(config, config.chain))
    from rtemo.api import QueryScore

    wanted = [spec for spec in specs if QueryScore in spec.emits]
    needs = {need for spec in wanted for need in spec.requires}
    chain = [spec.name for spec in specs if spec in wanted or needs & {mark.name for mark in spec.provides}]
    return msgspec.structs.replace(config, chain=tuple(chain))


def _listen(config: "Config", source: "FilesSource", query: str) -> "tuple[list[Moment] | None, list[str]]":
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
            start_s, end_s = event.start_sample / rate_hz, event.end_sample / rate_hz
            moments.append(Moment(data.score, event.call, event.channel, start_s, end_s))

    session = Session(config, sources=[source], mode="freewheel", on_progress=StartLine())
    with term_as_interrupt():
        try:
            session.start()
            while not session.is_finished:
                stop_if_told()
                for event in session.events(_PATIENCE_S):
                    take(event)
        except KeyboardInterrupt:
            return None, faults
        finally:
            with shielded():
                session.stop("end")
                for event in session.events(0.0):
                    take(event)
    return moments, faults
