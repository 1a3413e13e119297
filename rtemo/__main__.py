"""The command `rtemo`, and `python -m rtemo`: imports the command line where Ctrl-C cannot catch it half way."""

import _signal  # type: ignore[import-not-found]  # the module signal imports enum, as slow as Python itself


def main() -> None:
    """Run the command line; a Ctrl-C while it is being imported ends the program at once and in silence."""
    before = _signal.getsignal(_signal.SIGINT)
    if before is _signal.default_int_handler:  # otherwise whoever started us has us ignore it
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from rtemo.cli.main import main as run

    _signal.signal(_signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
