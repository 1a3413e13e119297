"""Events as lines of plain text, for pipes, logs and the foot of the live view."""

import time

from rtemo.api import (
    Alert,
    Board,
    Challenge,
    DeadAir,
    Emotion,
    Event,
    Fault,
    Health,
    Interruption,
    Level,
    Overload,
    Party,
    Payload,
    Prosody,
    Quality,
    QueryScore,
    Rank,
    Rationale,
    SessionEnd,
    SessionStart,
    SourceState,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
    Talk,
    Tone,
    Transcript,
    kind_of,
)
from rtemo.api.emotions import as_told, committed
from rtemo.api.text import plain
from rtemo.cli.view.numbers import clock, counted, counted_sinks, micros, overload_troubles, signed

_OUTCOMES = {"met": "were said", "missed": "were not said", "unanswered": "were not answered"}


def sentence(event: Event, sample_rate_hz: int, name: str = "", said_sample: int = 0) -> str:
    """Say one event in one line.

    Args:
        event: The event.
        sample_rate_hz: Rate of its sample positions.
        name: Name of the stream; call and channel when empty.
        said_sample: How far the stream had come when this was said. The line stands there where that is later than
            what it is about, so that lines stand in the order of their times.
    """
    text = clean(_phrase(event.data))  # whole: any part of it may come from outside
    if not event.call:
        return f"{'':>9}  {text}"
    at_sample = event.start_sample if isinstance(event.data, SpeechStart) else event.end_sample
    at, said = clock(at_sample / sample_rate_hz), clock(max(at_sample, said_sample) / sample_rate_hz)
    about = "" if at == said else f", at {at}"
    return f"{said:>9}  {clean(name or f'{event.call}/{event.channel}')}  {text}{about}"


