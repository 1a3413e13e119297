"""The command `rtemo`, and `python -m rtemo`: imports the command line where Ctrl-C cannot catch it half way."""

import _signal  # type: ignore[import-not-found]  # the module signal imports enum, as slow as Python itself


def main() -> None:
    """Run the command line; a Ctrl-C while it is being imported ends the program at once and in silence."""
    before = _signal.getsignal(_signal.SIGINT)
    if before is _signal.default_int_handler:  # otherwise whoever started us has us ignore it
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from rtemo.cli.main import main as run

    _signal.signal(_signal.SIGINT, before)
    try:
        run()
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else int(bool(end.code)))
        raise


def _end(code: int) -> None:
    """End at once if a thread of the engine is still in native code, as one of a plugin that was given up.

    The interpreter would take the GIL away from it at its end, and C++ answers that with `std::terminate`.
    """
    import os
    import sys
    import threading

    if not any(thread.name.startswith(("rtemo-driver", "rtemo-lane")) for thread in threading.enumerate()):
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            pass
    os._exit(code)


if __name__ == "__main__":
    main()
