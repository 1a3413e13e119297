"""`rtemo report`: one call in, one page for a person out."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, configured, names, note_misspelt_roles, own_process, roles_for, writing
from rtemo.cli.stopping import shielded, stop_if_told

if TYPE_CHECKING:
    from rtemo.cli.callreport.excerpts import Excerpts
    from rtemo.cli.callreport.record import CallRecord
    from rtemo.config import Config
    from rtemo.io.sources.file import FileSource
    from rtemo.session import Session

_PERIOD_S = 0.1


@click.command("report")
@click.argument("source", metavar="FILE", type=NamedPath())
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page, or as .png a picture of it.  [FILE's name with .html, here]",
)
@click.option("--call", "call", metavar="NAME", default="", help="Which call of a file of events, if not the first.")
@click.option("--roles", metavar="NAMES", help="Who speaks on each channel, as customer,agent.")
@click.option("--with-audio", is_flag=True, help="Put the tensest stretches into the page as sound.")
@click.option("--audio", type=NamedPath(), metavar="FILE", help="The recording of a call of which FILE has the events.")
@configured
@writing
@without_chatter
def command(
    config: "Config",
    source: Path,
    out: Path | None,
    call: str,
    roles: str | None,
    with_audio: bool,
    audio: Path | None,
) -> int:
    """Write a report of one call as one HTML file: who speaks when, how it sounds, what was unsure.

    FILE is a sound file, or the events of calls as --jsonl and rtemo analyze --events write them (.jsonl), or as the
    publisher 'store' does (.db; of the call that began last, if --call names none). The page needs nothing else and can
    be read on a phone, printed and forwarded. It holds no audio, unless --with-audio (of events: --audio) asks for the
    tensest stretches; only those are heard in them whom the policy lets be analysed. Only its owner can read the file.
    A picture is drawn by Chromium or Chrome, where one is installed.
    """
    from datetime import datetime

    from rtemo.api import AudioInputError
    from rtemo.api.text import shown
    from rtemo.cli.callreport.page import page
    from rtemo.cli.callreport.picture import browser_path, is_cut, picture
    from rtemo.cli.callreport.record import CallRecord
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.io.recorded import EVENT_FILES

    is_of_events = source.suffix.lower() in EVENT_FILES
    if is_of_events and with_audio and audio is None:
        raise click.UsageError("events hold no sound; name the recording of the call as --audio FILE")
    if is_of_events and roles is not None:
        raise click.UsageError("--roles is for sound; events have theirs")
    if audio is not None and not is_of_events:
        raise click.UsageError("--audio is for events; a sound file is its own, with --with-audio")
    target = out or Path(source.stem + ".html")
    browser = ""
    if target.suffix.lower() == ".png":
        if with_audio or audio is not None:
            raise click.UsageError("a picture holds no sound; name the page --out PAGE.html")
        browser = browser_path()
    check_outputs([source] if audio is None else [source, audio], {"--out": target})
    record = CallRecord(call)
    is_clean = True
    if is_of_events:
        _read_events(source, record)
    else:
        is_clean = _listen(config, source, roles, record)
    if not record.parties:
        what = f"call {call!r}" if call else "call"
        raise AudioInputError(f"there is no {what} in {shown(source)}", "name another file or --call")
    sound = audio or (source if with_audio else None)
    excerpts = None if sound is None else _excerpts(config, record, sound)
    text = page(record, shown(source.name), datetime.now(), excerpts)
    content = picture(text, browser) if browser else text.encode()
    stop_if_told()
    _write(target, content)
    if browser and is_cut(content):
        say(f"! {shown(target)} ends before the call's page does, which is too long for a picture; see it as .html")
    return 0 if is_clean else EXIT_FAILED


def _excerpts(config: "Config", record: "CallRecord", sound: Path) -> "Excerpts":
    """Cut the tensest stretches out of the recording."""
    from rtemo.api.text import shown
    from rtemo.cli.callreport.excerpts import excerpts_of
    from rtemo.cli.callreport.story import tensest
    from rtemo.cli.main import say
    from rtemo.io.sources.options import FileOptions

    names_of_channels = config.edge("sources", "file", FileOptions).channel_names
    excerpts = excerpts_of(record, sound, {one.span for one in tensest(record)}, names_of_channels)
    if excerpts.truncation:
        say(f"! {shown(sound)} {excerpts.truncation}")
    return excerpts


def _write(target: Path, content: bytes) -> None:
    """Write the report, readable by its owner alone: it tells of people, and may hold their voices.

    Raises:
        ConfigError: It cannot be written.
    """
    from rtemo.api import ConfigError
    from rtemo.api.text import shown
    from rtemo.io.whole_file import write_whole

    try:
        write_whole(target, content)
    except OSError as error:
        raise ConfigError(
            f"--out {shown(target)} cannot be written ({error.strerror})", "choose another place"
        ) from None
    print(f"{shown(target)}: {len(content) / 1000:.0f} kB", file=sys.stdout)


def _listen(config: "Config", path: Path, roles: str | None, record: "CallRecord") -> bool:
    """Run a sound file through the chain; False when something broke on the way."""
    import msgspec

    from rtemo.api.text import shown
    from rtemo.cli.main import say
    from rtemo.cli.starting import StartLine
    from rtemo.io.sources.audio_file import AudioFile
    from rtemo.io.sources.file import FileSource
    from rtemo.io.sources.options import FileOptions
    from rtemo.session import Session

    audio = AudioFile(str(path))  # a wrong path is worth saying before the seconds of warming up
    audio.close()
    if audio.remark:
        say(f"{shown(path)} {audio.remark}")
    options = config.edge("sources", "file", FileOptions)
    note_misspelt_roles(config, roles)
    roles_of = roles_for(names(roles), audio.channels, shown(path))
    if roles is not None:
        options = msgspec.structs.replace(options, roles=roles_of)
    source = FileSource.from_options(str(path), options)
    session = Session(
        own_process(config),
        sources=[source],
        publishers=[record],
        mode="freewheel",
        on_progress=StartLine(),
    )
    try:
        session.start()
        _wait(session, source)
    finally:
        with shielded():
            session.stop("end")
    for fault in session.publisher_faults:
        say(f"! {fault.where} {fault.action}: {fault.problem}")
    return not session.publisher_faults


def _wait(session: "Session", source: "FileSource") -> None:
    """Wait for the end of the file, with a bar on a terminal: a long call takes a while."""
    with ExitStack() as stack:
        show = None
        if sys.stderr.isatty():
            from rtemo.cli.progress import progress_bar
            from rtemo.io.sources.files import FilesProgress

            show = stack.enter_context(progress_bar())
        while not session.wait(_PERIOD_S):
            stop_if_told()
            if show is not None:
                done_s, total_s = source.done_s, source.duration_s
                show(FilesProgress(done_s=done_s, total_s=total_s, files_done=0, files_failed=0, files_total=1))


def _read_events(path: Path, record: "CallRecord") -> None:
    """Read events from a file, a line each.

    Raises:
        RtemoError: A line is no event.
    """
    from rtemo.io.publishers.store import messages
    from rtemo.io.recorded import STORES, recorded
    from rtemo.io.wire import decode_event

    if path.suffix.lower() in STORES:
        for message in messages(path, record.call):
            record.add(decode_event(message))
        return
    for event in recorded(path):
        record.add(event)