def logged(event: Event, sample_rate_hz: int) -> str:
    """Say one event in one line of a log: under the time of day, since every stream begins at 0."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.emit_ns * 1e-9))
    return f"{stamp}  {sentence(event, sample_rate_hz).strip()}"


def best_label(emotion: Emotion) -> str:
    """Tell the label to show: the one the model committed itself to, or the most probable one while it is unsure."""
    if emotion.label in emotion.probabilities:
        return emotion.label
    return committed(emotion.probabilities)[0] if emotion.probabilities else emotion.label


clean = plain


def _phrase(data: Payload) -> str:
    match data:
        case Level():
            clipped = f"  ! {data.clipped_ratio:.1%} clipped" if data.clipped_ratio else ""
            return f"level {data.rms_dbfs:.1f} dBFS  peak {data.peak_dbfs:.1f}{clipped}"
        case Prosody():
            pitch = "unvoiced" if data.pitch_hz is None else f"{data.pitch_hz:.0f} Hz"
            return f"voice {pitch}  {data.rate_per_s:.1f} syllables/s  {data.tilt_db_per_octave:.1f} dB/octave"
        case Health():
            lacks = [f"{name} {value}" for name, value, _ in overload_troubles(data)]
            trouble = ", ".join(filter(None, (*lacks, counted(data.counters), counted_sinks(data.sinks))))
            return (
                f"health: {data.streams} of {data.capacity} streams, load {data.load:.1%}, "
                f"tick p99 {micros(data.tick_p99_us)}{f'  ! {trouble}' if trouble else ''}"
            )
        case SpeechStart():
            return "speech begins"
        case SpeechEnd():
            return f"speech ends after {data.speech_s:.1f} s ({data.reason.replace('_', ' ')})"
        case Emotion():
            best = best_label(data)
            name = best if data.label == best else f"{best}?"
            return (
                f"{'■' if data.is_final else '·'} {name:<9} {as_told(data.probabilities).get(best, 0.0):4.0%}  "
                f"arousal {signed(data.arousal)}  valence {signed(data.valence)}  "
                f"{data.speech_s:.1f} s, {data.trigger.replace('_', ' ')}{'' if data.is_trusted else ', untrusted'}"
            )
        case Spoof():
            alarm = "! alarm: " if data.trigger == "alarm" else ""
            verdict = "suspected" if data.verdict == "spoof" else data.verdict.replace("_", " ")
            return f"{alarm}spoof {verdict}  score {signed(data.score)}"
        case Rank():
            place = "" if data.percentile is None else f"  above {data.percentile:.0f} % of the call"
            change = "" if data.change is None else f", changed by {signed(data.change)}"
            return f"rank {clean(data.attribute)} {signed(data.score)}{place}{change}"
        case Rationale():
            doubt = "" if data.is_trusted else ", untrusted"
            return f"why: {clean(data.text)}{'' if data.is_final else ' …'}{doubt}"
        case Board():
            first = ", ".join(f"{entry.place} {clean(entry.call)}/{clean(entry.channel)}" for entry in data.entries[:3])
            unsure = f", {data.unsure} unsure" if data.unsure else ""
            return f"board of {data.ranked} streams{unsure}{': ' if first else ''}{first}"
        case Alert():
            found = ", ".join(f"{clean(name)} {signed(value)}" for name, value in data.values.items())
            return f"! alert: {clean(data.rule)}{f' ({found})' if found else ''}"
        case Tone():
            what = f"{data.name} {data.digit}".strip()
            return f"tone: {clean(what)}"
        case Quality():
            return f"! sound {clean(data.problem.replace('_', ' '))}: {clean(data.detail)}"
        case QueryScore():
            place = "" if data.z is None else f"  z {signed(data.z)}"
            return f"“{clean(data.query)}” {signed(data.score)}{place}"
        case Party():
            who = "a voice that cannot be told" if data.party is None else f"party {data.party}"
            mend = "" if data.trigger != "correction" else "correction: "
            was = f", not {'open' if data.was is None else f'party {data.was}'}" if mend else ""
            return f"≈ {mend}{who}{was}  {data.confidence:.0%}, {data.speech_s:.1f} s{'' if data.is_final else ' …'}"
        case Talk():
            share = "" if data.share is None else f", {data.share:.0%} of all speech"
            return (
                f"talk {data.speech_s:.1f} s{share}, over others {data.overlap_s:.1f} s, "
                f"interruptions {data.interruptions}, nobody {data.silence_s:.1f} s{', in all' * data.is_final}"
            )
        case DeadAir():
            if not data.is_over:
                return f"! nobody has spoken for {data.silence_s:.1f} s"
            return (
                f"nobody spoke for {data.silence_s:.1f} s{f', until {clean(data.ended_by)}' if data.ended_by else ''}"
            )
        case Interruption():
            return f"interrupts {clean(data.interrupted)} after {data.overlap_s:.1f} s together"
        case Challenge():
            if data.state == "asked":
                return f"! ask the speaker: {clean(data.ask)}"
            heard = f": {clean(', '.join(data.heard))}" if data.heard else ""
            outcome = _OUTCOMES.get(data.state, clean(data.state))
            return f"{'' if data.state == 'met' else '! '}the words asked for {outcome}{heard}"
        case Transcript():
            language = f"  ({clean(data.language)})" if data.language else ""
            return f"“{data.text}{'' if data.is_final else ' …'}”{language}" if data.text else "no words made out"
        case Fault():
            return f"! {clean(data.where)} {data.action}: {clean(data.problem)}"
        case Overload():
            where = f"{data.where} " if data.where else ""
            what = f"{data.what} ({', '.join(data.plugins)})" if data.plugins else data.what
            verb, sign = ("goes without", "! ") if data.state == "given_up" else ("takes back", "")
            return f"{sign}overload: {where}{verb} {what}, load {data.load:.0%}"
        case SourceState():
            return f"! source {data.state}{': ' if data.detail else ''}{clean(data.detail)}"
        case StreamStart():
            source = f" from {clean(data.source)}" if data.source else ""
            analysis = "timing only" if data.analysis == "timing" else ""
            parting = "told apart by the voice: an estimate" if data.is_estimate is True else ""
            facts = ", ".join(filter(None, (clean(data.role), analysis, parting)))
            return f"stream opens{source}{f' ({facts})' if facts else ''}"
        case StreamEnd():
            trouble = counted(data.counters)
            return f"stream ends ({data.reason.replace('_', ' ')}){f'  ! {trouble}' if trouble else ''}"
        case SessionStart():
            latency_ms = 1e3 * data.latency_samples / data.sample_rate_hz
            return f"ready: {' → '.join(data.chain) or 'empty chain'}, {latency_ms:.0f} ms latency"
        case SessionEnd():
            trouble = counted(data.counters)
            return f"session ends ({data.reason}){f'  ! {trouble}' if trouble else ''}"
    fields = (f"{name} {clean(str(getattr(data, name)))}" for name in type(data).__struct_fields__)  # a plugin's own
    return "  ".join((kind_of(data).replace("_", " "), *fields))
