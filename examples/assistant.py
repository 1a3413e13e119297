"""An assistant: audio goes in as it arrives, moods come out beside it. Run: python examples/assistant.py."""

import asyncio
from pathlib import Path

import soundfile

import rtemo


async def microphone(stream: rtemo.PushStream) -> None:
    """Stand in for the assistant's own audio: 20 ms every 20 ms."""
    audio, rate_hz = soundfile.read(Path(__file__).with_name("call.flac"), dtype="float32", always_2d=True)
    packet = rate_hz // 50
    for at in range(6 * rate_hz, 16 * rate_hz, packet):  # the caller is calm, then surprised
        stream.push(audio[at : at + packet, 0])
        await asyncio.sleep(0.02)
    stream.end()


async def main() -> None:
    """Listen to ten seconds of a call."""
    with rtemo.Session() as session:
        speaking = asyncio.create_task(microphone(session.stream("user", sample_rate_hz=8_000)))
        async for event in session:
            if event.kind in ("speech_start", "speech_end", "emotion"):
                print(event.kind, getattr(event.data, "label", ""))
        await speaking


asyncio.run(main())
