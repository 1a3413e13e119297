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

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtemo.config import Config
    from rtemo.io.sources.audio_file import AudioFile


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
@click.option(
    "--jobs",
    type=click.IntRange(1, 4096),
    default=32,
    show_default=True,
    help="Channels at once in a process.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Processes that share the files; as many as there are processors, where that pays, when not given.",
)
@click.option("--roles", metavar="NAMES", help="Who speaks on each channel, as customer,agent.")
@click.option(
    "--diarise", is_flag=True, help="Files with one channel hold two people: tell them apart by their voices."
)
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
    processes: int | None,
    roles: str | None,
    diarise: bool,
    quiet: bool,
) -> int:
    """Run files and folders through the chain as fast as the machine allows, many channels at a time.

    One line of JSON per file and channel: duration, speech, and the emotion over the speech of the file. That is
    the mean of the final estimates of its turns, each weighted by the seconds of speech it rests on; null where
    nobody spoke long enough, and where the policy lets no more than the timing be told ("analysis": "timing", as of
    a role that it does not list). A file that fails is named on standard error and the exit status is 1.

    A PATH of - is a sound file on standard input, as in: ffmpeg -i film.mkv -f wav - | rtemo analyze -

    Processes share the files of a batch, each with models in its memory. Files of one that dies (killed, out of memory)
    are begun again, and named as failed when that happens twice. Standard input is read by one process alone.

    With --diarise each of the two people in a file of one channel gets a channel: 0 is who speaks first, and --roles go
    by that. It is an estimate (is_estimate): some speech of one is on the other's channel. Speech that both might have
    said, and most of what they say at once, is on neither or on the wrong one. One process does it.

    With --enhanced every file gets a WAV file of the same name and channels, at the same place below DIR, in time
    with it and as long.
    """
    from rtemo.api.text import shown
    from rtemo.cli.analysis.outcome import conclude
    from rtemo.cli.analysis.processes import choose_processes
    from rtemo.cli.analysis.request import Request
    from rtemo.cli.enhanced import plan_targets
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.cli.streams import need_stdout
    from rtemo.io.sources.files import FileFailure, FilesSource, find_sound_files
    from rtemo.io.sources.options import FileOptions

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
    speakers = names(roles) or file_options.roles
    source = FilesSource(
        paths,
        jobs,
        channel_names=file_options.channel_names,
        roles=speakers,
        leave_out=enhanced,
        check=lambda audio: roles_for(
            names(roles), 2 if diarise and audio.channels == 1 else audio.channels, shown(audio.path)
        ),
        part=_parting(config) if diarise else None,
        on_failure=complain,
        on_remark=say,
    )
    targets = None if enhanced is None else plan_targets(enhanced, find_sound_files(paths, enhanced))
    files = source.look()
    with ExitStack() as stack:
        lines = _open(out) if out else sys.stdout.buffer
        if out is not None:
            stack.callback(_close, lines)

        def write(text: bytes) -> None:
            lines.write(text)
            lines.flush()

        request = Request(
            config=config,
            jobs=jobs,
            channel_names=file_options.channel_names,
            roles=speakers,
            write=write,
            events=events,
            targets=targets,
            is_quiet=quiet,
            has_bar=not quiet and sys.stderr.isatty(),
        )
        count = 1 if diarise else choose_processes(processes, files)
        if count > 1:
            from rtemo.cli.analysis.crew import Crew

            outcome = Crew(request, source, files, count, complain, say).run()
        else:
            from rtemo.cli.analysis.alone import run_alone

            outcome = run_alone(request, source)
    return conclude(outcome, out)


def _parting(config: "Config") -> "Callable[[AudioFile], AudioFile]":
    from rtemo.cli.analysis.parting import Parting

    return Parting(config.runtime)


def _close(lines: BinaryIO) -> None:
    with suppress(OSError):  # what could not be written has been told already
        lines.close()


def _open(path: Path) -> BinaryIO:
    from rtemo.api import ConfigError

    try:
        return path.open("wb")
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror})", "choose another place") from None
