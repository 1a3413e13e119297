"""Embed rtemo: push audio, get events. Run: python examples/embed.py [FILE]."""

import sys
from pathlib import Path

import soundfile

import rtemo

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("call.flac")
audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)

with rtemo.Session(mode="freewheel") as session:
    stream = session.stream("call-1", sample_rate_hz=rate_hz)
    stream.push(audio[:, 0])
    stream.end()
    for event in stream.events():
        if event.kind == "emotion" and event.data.is_final:
            print(f"{event.end_s:6.1f} s  {event.data.label:8}  arousal {event.data.arousal:+.2f}")
