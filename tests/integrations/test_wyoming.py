"""WyomingSource with real Wyoming clients over real connections."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.api import Finding, LaneSpec, PluginSpec, Transcript
from rtemo.config import Config

pytest.importorskip("wyoming", reason="wyoming is not installed: the extra wyoming")

from wyoming.asr import Transcribe
from wyoming.asr import Transcript as SaidEvent
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.vad import VoiceStarted, VoiceStopped

from rtemo.integrations.wyoming.options import WyomingOptions
from rtemo.integrations.wyoming.source import WyomingSource
from tests.engine.plugins import FakePlugin, FakeProcessor, gain

pytestmark = pytest.mark.e2e

CALL = Path(__file__).parents[2] / "examples" / "call.flac"


@contextlib.asynccontextmanager
async def server(config: Config, **options: Any) -> AsyncIterator[int]:
    source = WyomingSource(WyomingOptions(endpoint="tcp://127.0.0.1:*", **options))
    async with rtemo.AsyncSession(config, sources=[source]):
        while source.endpoint is None:
            await asyncio.sleep(0.01)
        yield source.endpoint.port


async def until(client: AsyncTcpClient, kind: str, timeout_s: float = 20.0) -> list[Event]:
    """Read until an event of a kind has come."""
    found: list[Event] = []
    async with asyncio.timeout(timeout_s):
        while not found or found[-1].type != kind:
            event = await client.read_event()
            assert event is not None, [one.type for one in found]
            found.append(event)
    return found


async def speak(client: AsyncTcpClient, sound: np.ndarray, rate_hz: int, *, pace: bool = True) -> None:
    await client.write_event(AudioStart(rate_hz, 2, 1).event())
    size = rate_hz // 20
    for at in range(0, len(sound), size):
        await client.write_event(AudioChunk(rate_hz, 2, 1, audio=sound[at : at + size].tobytes()).event())
        if pace:
            await asyncio.sleep(0.05)
    await client.write_event(AudioStop().event())


def caller(begin_s: float, end_s: float) -> np.ndarray:
    audio, rate_hz = soundfile.read(CALL, dtype="int16", always_2d=True)
    return np.ascontiguousarray(audio[round(begin_s * rate_hz) : round(end_s * rate_hz), 0])


def test_a_client_hears_when_somebody_speaks_and_how() -> None:
    async def main() -> list[Event]:
        async with (
            server(Config(chain=("level", "vad", "prosody", "merit"))) as port,
            AsyncTcpClient("127.0.0.1", port) as client,
        ):
            await speak(client, caller(6.0, 11.0), 8_000)
            return await until(client, VoiceStopped().event().type)

    events = asyncio.run(main())
    started = next(VoiceStarted.from_event(event) for event in events if VoiceStarted.is_type(event.type))
    stopped = VoiceStopped.from_event(events[-1])
    assert started.timestamp is not None
    assert stopped.timestamp is not None
    assert 0 <= started.timestamp < stopped.timestamp <= 5_100
    moods = [event.data for event in events if event.type == "rtemo-emotion"]
    assert moods
    assert set(moods[-1]) >= {"label", "arousal", "valence", "confidence", "start", "end"}
    assert "kind" not in moods[-1]


def test_describe_is_answered_with_what_is_switched_on() -> None:
    async def ask(**options: Any) -> Info:
        async with server(Config(chain=("level",)), **options) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Describe().event())
            (event,) = await until(client, "info")
            await client.write_event(Ping(text="still there?").event())
            (pong,) = await until(client, "pong")
            assert Pong.from_event(pong).text == "still there?"
            return Info.from_event(event)

    bare = asyncio.run(ask())
    assert not any((bare.asr, bare.mic, bare.tts, bare.wake, bare.satellite))
    full = asyncio.run(ask(words=True, enhanced=True))
    assert (full.asr[0].name, full.asr[0].installed, full.asr[0].requires_external_vad) == ("rtemo", True, False)
    assert "en" in full.asr[0].models[0].languages
    assert (full.mic[0].mic_format.rate, full.mic[0].mic_format.width) == (16_000, 2)


def test_audio_comes_back_as_the_chain_made_it_to_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtemo.session.make", lambda name, options=None: gain("half", 0.5))
    sound = (2 * (1 + np.arange(16_123) % 8_000)).astype(np.int16)

    async def main() -> list[Event]:
        async with server(Config(chain=("half",)), enhanced=True) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await speak(client, sound, 16_000)
            return await until(client, "audio-stop")

    events = asyncio.run(main())
    assert events[0].type == "audio-start"
    chunks = [AudioChunk.from_event(event) for event in events if event.type == "audio-chunk"]
    assert chunks[0].timestamp == 0
    heard = np.concatenate([np.frombuffer(chunk.audio, np.int16) for chunk in chunks])
    whole = heard[: len(sound)]
    assert (whole == sound[: len(whole)] // 2).mean() > 0.9  # live: a busy machine may make hops up


def writing() -> FakePlugin:
    """Writes down one text for every window."""

    def make(context: Any, capacity: int) -> Any:
        def tell(finding: Finding, emit: Any) -> None:
            said = Transcript(text="turn on the lamp", is_final=True, language="en")
            emit(finding.stream, said, finding.start_sample, finding.end_sample)

        spec = LaneSpec(name="words", window_s=2.0, stride_s=0.9, least_s=0.5)
        context.lane(spec, lambda lent, options: lambda windows: ["x"] * len(windows), tell)
        return FakeProcessor()

    return FakePlugin(PluginSpec(name="writes", emits=(Transcript,)), make)


def test_a_client_that_asks_gets_the_text_after_audio_stop_and_one_that_may_not_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtemo.session.make", lambda name, options=None: writing())

    async def main(words: bool) -> Event:
        async with server(Config(chain=("writes",)), words=words) as port, AsyncTcpClient("127.0.0.1", port) as client:
            await client.write_event(Transcribe(language="en").event())
            if not words:
                return (await until(client, "error"))[-1]
            await speak(client, np.zeros(16_000, np.int16), 16_000)
            return (await until(client, "transcript"))[-1]

    said = SaidEvent.from_event(asyncio.run(main(True)))
    assert (said.text, said.language) == ("turn on the lamp", "en")
    assert asyncio.run(main(False)).data["text"] == "this server does not write words down"


def test_a_connection_brings_one_stream_after_the_other() -> None:
    async def main() -> list[str]:
        async with (
            server(Config(chain=("level",)), findings=("level",)) as port,
            AsyncTcpClient("127.0.0.1", port) as client,
        ):
            kinds = []
            for _ in range(2):
                await speak(client, np.zeros(24_000, np.int16), 16_000)
                kinds.append((await until(client, "rtemo-level"))[-1].type)
            return kinds

    assert asyncio.run(main()) == ["rtemo-level"] * 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "no JSON"),
        (b"[1]\n", "no object"),
        (b'{"data": {}}\n', "without a type"),
        (b'{"type": "audio-chunk", "payload_length": 99999999999}\n', "at most"),
        (b'{"type": "audio-chunk", "payload_length": -5}\n', "at most"),
        (b'{"type": "audio-start", "data": {"rate": 1e99, "width": 2, "channels": 1}}\n', "Hz"),
        (b'{"type": "audio-start", "data": {"rate": 16000, "width": 4, "channels": 2}}\n', "width 4 and 2 channels"),
        (b'{"type": "' + b"x" * 70_000 + b'"}\n', "64 KiB"),
    ],
)
def test_what_is_no_wyoming_is_closed_with_one_line_and_hurts_nobody(data: bytes, told: str) -> None:
    async def main() -> tuple[bytes, bool]:
        async with server(Config(chain=("level",))) as port, AsyncTcpClient("127.0.0.1", port) as good:
            bad = socket.create_connection(("127.0.0.1", port))
            bad.sendall(data)
            bad.settimeout(5.0)
            answer = b""
            with contextlib.suppress(OSError):
                while piece := await asyncio.to_thread(bad.recv, 4096):
                    answer += piece
            await good.write_event(Ping(text="x").event())
            return answer, bool(await until(good, "pong"))

    answer, is_fine = asyncio.run(main())
    assert is_fine
    head, _, text = answer.partition(b"\n")
    assert json.loads(head)["type"] == "error"
    assert told in json.loads(text)["text"]


def test_the_source_is_found_by_name_and_stops_with_the_session() -> None:
    from rtemo.extensions import SOURCES, installed, load_from

    cls: Any = load_from(installed(SOURCES), SOURCES, "wyoming")
    assert cls is WyomingSource
