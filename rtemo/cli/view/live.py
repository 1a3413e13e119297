"""Showing of a running session: drawn in place on a terminal, as lines of text anywhere else."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live

from rtemo.api import Event, RtemoError
from rtemo.cli.view.narrator import Narrator
from rtemo.cli.view.picture import picture
from rtemo.cli.view.screen import Lines, Screen
from rtemo.cli.view.state import ViewState
from rtemo.config import ListenOptions

PICTURE_COLUMNS, PICTURE_LINES = 120, 32


class ViewLostError(RtemoError):
    """Whoever draws has ended by itself."""


class Show(Protocol):
    """Something that shows events as they come."""

    def __enter__(self) -> "Show": ...

    def __exit__(self, *error: object) -> None: ...

    def add(self, event: Event) -> None:
        """Take an event."""

    def refresh(self) -> None:
        """Bring the display up to date if it is time to; called at least several times a second."""


class TerminalShow:
    """Draws the state on the alternate screen, from the thread that calls `refresh`.

    Drawing takes milliseconds of the interpreter: never in the process of a live engine, see `DrawnElsewhere`.
    """

    def __init__(self, state: ViewState, console: Console, options: ListenOptions) -> None:
        self._state = state
        self._period_s = 1.0 / options.refresh_hz
        self._due_s = 0.0
        lines = Lines(Screen(state, options.trend_s).lines)
        self._live = Live(lines, console=console, screen=True, auto_refresh=False, redirect_stderr=False)

    def __enter__(self) -> "TerminalShow":
        self._live.start()
        self._live.refresh()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    @property
    def until_due_s(self) -> float:
        """Time until the next drawing is due."""
        return max(0.0, self._due_s - time.monotonic())

    def add(self, event: Event) -> None:
        """Take an event."""
        self._state.add(event)

    def refresh(self) -> None:
        """Draw if the last drawing is old enough."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + self._period_s
            self._live.refresh()


class SilentShow:
    """Keeps the state for the summary and shows nothing: standard output belongs to somebody else."""

    def __init__(self, state: ViewState) -> None:
        self._state = state

    def __enter__(self) -> "SilentShow":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add(self, event: Event) -> None:
        """Take an event."""
        self._state.add(event)

    def refresh(self) -> None:
        """Do nothing."""


class TextShow:
    """Prints what is worth a line, at once, for pipes and logs."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._narrator = Narrator()

    def __enter__(self) -> "TextShow":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add(self, event: Event) -> None:
        """Take an event and print it when it is news."""
        self._state.add(event)
        self._narrator.sample_rate_hz = self._state.session.sample_rate_hz
        line = self._narrator.line(event)
        if line:
            print(line, flush=True)

    def refresh(self) -> None:
        """Do nothing: every line is out already."""


class PictureShow:
    """Passes everything on and draws one picture on the way.

    Args:
        show: The display proper.
        state: What it shows.
        path: SVG file to write.
        at_s: Position in the audio at which to draw; the end when None.
        title: Title of the picture.
    """

    def __init__(self, show: Show, state: ViewState, path: Path, at_s: float | None, title: str) -> None:
        self._show = show
        self._state = state
        self._path = path
        self._at_s = at_s
        self._title = title
        self._is_drawn = False

    def __enter__(self) -> "PictureShow":
        self._show.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._show.__exit__(*error)
        if not self._is_drawn:
            self._draw()

    def add(self, event: Event) -> None:
        """Take an event; draw when it reaches the position."""
        self._show.add(event)
        if not self._is_drawn and self._at_s is not None and self._state.position_s >= self._at_s:
            self._draw()

    def refresh(self) -> None:
        """Refresh the display proper."""
        self._show.refresh()

    def _draw(self) -> None:
        self._is_drawn = True
        lines = Screen(self._state).lines(PICTURE_COLUMNS, PICTURE_LINES, is_filled=False)
        self._path.write_text(picture(lines, self._title), encoding="utf-8")


def can_draw(console: Console) -> bool:
    """Whether the console is a terminal that can be drawn on."""
    return console.is_terminal and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def play(show: Show, events: Iterable[Event]) -> None:
    """Show events until they pause or end."""
    for event in events:
        show.add(event)
        show.refresh()
    show.refresh()
