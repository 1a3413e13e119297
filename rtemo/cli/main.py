"""Entry point of the command `rtemo`."""

import errno
import os
import sys
from collections.abc import Sequence

import click

from rtemo.cli.lazy import GROUP, LazyGroup, Verb
from rtemo.cli.lazy_tools import LazyTools
from rtemo.cli.stopping import term_as_interrupt, was_terminated
from rtemo.cli.streams import fill_closed, tolerate_terminals
from rtemo.telemetry import stay_offline

ADVISORY = """rtemo estimates perceived vocal expression, not what a person feels, and it is often wrong. Its results
are advice to a human. Do not use them for hiring, pay, discipline, credit, housing or education; inferring the
emotions of people at work is banned in the EU outside medical and safety use. People whose role
is not listed in [policy], people at work above all, are not analysed: no more is told than when they speak."""

EXIT_FAILED = 1
"""Some of the work failed; the rest was done."""
EXIT_USER = 2
"""The user can mend what went wrong; one line on standard error says how."""
EXIT_CRASH = 70
"""A fault of rtemo itself (EX_SOFTWARE of sysexits)."""
EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C before the work was done, as shells report SIGINT."""
EXIT_TERMINATED = 143
"""The same by SIGTERM."""

_UNFIT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)
_PATHS = (*_UNFIT, errno.EACCES, errno.EPERM)
_OUTSIDE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EBADF, errno.EFBIG)

VERBS = {
    "listen": Verb("rtemo.cli.listen", "Show a file, microphone or pipe live.", "Listen"),
    "analyze": Verb("rtemo.cli.analyze", "Run files and folders through the chain, as fast as possible.", "Listen"),
    "report": Verb("rtemo.cli.report", "Write a report of one call, as a page for a person.", "Listen"),
    "eval": Verb("rtemo.cli.eval", "Score the chain on clips whose emotion is known.", "Listen"),
    "tune": Verb("rtemo.cli.tune", "Fit a model to clips of your own, and tell what that is worth.", "Listen"),
    "search": Verb("rtemo.cli.search", "Find moments in files by a description of the voice.", "Listen"),
    "corpus": Verb("rtemo.cli.corpus.group", "Make a corpus of rated turns from recordings.", "Listen"),
    "say": Verb("rtemo.cli.say", "Speak a text, or tell whether a recording was made by rtemo.", "Speak"),
    "serve": Verb("rtemo.cli.serve", "Take many calls in over ZeroMQ and publish their events.", "Serve"),
    "workers": Verb("rtemo.cli.workers", "List, add and remove the workers of a running server.", "Serve"),
    "subscribe": Verb("rtemo.cli.subscribe", "Print the events of a running publisher.", "Serve"),
    "board": Verb("rtemo.cli.board", "Watch which calls of a running publisher need a person first.", "Serve"),
    "export": Verb("rtemo.cli.export", "Write the events of a store as a table, CSV or Parquet.", "Serve"),
    "simulate": Verb("rtemo.cli.simulate", "Publish what was recorded once more, as if it happened now.", "Serve"),
    "erase": Verb("rtemo.cli.erase", "Erase what a store of events holds about a call.", "Serve"),
    "ask": Verb("rtemo.cli.ask", "Have a running engine score voices by a description.", "Serve"),
    "top": Verb("rtemo.cli.top", "Watch load, WAIT, BUSY and xruns of a running publisher.", "Serve"),
    "keys": Verb("rtemo.cli.keys", "Make a key pair for an encrypted endpoint.", "Serve"),
    "warm": Verb("rtemo.cli.warm", "Compile all kernels ahead, for images and quick starts.", "Serve"),
    "doctor": Verb("rtemo.cli.doctor", "Check what rtemo needs and say what to mend.", "Look inside"),
    "devices": Verb("rtemo.cli.devices", "List the microphones.", "Look inside"),
    "plugins": Verb("rtemo.cli.plugins", "List the installed plugins.", "Look inside"),
    "config": Verb("rtemo.cli.config", "Print the configuration with a comment on every key.", "Look inside"),
    "card": Verb("rtemo.cli.card", "Print the card of a model bundle.", "Look inside"),
    "bundle": Verb("rtemo.cli.bundle", "List model bundles, prove that they are those of this release.", "Look inside"),
    "fetch": Verb("rtemo.cli.fetch", "Fetch the weights of a model bundle over the network.", "Look inside"),
    "bench": Verb("rtemo.cli.bench.group", "Measure what the chain costs on this machine.", "Look inside"),
    "trace": Verb("rtemo.cli.trace", "Record when everything of a run happens, to find late ticks.", "Look inside"),
    "version": Verb("rtemo.cli.version", "Print the versions of rtemo and of what it runs on.", "Look inside"),
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    brought_by=GROUP,
    epilog=ADVISORY,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show the traceback of every error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Emotion in speech, while it is spoken."""
    context.obj = LazyTools()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 partly failed, 2 for the user to mend, 130 interrupted, 143 terminated.

    Args:
        arguments: Arguments without the program name; None takes those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    fill_closed()
    tolerate_terminals()
    stay_offline()
    try:
        with term_as_interrupt():
            given = [word for word in words if word != "--debug"]
            code = cli.main(args=given, prog_name="rtemo", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(EXIT_FAILED)  # as click does when the pipe breaks earlier
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        print("rtemo: stopped", file=sys.stderr)
        sys.exit(_stopped(EXIT_INTERRUPTED))
    except click.ClickException as error:
        if debug:
            raise
        say(_phrase(error))
        sys.exit(EXIT_USER)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in _OUTSIDE:
            if not error.filename:
                _drop_stdout()
            where = error.filename or "the output"
            say(f"{where} cannot be written ({error.strerror}); make room or choose another place")
            sys.exit(EXIT_USER)
        if isinstance(error, OSError) and error.errno in _PATHS and error.filename:
            say(f"{error.filename} cannot be used ({error.strerror}); check the path")
            sys.exit(EXIT_USER)
        if _is_ours(error):
            say(str(error))
            sys.exit(EXIT_USER)
        say(f"{type(error).__name__}: {error}; this is a fault of rtemo: run again with --debug and report it")
        sys.exit(EXIT_CRASH)
    finally:
        # An interrupt that struck inside an `exec` of a text, as imports do them, has `python -m` end by SIGINT instead
        # of with its exit status, however it was dealt with, until the next such `exec`.
        exec("")
    sys.exit(_stopped(code) if isinstance(code, int) else 0)


def say(text: str) -> None:
    """Print one line for a person on standard error, under the program's name."""
    line = " ".join(text.split())
    if not line.isprintable():  # what came from outside may be in it
        from rtemo.api.text import plain

        line = plain(line)
    print(f"rtemo: {line}", file=sys.stderr)


def _stopped(code: int) -> int:
    """Give the exit status by which signal it was, where it was one."""
    return EXIT_TERMINATED if code == EXIT_INTERRUPTED and was_terminated() else code


def _is_ours(error: Exception) -> bool:
    # Whoever raised an RtemoError has imported its module; importing it here would cost numpy for nothing.
    errors = sys.modules.get("rtemo.api.errors")
    return errors is not None and isinstance(error, errors.RtemoError)


def _phrase(error: click.ClickException) -> str:
    text = error.format_message().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    if isinstance(error, click.UsageError) and context is not None and ";" not in text:
        text += f"; see {context.command_path} --help"
    return text


def _drop_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail as well."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
