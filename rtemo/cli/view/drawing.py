"""The process that draws: `python -m rtemo.cli.view.drawing`, started by `rtemo listen`, fed through standard input.

It has an interpreter of its own because a picture takes milliseconds of one, and the driver must not wait for them.
"""

import contextlib
import os
import select
import sys

from rich.console import Console

from rtemo.cli.view.live import TerminalShow
from rtemo.cli.view.pipe import Closing, Heard, Lasting, Message, Opening, Unpacker
from rtemo.cli.view.state import ViewState

_READ_BYTES = 1 << 16
_NICE = 5  # where both want the same core, the driver goes first


def main() -> int:
    """Draw what comes until the pipe ends; gives the exit status, 1 when it ended without a word."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    pipe = _Pipe(sys.stdin.fileno())
    messages = pipe.receive(None)
    opening = messages[0] if messages else None
    if not isinstance(opening, Opening):
        return 1  # it came to nothing before anything was to be seen, and whoever started this says why
    state = ViewState(opening.title)
    with TerminalShow(state, Console(), opening.options) as show:
        while True:
            for message in messages:  # at first what came behind the opening, while this process was starting
                if isinstance(message, Heard):
                    show.add(message.event)
                elif isinstance(message, Lasting):
                    state.duration_s = message.duration_s
            show.refresh()
            if pipe.is_ended:
                break
            messages = pipe.receive(show.until_due_s)
    if pipe.is_closed:
        return 0
    print(
        "rtemo: the process that listened was killed or has crashed; what it found until then is lost", file=sys.stderr
    )
    return 1


class _Pipe:
    """The reading end.

    Attributes:
        is_ended: Whether nothing more will come.
        is_closed: Whether the other side has said so.
    """

    def __init__(self, number: int) -> None:
        self.is_ended = self.is_closed = False
        self._number = number
        self._unpacker = Unpacker()

    def receive(self, timeout_s: float | None) -> list[Message]:
        """Give the messages that are there; waits for the first of them, for `timeout_s` at most."""
        if not select.select([self._number], [], [], timeout_s)[0]:
            return []
        data = os.read(self._number, _READ_BYTES)
        messages = self._unpacker.feed(data)
        self.is_closed |= any(isinstance(message, Closing) for message in messages)
        self.is_ended = not data
        return messages


if __name__ == "__main__":
    sys.exit(main())
