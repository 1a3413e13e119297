"""Annotation: what a language model is told about how a turn was said."""

from rtemo.aio.turn import Turn
from rtemo.api import Rank
from rtemo.integrations.spoof_gate import Ruling

_WORDS = {"fear": "afraid", "disgust": "disgusted", "surprise": "surprised"}
_HIGH, _LOW = 80.0, 20.0
_LEAST_COURSE_S = 4.0


def annotate(turn: Turn, ruling: Ruling | None = None) -> str:
    """Put into one line how a turn was said; empty where there is nothing to say.

    It holds nothing that the speaker chose, so it can stand in a prompt: words are those below, numbers are measured.

    Args:
        turn: The turn.
        ruling: What is to be done about the risk that the voice is synthetic.
    """
    parts = [part for part in (_sounds(turn), _level(turn), _course(turn), _words(turn)) if part]
    line = f"caller sounds {', '.join(parts)}" if parts else ""
    if ruling is not None and ruling.action != "pass":
        line = f"{line}; {ruling.reason}" if line else ruling.reason
    return f"[{line}]" if line else ""


def _sounds(turn: Turn) -> str:
    emotion = turn.emotion
    if emotion is None:
        return ""
    doubt = "" if emotion.is_trusted else " (if the voice is genuine)"
    if emotion.label != "unsure":
        return f"{_WORDS.get(emotion.label, emotion.label)} ({emotion.confidence:.0%} sure){doubt}"
    likely = max(emotion.probabilities, key=lambda label: emotion.probabilities[label], default="")
    return f"perhaps {_WORDS.get(likely, likely)}, unsure{doubt}" if likely else f"unsure{doubt}"


def _level(turn: Turn) -> str:
    """Tell what stands out among voices at large."""
    said = []
    for name, (high, low) in {"arousal": ("excited", "subdued"), "valence": ("positive", "negative")}.items():
        rank: Rank | None = turn.ranks.get(name)
        if rank is None or rank.anchor_percentile is None:
            continue
        if rank.anchor_percentile >= _HIGH:
            said.append(high)
        elif rank.anchor_percentile <= _LOW:
            said.append(low)
    return ", ".join(f"more {word} than most" for word in said)


def _course(turn: Turn) -> str:
    said = [
        f"{name} {course.direction} for {course.duration_s:.0f} s"
        for name, course in turn.courses.items()
        if course.duration_s >= _LEAST_COURSE_S
    ]
    return ", ".join(said)


def _words(turn: Turn) -> str:
    return "words and voice disagree" if turn.rationale is not None and turn.rationale.is_disagreeing else ""
