"""Events as lines of plain text, for pipes, logs and the foot of the live view."""

from rtemo.api import (
    Emotion,
    Event,
    Fault,
    Payload,
    Rank,
    SessionEnd,
    SessionStart,
    SourceState,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
)
from rtemo.cli.view.numbers import clock, counted, signed


def sentence(event: Event, sample_rate_hz: int) -> str:
    """Say one event in one line; empty for those that come all the time (level, prosody, health).

    Args:
        event: The event.
        sample_rate_hz: Rate of its sample positions.
    """
    text = _phrase(event.data)
    if not text:
        return ""
    if not event.call:
        return f"{'':>9}  {text}"
    at_sample = event.start_sample if isinstance(event.data, SpeechStart) else event.end_sample
    return f"{clock(at_sample / sample_rate_hz):>9}  {clean(event.call)}/{clean(event.channel)}  {text}"


def clean(text: str) -> str:
    r"""Replace what a terminal would obey instead of showing it: names come from outside.

    >>> clean("call\x1b[2J")
    'call�[2J'
    """
    return "".join(char if char.isprintable() else "�" for char in text)


def _phrase(data: Payload) -> str:
    match data:
        case SpeechStart():
            return "speech begins"
        case SpeechEnd():
            return f"speech ends after {data.speech_s:.1f} s ({data.reason.replace('_', ' ')})"
        case Emotion():
            best = max(data.probabilities, key=data.probabilities.__getitem__, default=data.label)
            name = best if data.label == best else f"{best}?"
            return (
                f"{'■' if data.is_final else '·'} {name:<9} {data.probabilities.get(best, 0.0):4.0%}  "
                f"arousal {signed(data.arousal)}  valence {signed(data.valence)}  "
                f"{data.speech_s:.1f} s, {data.trigger.replace('_', ' ')}"
            )
        case Spoof():
            return f"spoof {data.verdict.replace('_', ' ')}  score {signed(data.score)}"
        case Rank():
            place = "" if data.percentile is None else f"  above {data.percentile:.0f} % of the call"
            return f"rank {clean(data.attribute)} {signed(data.score)}{place}"
        case Fault():
            return f"! {clean(data.where)} {data.action}: {clean(data.problem)}"
        case SourceState():
            return f"! source {data.state}{': ' if data.detail else ''}{clean(data.detail)}"
        case StreamStart():
            source = f" from {clean(data.source)}" if data.source else ""
            return f"stream opens{source}{f' ({clean(data.role)})' if data.role else ''}"
        case StreamEnd():
            trouble = counted(data.counters)
            return f"stream ends ({data.reason.replace('_', ' ')}){f'  ! {trouble}' if trouble else ''}"
        case SessionStart():
            latency_ms = 1e3 * data.latency_samples / data.sample_rate_hz
            return f"ready: {' → '.join(data.chain) or 'empty chain'}, {latency_ms:.0f} ms latency"
        case SessionEnd():
            trouble = counted(data.counters)
            return f"session ends ({data.reason}){f'  ! {trouble}' if trouble else ''}"
    return ""
