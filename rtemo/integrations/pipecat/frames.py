"""Frames that tell what was found out; system frames, so that an interruption takes none of them away."""

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame

from rtemo.aio.turn import Turn
from rtemo.api import Challenge, Emotion, EndOfTurn, Event, Rank, Spoof
from rtemo.integrations.spoof_gate import Ruling


@dataclass
class EmotionFrame(SystemFrame):
    """How the caller sounds: after a second of speech, then every half second, and at the end of a turn."""

    emotion: Emotion
    event: Event


@dataclass
class RankFrame(SystemFrame):
    """Where the present moment lies among those before, and among voices at large."""

    rank: Rank
    event: Event


@dataclass
class SpoofFrame(SystemFrame):
    """The risk that the voice is synthetic, and what the gate says is to be done."""

    spoof: Spoof
    ruling: Ruling
    event: Event


@dataclass
class ChallengeFrame(SystemFrame):
    """What to ask a doubtful voice, and what came of it, where the chain asks for it."""

    challenge: Challenge
    event: Event


@dataclass
class EndOfTurnFrame(SystemFrame):
    """How likely the turn is over, where the chain tells it."""

    end_of_turn: EndOfTurn
    event: Event


@dataclass
class TurnFrame(SystemFrame):
    """A turn that is over, with everything that belongs to it, and a line about it for a language model."""

    turn: Turn
    note: str
