"""What is asked of a doubtful voice, and what came of it; a part of the vocabulary."""

import msgspec


class Challenge(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="challenge", omit_defaults=True):
    """A doubtful voice should be asked for words that nobody can have recorded or made ahead; and what came of it.

    Who says them hears and answers. A voice that is converted live can do so, too: it is no proof of who speaks.
    """

    state: str
    """`asked`; then, where words are written down, `met`, `missed` (something else was said) or `unanswered`."""
    ask: str
    """What to say to the speaker, in the language of the configuration."""
    words: tuple[str, ...]
    """What the speaker should say, in any order."""
    reason: str
    """What led to it: `alarm` (over the call) or `spoof` (the last seconds)."""
    heard: tuple[str, ...] = ()
    """Those of the words that were heard, once it is over."""
    answer_s: float | None = None
    """Of `met`: from the asking to the end of the turn in which they were said."""
