"""`rtemo analyze`: files and folders in, one line of JSON per file and channel out."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from rtemo.cli.options import configured, enhancing, names, own_process
from rtemo.cli.stopping import shielded, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Publisher
    from rtemo.cli.enhanced import EnhancedFiles
    from rtemo.config import Config
    from rtemo.io.sources.files import FilesSource
    from rtemo.session import Session

_PERIOD_S = 0.1


@click.command("analyze")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Results file instead of standard output.")
@click.option(
    "--enhanced",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the processed audio there, a 16 kHz WAV per file.",
)
@click.option("--events", type=click.Path(dir_okay=False, path_type=Path), help="Write every event there as JSON.")
@click.option("--jobs", type=click.IntRange(1, 4096), default=32, show_default=True, help="Channels worked on at once.")
@click.option("--roles", metavar="NAMES", help="Who speaks on each channel, as customer,agent.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@configured
@enhancing
def command(
    config: "Config",
    paths: tuple[Path, ...],
    out: Path | None,
    enhanced: Path | None,
    events: Path | None,
    jobs: int,
    roles: str | None,
    quiet: bool,
) -> int:
    """Run files and folders through the chain as fast as the machine allows, many channels at a time.

    One line of JSON per file and channel: duration, speech, and the emotion over the speech of the file. That is
    the mean of the final estimates of its turns, each weighted by the seconds of speech it rests on; null where
    nobody spoke long enough. A file that fails is named on standard error and the exit status is 1.

    With --enhanced every file gets a WAV file of the same name and channels, at the same place below DIR, in time
    with it and as long.
    """
    from rtemo.api import AudioInputError
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.reports import Reports
    from rtemo.io.sources.files import FileFailure, FilesSource

    def complain(failure: FileFailure) -> None:
        say(str(failure.error))

    config = own_process(config, capacity=max(jobs, config.engine.capacity))
    source = FilesSource(
        paths,
        jobs,
        channel_names=config.file.channel_names,
        roles=names(roles) or config.file.roles,
        leave_out=enhanced,
        on_failure=complain,
    )
    files = None if enhanced is None else _enhanced(enhanced, paths, source)
    with ExitStack() as stack:
        lines = stack.enter_context(_open(out)) if out else sys.stdout
        reports = Reports(source.tracks, lines, files.targets if files else None)
        publishers: list[Publisher] = [reports]
        if events is not None:
            from rtemo.io.publishers.jsonl import JsonlPublisher

            publishers.append(JsonlPublisher(events, purpose=config.policy.purpose))
        is_done = _run(config, source, publishers, files, is_quiet=quiet or not sys.stderr.isatty())
    if files is not None and files.failure:
        raise AudioInputError(files.failure, "free some space or choose another folder, and run again")
    said = {str(failure.error) for failure in source.failures}
    for fault in reports.faults:
        if fault.problem not in said:
            say(f"! {fault.where} {fault.action}: {fault.problem}")
    trouble = reports.trouble
    if trouble:
        say(f"! {trouble}; the results rest on less than the whole audio")
    if not is_done:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if source.failures or trouble or reports.faults else 0


def _enhanced(folder: Path, paths: tuple[Path, ...], source: "FilesSource") -> "EnhancedFiles":
    from rtemo.cli.enhanced import EnhancedFiles
    from rtemo.io.sources.files import find_sound_files

    return EnhancedFiles(folder, find_sound_files(paths, folder), source.tracks)


def _run(
    config: "Config",
    source: "FilesSource",
    publishers: "list[Publisher]",
    enhanced: "EnhancedFiles | None",
    is_quiet: bool,
) -> bool:
    """Run to the end; False when interrupted."""
    from rtemo.session import Session

    sinks = [] if enhanced is None else [enhanced]
    session = Session(config, sources=[source], publishers=publishers, mode="freewheel", sinks=sinks)
    with term_as_interrupt():
        reason = "interrupted"
        try:
            session.start()
            _wait(session, source, is_quiet)
            reason = "end"
        except KeyboardInterrupt:
            return False
        finally:
            with shielded():
                session.stop(reason)
    return True


def _wait(session: "Session", source: "FilesSource", is_quiet: bool) -> None:
    if is_quiet:
        session.wait()
        return
    from rtemo.cli.progress import progress_bar

    with progress_bar() as show:
        while not session.wait(_PERIOD_S):
            show(source.progress)
        show(source.progress)


def _open(path: Path) -> TextIO:
    from rtemo.api import ConfigError

    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror})", "choose another place") from None
