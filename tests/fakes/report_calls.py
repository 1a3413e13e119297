"""Calls for the tests of the report, as events that nobody's voice gave."""

from pathlib import Path

from rtemo.api import Alert, Emotion, Event, Rationale, SpeechEnd, Spoof, StreamEnd, StreamStart, Transcript
from rtemo.api.events import Counters, Payload
from rtemo.cli.callreport.record import CallRecord
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.wire import encode


def told(channel: str, data: Payload, start_s: float, end_s: float) -> Event:
    """An event of the call."""
    return Event(
        call="c <1>",
        channel=channel,
        plugin="testing",
        seq=1,
        start_sample=round(start_s * 16_000),
        end_sample=round(end_s * 16_000),
        capture_ns=0,
        emit_ns=0,
        data=data,
    )


def mood(label: str, arousal: float, valence: float, **more: object) -> Emotion:
    """An estimate."""
    probabilities = {label: 1.0} if label != "unsure" else {"angry": 0.5, "sad": 0.5}
    known = {"confidence": 0.8, "speech_s": 4.0, "trigger": "refresh", **more}
    return Emotion(label=label, probabilities=probabilities, arousal=arousal, valence=valence, **known)


def a_call(duration_s: float = 100.0) -> list[Event]:
    """A customer who gets angry in the second half, and an agent who is timed only and cuts in once."""
    reason = Rationale(label="angry", text="The pitch is high.", language="en", verified_share=1.0, is_final=True)
    events = [
        told("0", StreamStart(role="customer"), 0, 0),
        told("1", StreamStart(role="agent", analysis="timing"), 0, 0),
        told("0", SpeechEnd(speech_s=20.0), 0, 20),
        told("0", mood("calm", -0.5, 0.4), 0, 10),
        told("0", mood("unsure", 0.0, 0.0, is_final=True), 0, 20),
        told("1", SpeechEnd(speech_s=20.0), 30, 50),
        told("0", SpeechEnd(speech_s=25.0), 45, 70),
        told("0", mood("angry", 0.8, -0.7), 45, 60),
        told("0", mood("angry", 0.9, -0.8, is_final=True), 45, 70),
        told("0", Alert(rule="<b>heated</b>", values={"arousal.score": 1.5}), 45, 66),
        told("0", Spoof(score=0.0, verdict="unknown"), 0, 70),
        told("0", Transcript(text="this is & was <too> late", is_final=True), 45, 70),
        told("0", reason, 45, 70),
    ]
    ends = [
        told(channel, StreamEnd(reason="end", duration_s=duration_s, counters=Counters()), 0, duration_s)
        for channel in "01"
    ]
    return [*events, *ends]


def an_hour() -> list[Event]:
    """A call of an hour with an estimate every second and words every four."""
    events = a_call(3600.0)
    for at_s in range(3, 3600, 1):
        events.append(told("0", mood("angry", 0.5, -0.5), at_s - 1, at_s))
        if at_s % 4 == 0:
            events.append(told("0", SpeechEnd(speech_s=2.0), at_s - 3, at_s - 1))
            events.append(told("0", Transcript(text="word " * 12, is_final=True), at_s - 3, at_s - 1))
    return events


def recorded(events: list[Event] | None = None) -> CallRecord:
    """What a report gathers of events."""
    record = CallRecord()
    record.publish(a_call() if events is None else events)
    return record


def write_events(path: Path, events: list[Event] | None = None) -> Path:
    """Write events down as --jsonl does."""
    numbering = Numbering("main")
    told_of = a_call() if events is None else events
    path.write_bytes(b"\n".join(encode(numbering.number(event)[1]) for event in told_of))
    return path
