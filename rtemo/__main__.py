"""The command `rtemo`, and `python -m rtemo`: imports the command line where Ctrl-C cannot catch it half way."""

import signal


def main() -> None:
    """Run the command line; a Ctrl-C while it is being imported ends the program at once and in silence."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # otherwise whoever started us has us ignore it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rtemo.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
