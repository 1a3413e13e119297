"""What is said of the time of a call that two parties or more share; a part of the vocabulary."""

import msgspec


class Talk(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="talk"):
    """What a party has done with the time of a call so far, since there are two parties or more: timing, no words."""

    speech_s: float
    """How long it has spoken."""
    share: float | None
    """Of all speech of the call; null while nobody has spoken."""
    overlap_s: float
    """How long others have spoken at the same time."""
    silence_s: float
    """How long nobody of the call has spoken."""
    turns: int
    longest_s: float
    """The longest turn."""
    interruptions: int
    """How often it began while another spoke, who then stopped."""
    is_final: bool = False
    """Whether the stream is over."""


class DeadAir(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="dead_air"):
    """Nobody of a call has spoken for long; told of the stream of whoever spoke last, once then and once at its end."""

    silence_s: float
    """How long by now."""
    is_over: bool = False
    ended_by: str = ""
    """Channel of who speaks again; empty while nobody does, and where the stream is over."""


class Interruption(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="interruption"):
    """A party has begun to speak while another spoke, who then stopped; the event spans the time of both."""

    interrupted: str
    """Channel of who stopped."""
    overlap_s: float
