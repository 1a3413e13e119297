"""rtemo inside the real LiveKit Agents: a session of it with local audio frames, no room and no server."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtemo.config import Config
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import FakePlugin, delay, gain

pytest.importorskip("livekit.agents", reason="livekit-agents is not installed: the extra livekit")

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt, vad
from livekit.agents.voice.io import AudioInput

from rtemo.integrations import livekit as ours

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CALL = Path(__file__).parents[2] / "examples" / "call.flac"


def frame_of(pcm: np.ndarray, rate_hz: int = 16_000) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm.astype(np.int16).tobytes(), rate_hz, 1, len(pcm))


def caller(begin_s: float, end_s: float) -> np.ndarray:
    audio, rate_hz = soundfile.read(CALL, dtype="int16", always_2d=True)
    return np.ascontiguousarray(audio[round(begin_s * rate_hz) : round(end_s * rate_hz), 0])


@pytest.fixture
def chain_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    def make(*plugins: FakePlugin) -> Config:
        named = {plugin.spec.name: plugin for plugin in plugins}
        monkeypatch.setattr("rtemo.session.make", lambda name, options=None: named[name])
        return Config(chain=tuple(named), engine=EngineOptions(capacity=8))

    return make


def test_noise_cancellation_gives_frames_back_as_the_chain_made_them(chain_of: Callable[..., Config]) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320), gain("half", 0.5)))
    sound = (2 * (1 + np.arange(100 * 320) % 8_000)).astype(np.int16)

    async def main() -> tuple[np.ndarray, int, ours.RtemoListener]:
        await hearing.ready()
        listener = ours.RtemoListener(hearing)
        processor: rtc.FrameProcessor[rtc.AudioFrame] = ours.RtemoNoiseCancellation(listener)
        out, begun_s = [], time.monotonic()
        for index in range(100):
            given = processor._process(frame_of(sound[320 * index : 320 * (index + 1)]))
            assert (given.sample_rate, given.num_channels, given.samples_per_channel) == (16_000, 1, 320)
            out.append(np.frombuffer(given.data, np.int16))
            await asyncio.sleep(max(0.0, begun_s + (index + 1) * 0.02 - time.monotonic()))
        processor.enabled = False
        frame = frame_of(np.ones(320))
        assert processor._process(frame) is frame
        processor._close()
        await listener.aclose()
        await hearing.close()
        return np.concatenate(out), round(listener.latency_s * 16_000), listener

    out, late, listener = asyncio.run(main())
    assert listener.problem is None
    assert late == 320 + 160 + 320
    heard, was = out[late:], sound[: len(out) - late]
    is_half, is_plain = heard == was // 2, heard == was
    assert (is_half | is_plain).all()
    assert is_half.mean() > 0.5


def test_two_channels_are_heard_as_their_mean_and_come_back_as_two(chain_of: Callable[..., Config]) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320), gain("half", 0.5)))
    problems: list[Any] = []

    async def main() -> tuple[np.ndarray, np.ndarray, ours.RtemoListener]:
        await hearing.ready()
        listener = ours.RtemoListener(hearing)
        listener.on("problem", problems.append)
        out: dict[int, list[np.ndarray]] = {16_000: [], 8_000: []}
        begun_s = time.monotonic()
        for index in range(150):
            rate_hz = 16_000 if index < 75 else 8_000  # and the rate changes on the way
            size = rate_hz // 50
            pcm = np.stack([np.full(size, 3_000), np.full(size, 1_000)], axis=1).astype(np.int16)
            given = listener.hear(rtc.AudioFrame(pcm.tobytes(), rate_hz, 2, size))
            assert (given.sample_rate, given.num_channels, given.samples_per_channel) == (rate_hz, 2, size)
            out[rate_hz].append(np.frombuffer(given.data, np.int16).reshape(-1, 2))
            await asyncio.sleep(max(0.0, begun_s + (index + 1) * 0.02 - time.monotonic()))
        await listener.aclose()
        await hearing.close()
        return np.concatenate(out[16_000]), np.concatenate(out[8_000]), listener

    first, second, listener = asyncio.run(main())
    assert not problems
    assert listener.problem is None
    for heard in (first, second):
        assert np.array_equal(heard[:, 0], heard[:, 1])
        end = heard[-len(heard) // 3 :, 0]
        assert (np.abs(end - 1_000) <= 60).mean() > 0.5  # the mean of both, made half as loud


def test_speech_begins_and_ends_for_livekit_with_its_frames() -> None:
    sound = caller(6.0, 12.0)

    async def main() -> list[vad.VADEvent]:
        stream = ours.RtemoVAD().stream()
        for at in range(0, len(sound), 160):
            stream.push_frame(frame_of(sound[at : at + 160], 8_000))
        stream.end_input()
        return [event async for event in stream]

    events = asyncio.run(main())
    kinds = [event.type for event in events if event.type != vad.VADEventType.INFERENCE_DONE]
    assert kinds[0] == vad.VADEventType.START_OF_SPEECH
    assert kinds == [vad.VADEventType.START_OF_SPEECH, vad.VADEventType.END_OF_SPEECH] * (len(kinds) // 2)
    end = next(event for event in events if event.type == vad.VADEventType.END_OF_SPEECH)
    assert 0.3 < end.speech_duration < 6.0
    assert sum(frame.duration for frame in end.frames) >= end.speech_duration
    judged = [event for event in events if event.type == vad.VADEventType.INFERENCE_DONE]
    assert {event.speaking for event in judged} == {True, False}
    assert max(event.probability for event in judged) > 0.9


def test_a_flush_begins_a_new_segment() -> None:
    sound = caller(6.0, 9.0)

    async def main() -> list[vad.VADEventType]:
        stream = ours.RtemoVAD().stream()
        for at in range(0, len(sound), 160):
            stream.push_frame(frame_of(sound[at : at + 160], 8_000))
            if at == 160 * 75:
                stream.flush()
        await asyncio.sleep(0)
        stream.end_input()
        return [event.type async for event in stream if event.type != vad.VADEventType.INFERENCE_DONE]

    kinds = asyncio.run(main())
    assert kinds.count(vad.VADEventType.START_OF_SPEECH) == kinds.count(vad.VADEventType.END_OF_SPEECH) >= 2


class Microphone(AudioInput):
    """Local frames at the pace of real time."""

    def __init__(self, sound: np.ndarray, rate_hz: int) -> None:
        super().__init__(label="local")
        self._parts = [sound[at : at + rate_hz // 50] for at in range(0, len(sound), rate_hz // 50)]
        self._rate_hz = rate_hz
        self._begun_s: float | None = None
        self._index = 0

    async def __anext__(self) -> rtc.AudioFrame:
        self._begun_s = self._begun_s or time.monotonic()
        await asyncio.sleep(max(0.0, self._begun_s + self._index * 0.02 - time.monotonic()))
        part = self._parts[self._index] if self._index < len(self._parts) else np.zeros(self._rate_hz // 50, np.int16)
        self._index += 1
        return frame_of(part, self._rate_hz)


class EchoStream(llm.LLMStream):
    async def _run(self) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=llm.ChoiceDelta(role="assistant", content="I see.")))


class Echo(llm.LLM):
    """Answers the same, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: Any = None, **others: Any) -> Any:
        last = [item for item in chat_ctx.items if isinstance(item, llm.ChatMessage) and item.role == "user"]
        self.asked.put_nowait(last[-1].raw_text_content or "")
        return EchoStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Recogniser(stt.STT):
    """What a session must have so that its agent's `stt_node` is asked; the agent below writes itself."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, buffer: Any, **others: Any) -> stt.SpeechEvent:
        raise NotImplementedError


class Writes(Agent):
    """An agent whose recogniser writes one sentence once it has heard three seconds."""

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: Any
    ) -> AsyncIterable[stt.SpeechEvent]:
        heard_s = 0.0
        async for frame in audio:
            before, heard_s = heard_s, heard_s + frame.duration
            if before < 3.0 <= heard_s:
                data = stt.SpeechData(language="en", text="where is my parcel", confidence=1.0)
                yield stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


class Mine(ours.RtemoAgentMixin, Writes):
    """What a user of LiveKit writes."""


def test_a_session_of_livekit_answers_with_the_mood_of_the_turn_in_view() -> None:
    hearing = ours.Hearing(Config(chain=("level", "vad", "prosody", "merit", "ranker")))

    async def main() -> tuple[str, list[Any], list[Any]]:
        moods: list[Any] = []
        turns: list[Any] = []
        await hearing.ready()
        listener = ours.RtemoListener(hearing, call="room-1")
        listener.on("emotion", lambda event: moods.append(event))
        listener.on("rank", list)  # cannot be called so, which takes nothing along
        listener.on("turn", lambda turn: turns.append(turn))
        echo = Echo()
        session: AgentSession[Any] = AgentSession(
            stt=Recogniser(), llm=echo, vad=ours.RtemoVAD(), turn_handling={"turn_detection": "vad"}
        )
        session.input.audio = Microphone(caller(6.0, 11.0), 8_000)
        agent = Mine(instructions="Be brief.")
        agent.rtemo_listener = listener
        await session.start(agent)
        asked = ""
        async with asyncio.timeout(20.0):  # LiveKit asks ahead, and once more when the message has changed
            while "[" not in asked:
                asked = await echo.asked.get()
        async with asyncio.timeout(10.0):
            while not turns:
                await asyncio.sleep(0.05)
        await session.aclose()
        await listener.aclose()
        await hearing.close()
        return asked, moods, turns

    asked, moods, turns = asyncio.run(main())
    assert asked.startswith("where is my parcel\n[caller sounds ")
    assert moods
    assert turns[0].call == "room-1"


def test_a_message_is_annotated_once() -> None:
    async def main() -> llm.ChatMessage:
        class Noted:
            note = "[caller sounds sad (80% sure)]"

        agent = Mine(instructions="x")
        agent.rtemo_listener = Noted()  # type: ignore[assignment]
        message = llm.ChatMessage(role="user", content=["hello"])
        for _ in range(2):
            await agent.on_user_turn_completed(llm.ChatContext.empty(), message)
        return message

    assert asyncio.run(main()).content == ["hello", "[caller sounds sad (80% sure)]"]
