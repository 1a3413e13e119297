"""Options of the answering voice, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta

ANSWERS = {
    "angry": "I am sorry about that. Let me see what I can do.",
    "sad": "I am sorry to hear that. Take your time.",
    "fear": "I am with you. Let us go step by step.",
    "happy": "That is good to hear!",
    "*": "I see. Please go on.",
}
"""What is said after a turn of each emotion when nobody says otherwise."""


class VoiceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a voice that answers."""

    bundle: Annotated[str, Meta(description="The model that speaks (extra rtemo[voice]).")] = "kokoro"
    voice: Annotated[str, Meta(description="A voice, a mixture or a style file; '' is the model's first.")] = ""
    language: Annotated[str, Meta(description="Language of the answers, as espeak-ng calls it.")] = "en-us"
    rule: Annotated[
        str,
        Meta(description="module:function that makes the answer of what was heard; '' takes `answers`."),
    ] = ""
    answers: Annotated[
        dict[str, str],
        Meta(description="What is said after a turn, by its emotion; `*` is for all others, '' says nothing."),
    ] = msgspec.field(default_factory=lambda: dict(ANSWERS))
    channel: Annotated[str, Meta(description="Channel that it speaks on, within the call of whom it answers.")] = (
        "assistant"
    )
    role: Annotated[str, Meta(description="Role of its streams; others are answered.")] = "assistant"
