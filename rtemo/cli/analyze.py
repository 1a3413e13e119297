"""`rtemo analyze`: files and folders in, one line of JSON per file and channel out."""

import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import (
    NamedPath,
    are_all_missing,
    configured,
    enhancing,
    names,
    note_misspelt_roles,
    own_process,
    querying,
    roles_for,
    writing,
)
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Publisher
    from rtemo.cli.enhanced import EnhancedFiles
    from rtemo.cli.reports import Reports
    from rtemo.config import Config
    from rtemo.io.sources.files import FilesSource
    from rtemo.session import Session

_PERIOD_S = 0.1


@click.command("analyze")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=NamedPath())
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
@querying
@writing
@without_chatter
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
    nobody spoke long enough, and where the policy lets no more than the timing be told ("analysis": "timing", as of
    a role that it does not list). A file that fails is named on standard error and the exit status is 1.

    A PATH of - is a sound file on standard input, as in: ffmpeg -i film.mkv -f wav - | rtemo analyze -

    With --enhanced every file gets a WAV file of the same name and channels, at the same place below DIR, in time
    with it and as long.
    """
    from rtemo.api import AudioInputError
    from rtemo.api.text import shown
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.cli.reports import Reports
    from rtemo.cli.starting import StartLine
    from rtemo.cli.streams import need_stdout
    from rtemo.io.sources.files import FileFailure, FilesSource
    from rtemo.io.sources.options import FileOptions
    from rtemo.session import Session

    if out is None:
        need_stdout("name a file with --out")

    check_outputs(paths, {"--out": out, "--events": events})
    if are_all_missing(paths):
        return EXIT_FAILED
    note_misspelt_roles(config, roles)

    def complain(failure: FileFailure) -> None:
        say(str(failure.error))

    config = own_process(config, capacity=max(jobs, config.engine.capacity))
    file_options = config.edge("sources", "file", FileOptions)
    source = FilesSource(
        paths,
        jobs,
        channel_names=file_options.channel_names,
        roles=names(roles) or file_options.roles,
        leave_out=enhanced,
        check=lambda audio: roles_for(names(roles), audio.channels, shown(audio.path)),
        on_failure=complain,
        on_remark=say,
    )
    files = None if enhanced is None else _enhanced(enhanced, paths, source)
    with ExitStack() as stack:
        lines = _open(out) if out else sys.stdout.buffer
        if out is not None:
            stack.callback(_close, lines)
        reports = Reports(source.tracks, lines, files.targets if files else None)
        publishers: list[Publisher] = [reports]
        if events is not None:
            from rtemo.io.publishers.jsonl import JsonlPublisher

            publishers.append(JsonlPublisher(events, purpose=config.policy.purpose))
        session = Session(
            config,
            sources=[source],
            publishers=publishers,
            mode="freewheel",
            sinks=[] if files is None else [files],
            on_progress=None if quiet else StartLine(),
        )
        is_done = _run(session, source, reports, is_quiet=quiet or not sys.stderr.isatty())
    if reports.failure is not None:
        reports.failure.filename = None if out is None else str(out)
        raise reports.failure
    if files is not None and files.failure:
        raise AudioInputError(files.failure, "free some space or choose another folder, and run again")
    said = {str(failure.error) for failure in source.failures}
    # A file that breaks off has had its remark, and is closed.
    broken = [fault for fault in reports.faults if fault.problem not in said and fault.action != "closed"]
    for fault in dict.fromkeys((*broken, *session.publisher_faults)):
        say(f"! {fault.where} {fault.action}: {fault.problem}")
    unwritten = files.failures.values() if files is not None else ()
    for problem in unwritten:
        say(f"! {problem}")
    trouble = reports.trouble
    if trouble:
        say(f"! {trouble}; the results rest on less than the whole audio")
    if not is_done:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if source.failures or trouble or reports.faults or session.publisher_faults or unwritten else 0


def _enhanced(folder: Path, paths: tuple[Path, ...], source: "FilesSource") -> "EnhancedFiles":
    from rtemo.cli.enhanced import EnhancedFiles
    from rtemo.io.sources.files import find_sound_files

    return EnhancedFiles(folder, find_sound_files(paths, folder), source.tracks)


def _run(session: "Session", source: "FilesSource", reports: "Reports", is_quiet: bool) -> bool:
    """Run to the end, or until results can no longer be written; False when interrupted."""
    with term_as_interrupt():
        reason = "interrupted"
        try:
            session.start()
            _wait(session, source, reports, is_quiet)
            reason = "end"
        except KeyboardInterrupt:
            return False
        finally:
            with shielded():
                session.stop(reason)
    return True


def _wait(session: "Session", source: "FilesSource", reports: "Reports", is_quiet: bool) -> None:
    if is_quiet:
        while reports.failure is None and not session.wait(_PERIOD_S):
            stop_if_told()
        return
    from rtemo.cli.progress import progress_bar

    with progress_bar() as show:
        while reports.failure is None and not session.wait(_PERIOD_S):
            stop_if_told()
            show(source.progress)
        show(source.progress)


def _close(lines: BinaryIO) -> None:
    with suppress(OSError):  # what could not be written has been told already
        lines.close()


def _open(path: Path) -> BinaryIO:
    from rtemo.api import ConfigError

    try:
        return path.open("wb")
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror})", "choose another place") from None
