"""Colour for lines of text; whoever prints them takes it out where there is no terminal."""

import os

import click

from rtemo.api import Emotion, Event
from rtemo.cli.view.palette import EMOTION_COLOURS
from rtemo.cli.view.plain import best_label


def painted(line: str, event: Event) -> str:
    """Colour a line: the emotion in its own colour, bold when final; trouble in red; the rest as it is.

    The words say the same without colour, and NO_COLOR leaves them alone.
    """
    if os.environ.get("NO_COLOR"):
        return line
    if isinstance(event.data, Emotion):
        label = best_label(event.data)
        colour = EMOTION_COLOURS.get(label)
        if colour is None or label not in line:
            return line
        before, _, after = line.partition(label)
        return before + click.style(label, fg=_rgb(colour), bold=event.data.is_final) + after
    return click.style(line, fg="red") if " ! " in line else line


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
