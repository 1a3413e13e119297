"""What is answered to what was heard, and in which manner."""

import importlib
from collections.abc import Callable, Mapping

import msgspec

from rtemo.api import ConfigError
from rtemo.voice.manner import MANNERS, Manner

_REPLIES = {"angry": "calm", "fear": "calm", "disgust": "calm", "sad": "sad", "happy": "happy", "surprise": "neutral"}
"""Mood of the caller → mood of the answer: anger and fear are met with calm, joy and grief are shared."""
_GRIEF_SHARE = 0.6


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of somebody that is over.

    Attributes:
        call: The call.
        channel: Who spoke in it.
        text: What was said; empty where no plugin writes words down.
        emotion: Label of the turn, `unsure` where it is; empty where no plugin tells it.
        arousal: -1 to 1.
        valence: -1 to 1.
    """

    call: str
    channel: str
    text: str = ""
    emotion: str = ""
    arousal: float = 0.0
    valence: float = 0.0


Rule = Callable[[Turn], str]
"""Gives the answer to a turn; an empty one says nothing."""


def manner_for(emotion: str) -> Manner:
    """Choose the manner of the answer by the mood of the turn."""
    manner = MANNERS[_REPLIES.get(emotion, "neutral")]
    if emotion != "sad":
        return manner
    return Manner(
        speed=1 + _GRIEF_SHARE * (manner.speed - 1),
        pitch_semitones=_GRIEF_SHARE * manner.pitch_semitones,
        pitch_range=1 + _GRIEF_SHARE * (manner.pitch_range - 1),
        level_db=_GRIEF_SHARE * manner.level_db,
    )


def table_rule(answers: Mapping[str, str]) -> Rule:
    """Answer by a table: emotion → text, `*` for all others."""
    return lambda turn: answers.get(turn.emotion, answers.get("*", ""))


def load_rule(name: str, answers: Mapping[str, str]) -> Rule:
    """Find the rule that a configuration names, `module:function`; the table where it names none.

    Raises:
        ConfigError: There is no such function.
    """
    if not name:
        return table_rule(answers)
    module, colon, function = name.partition(":")
    try:
        rule = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"the rule {name!r} cannot be imported ({error})", "correct sources.voice.rule") from error
    if not callable(rule):
        raise ConfigError(f"the rule {name!r} is no function", "give it as module:function")
    found: Rule = rule
    return found
