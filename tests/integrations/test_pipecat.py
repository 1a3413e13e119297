"""rtemo inside real pipelines of pipecat, at the pace of real time."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.api import Spoof
from rtemo.config import Config
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import FakePlugin, delay, gain

pytest.importorskip("pipecat", reason="pipecat-ai is not installed: the extra pipecat")

from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.vad.vad_analyzer import VADParams, VADState
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMMessagesAppendFrame,
    MetricsFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from rtemo.integrations import pipecat as ours
from rtemo.integrations.spoof_gate import SpoofGate

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CALL = Path(__file__).parents[2] / "examples" / "call.flac"
FRAME = 320


class Collector(FrameProcessor):
    """The end of a pipeline: keeps every frame that comes, and calls somebody for each."""

    def __init__(self, on_frame: Callable[[Frame], None] | None = None) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._on_frame = on_frame

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction == FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
            if self._on_frame is not None:
                self._on_frame(frame)
        await self.push_frame(frame, direction)

    def of(self, kind: type) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    @property
    def audio(self) -> np.ndarray:
        return np.concatenate([np.frombuffer(frame.audio, np.int16) for frame in self.of(InputAudioRawFrame)])


def audio_frame(pcm: np.ndarray, rate_hz: int = 16_000) -> InputAudioRawFrame:
    return InputAudioRawFrame(audio=pcm.astype(np.int16).tobytes(), sample_rate=rate_hz, num_channels=1)


async def run(
    processors: list[FrameProcessor],
    feed: Callable[[PipelineWorker], Any],
    *,
    on_started: Callable[[], None] = lambda: None,
    metrics: bool = False,
) -> None:
    worker = PipelineWorker(
        Pipeline(processors),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
        params=PipelineParams(enable_metrics=metrics),
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _(worker: PipelineWorker, frame: StartFrame) -> None:
        on_started()
        started.set()

    async def feeding() -> None:
        await asyncio.wait_for(started.wait(), 1.0)
        await feed(worker)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), feeding())


async def at_pace(worker: PipelineWorker, sound: np.ndarray, rate_hz: int = 16_000, every: Any = None) -> None:
    """Give 20 ms every 20 ms."""
    size = rate_hz // 50
    begun_s = time.monotonic()
    for index, at in enumerate(range(0, len(sound) - size + 1, size)):
        await worker.queue_frame(audio_frame(sound[at : at + size], rate_hz))
        if every is not None:
            await every(index)
        await asyncio.sleep(max(0.0, begun_s + (index + 1) * 0.02 - time.monotonic()))


@pytest.fixture
def chain_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    def make(*plugins: FakePlugin) -> Config:
        named = {plugin.spec.name: plugin for plugin in plugins}
        monkeypatch.setattr("rtemo.session.make", lambda name, options=None: named[name])
        return Config(chain=tuple(named), engine=EngineOptions(capacity=8))

    return make


def caller(begin_s: float, end_s: float) -> np.ndarray:
    audio, rate_hz = soundfile.read(CALL, dtype="int16", always_2d=True)
    return np.ascontiguousarray(audio[round(begin_s * rate_hz) : round(end_s * rate_hz), 0])


def ramp(count: int) -> np.ndarray:
    return (2 * (1 + np.arange(count) % 8_000)).astype(np.int16)  # even, so that half of it is exact


def test_a_pipeline_starts_while_the_engine_still_warms_up(chain_of: Callable[..., Config]) -> None:
    def slow(context: Any, capacity: int) -> Any:
        time.sleep(1.5)
        return gain("half", 0.5).open(context, capacity)

    hearing = ours.Hearing(chain_of(FakePlugin(gain("half", 0.5).spec, slow)))
    was_ready: list[bool] = []

    async def main() -> Collector:
        end = Collector()
        processor = ours.RtemoProcessor(hearing)

        async def feed(worker: PipelineWorker) -> None:
            await at_pace(worker, ramp(10 * FRAME))

        try:
            await run([processor, end], feed, on_started=lambda: was_ready.append(hearing.is_ready))
        finally:
            await hearing.close()
        return end

    end = asyncio.run(main())
    assert was_ready == [False]
    assert np.array_equal(end.audio, ramp(10 * FRAME))  # as it came


def test_audio_comes_back_as_the_chain_made_it_at_the_declared_delay_and_an_interruption_takes_nothing(
    chain_of: Callable[..., Config],
) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320), gain("half", 0.5)))
    sound = ramp(100 * FRAME)

    async def main() -> tuple[Collector, ours.RtemoProcessor]:
        end, processor = Collector(), ours.RtemoProcessor(hearing)
        await hearing.ready()

        async def feed(worker: PipelineWorker) -> None:
            async def interrupt(index: int) -> None:
                if index in (30, 31, 60):
                    await worker.queue_frame(InterruptionFrame())

            await at_pace(worker, sound, every=interrupt)

        try:
            await run([processor, end], feed)
        finally:
            await hearing.close()
        return end, processor

    end, processor = asyncio.run(main())
    late = round(processor.latency_s * 16_000)
    assert late == 320 + 160 + FRAME  # the chain, the margin, a frame
    frames = end.of(InputAudioRawFrame)
    assert [len(frame.audio) for frame in frames[:100]] == [2 * FRAME] * 100
    out = end.audio
    assert len(out) == len(sound) + late  # the end of it was flushed
    assert not out[:late].any()
    heard = out[late:]
    is_half = heard == sound // 2
    is_plain = heard == sound
    assert (is_half | is_plain).all()  # nothing lost, doubled or out of place, whether or not the engine was in time
    assert is_half.mean() > 0.5  # the rest is as it came, where the engine was late on a busy machine
    assert processor.ear is not None
    assert processor.ear.plain_samples < 0.5 * processor.ear.exchanged_samples


def test_another_rate_keeps_its_place_too(chain_of: Callable[..., Config]) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320)))
    time_s = np.arange(24_000 * 2) / 24_000
    sound = (8_000 * np.sin(2 * np.pi * 200 * time_s) * np.minimum(1, time_s)).astype(np.int16)

    async def main() -> tuple[np.ndarray, int]:
        end, processor = Collector(), ours.RtemoProcessor(hearing)
        await hearing.ready()
        try:
            await run([processor, end], lambda worker: at_pace(worker, sound, 24_000))
        finally:
            await hearing.close()
        return end.audio, round(processor.latency_s * 24_000)

    out, late = asyncio.run(main())
    heard = out[late : late + len(sound)].astype(np.float64)
    assert np.abs(heard[2_400:-2_400] - sound[2_400:-2_400]).max() < 400  # 5 %


def test_of_two_channels_the_mean_is_heard_and_comes_back_on_both(chain_of: Callable[..., Config]) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320), gain("half", 0.5)))
    left, right = ramp(75 * FRAME), np.full(75 * FRAME, 400, np.int16)
    both = np.stack([left, right], axis=1)

    async def main() -> tuple[Collector, ours.RtemoProcessor]:
        end, processor = Collector(), ours.RtemoProcessor(hearing)
        await hearing.ready()

        async def feed(worker: PipelineWorker) -> None:
            begun_s = time.monotonic()
            for index in range(75):
                pcm = both[index * FRAME : (index + 1) * FRAME]
                await worker.queue_frame(InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=16_000, num_channels=2))
                await asyncio.sleep(max(0.0, begun_s + (index + 1) * 0.02 - time.monotonic()))

        try:
            await run([processor, end], feed)
        finally:
            await hearing.close()
        return end, processor

    end, processor = asyncio.run(main())
    assert processor.problem is None
    assert {frame.num_channels for frame in end.of(InputAudioRawFrame)} == {2}
    out = end.audio.reshape(-1, 2)
    assert np.array_equal(out[:, 0], out[:, 1])
    late = round(processor.latency_s * 16_000)
    heard, mean = out[late:, 0].astype(int), both.mean(axis=1)
    is_half = np.abs(heard - mean / 2) <= 1
    assert (is_half | (np.abs(heard - mean) <= 1)).all()
    assert is_half.mean() > 0.5


def test_a_rate_that_changes_within_a_call_is_heard_on_at_the_new_one(chain_of: Callable[..., Config]) -> None:
    hearing = ours.Hearing(chain_of(delay("late", 320), gain("half", 0.5)))

    def tone(rate_hz: int) -> np.ndarray:
        return (8_000 * np.sin(2 * np.pi * 200 * np.arange(rate_hz * 2) / rate_hz)).astype(np.int16)

    async def main() -> tuple[Collector, ours.RtemoProcessor, list[int]]:
        end, processor = Collector(), ours.RtemoProcessor(hearing, call="c1")
        await hearing.ready()
        open_s: list[int] = []

        async def feed(worker: PipelineWorker) -> None:
            await at_pace(worker, tone(16_000))
            await at_pace(worker, tone(8_000), 8_000)
            assert processor.ear is not None
            open_s.append(int(processor.ear.is_open))

        try:
            await run([processor, end], feed)
        finally:
            await hearing.close()
        return end, processor, open_s

    end, processor, is_open = asyncio.run(main())
    assert processor.problem is None
    assert is_open == [1]
    frames = end.of(InputAudioRawFrame)
    after = [np.frombuffer(frame.audio, np.int16) for frame in frames if frame.sample_rate == 8_000]
    assert [len(part) for part in after[:100]] == [160] * 100
    heard = np.concatenate(after)
    first = heard[: 8_000 // 20]
    assert np.abs(first).max() > 3_500  # what was held back goes on, without silence between
    level = np.sqrt(np.mean(heard[8_000:15_000].astype(float) ** 2))
    assert level == pytest.approx(4_000 / np.sqrt(2), rel=0.1)  # heard and made half as loud
    spectrum = np.abs(np.fft.rfft(heard[8_000:16_000].astype(float)))
    assert np.argmax(spectrum) == 200


def test_a_rate_that_changes_again_and_again_is_told_once_in_one_line() -> None:
    hearing = ours.Hearing(Config(chain=("level",)))

    async def main() -> tuple[ours.RtemoProcessor, Collector]:
        end, processor = Collector(), ours.RtemoProcessor(hearing)
        await hearing.ready()

        async def feed(worker: PipelineWorker) -> None:
            for index in range(40):
                rate_hz = (16_000, 8_000)[index % 2]
                await worker.queue_frame(audio_frame(ramp(rate_hz // 50), rate_hz))
                await asyncio.sleep(0.005)

        try:
            await run([processor, end], feed)
        finally:
            await hearing.close()
        return processor, end

    processor, end = asyncio.run(main())
    assert "the rate of the audio has changed 8 times" in str(processor.problem)
    assert len(end.of(InputAudioRawFrame)) == 40  # and goes on as it came


def test_a_frame_that_holds_no_whole_samples_of_its_channels_is_told_and_goes_on() -> None:
    hearing = ours.Hearing(Config(chain=("level",)))
    errors: list[str] = []

    class Watcher(FrameProcessor):
        """Hears the errors that go upstream."""

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, ErrorFrame):
                errors.append(frame.error)
            await self.push_frame(frame, direction)

    async def main() -> Collector:
        end = Collector()
        await hearing.ready()

        async def feed(worker: PipelineWorker) -> None:
            for _ in range(3):
                frame = InputAudioRawFrame(audio=bytes(642), sample_rate=16_000, num_channels=2)
                await worker.queue_frame(frame)
            await asyncio.sleep(0.2)

        try:
            await run([Watcher(), ours.RtemoProcessor(hearing), end], feed)
        finally:
            await hearing.close()
        return end

    end = asyncio.run(main())
    assert len(end.audio) == 3 * 321
    (error,) = errors
    assert "a frame of 642 bytes does not hold 16-bit samples of 2 channels" in error


def test_frames_tell_mood_rank_turn_and_its_end_and_a_colleague_is_only_timed() -> None:
    chain = ("level", "vad", "prosody", "turntaking", "merit", "gem", "ranker")
    hearing = ours.Hearing(Config(chain=chain))
    sound = caller(6.0, 13.5)
    states: list[EndOfTurnState] = []

    async def main() -> tuple[Collector, Collector, list[bool], list[str]]:
        ends = Collector(), Collector()
        user, agent = ours.RtemoProcessor(hearing), ours.RtemoProcessor(hearing, role="agent")
        analyzer = ours.RtemoTurnAnalyzer(user)
        analyzer.set_sample_rate(8_000)
        notes: list[str] = []

        class Strategy(FrameProcessor):
            """What a stop strategy of pipecat asks of its analyzer."""

            async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
                await super().process_frame(frame, direction)
                if isinstance(frame, InputAudioRawFrame):
                    loud = np.abs(np.frombuffer(frame.audio, np.int16)).max() > 1_500
                    states.append(analyzer.append_audio(frame.audio, bool(loud)))
                    notes.append(user.note)
                await self.push_frame(frame, direction)

        await hearing.ready()
        try:
            await asyncio.gather(
                run([user, Strategy(), ends[0]], lambda worker: at_pace(worker, sound, 8_000)),
                run([agent, ends[1]], lambda worker: at_pace(worker, sound, 8_000)),
            )
        finally:
            await hearing.close()
        return *ends, [user.problem is None], notes

    end, other, fine, notes = asyncio.run(main())
    assert fine == [True]
    assert end.of(ours.EmotionFrame)
    assert {frame.rank.attribute for frame in end.of(ours.RankFrame)} >= {"arousal", "valence"}
    assert end.of(ours.SpoofFrame)[0].ruling.action in ("pass", "doubt", "challenge")
    turns = end.of(ours.TurnFrame)
    assert turns
    assert turns[0].turn.emotion is not None
    assert turns[0].turn.latency_s is not None
    assert turns[0].note.startswith("[caller sounds ")
    assert any(frame.end_of_turn.is_over for frame in end.of(ours.EndOfTurnFrame))
    assert EndOfTurnState.COMPLETE in states
    assert any(notes)
    assert other.of(ours.TurnFrame)
    for kind in (ours.EmotionFrame, ours.RankFrame, ours.SpoofFrame, ours.EndOfTurnFrame):
        assert not other.of(kind)
    assert all(frame.turn.emotion is None and frame.note == "" for frame in other.of(ours.TurnFrame))


def test_the_model_reads_how_a_turn_was_said_once_and_the_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing = ours.Hearing(Config(chain=("level",)))
    monkeypatch.setattr(ours.RtemoProcessor, "note", "[caller sounds angry (70% sure)]")

    async def main() -> tuple[Collector, LLMContext]:
        processor, end = ours.RtemoProcessor(hearing), Collector()
        context = LLMContext([{"role": "system", "content": "Be brief."}])
        pair = LLMContextAggregatorPair(context)

        async def feed(worker: PipelineWorker) -> None:
            message: Any = {"role": "user", "content": "Where is my parcel?"}
            await worker.queue_frame(LLMMessagesAppendFrame(messages=[message], run_llm=True))
            await worker.queue_frame(LLMContextFrame(context=context))  # sent again, as after a tool's answer
            await asyncio.sleep(0.1)

        try:
            await run([processor, pair.user(), ours.RtemoAnnotator(processor), end], feed)
        finally:
            await hearing.close()
        return end, context

    end, context = asyncio.run(main())
    assert len(end.of(LLMContextFrame)) == 2
    assert context.get_messages()[-1] == {
        "role": "user",
        "content": "Where is my parcel?\n[caller sounds angry (70% sure)]",
    }
    assert context.get_messages()[0] == {"role": "system", "content": "Be brief."}


def test_a_role_that_the_policy_refuses_passes_unheard_and_says_why() -> None:
    hearing = ours.Hearing(Config(chain=("level",), policy=rtemo.Config().policy.__class__(others="refuse")))
    sound = ramp(20 * FRAME)

    async def main() -> tuple[Collector, ours.RtemoProcessor]:
        end, processor = Collector(), ours.RtemoProcessor(hearing, role="agent")
        await hearing.ready()
        try:
            await run([processor, end], lambda worker: at_pace(worker, sound))
        finally:
            await hearing.close()
        return end, processor

    end, processor = asyncio.run(main())
    assert "role 'agent' is not analysed" in str(processor.problem)
    assert np.array_equal(end.audio, sound)


def test_metrics_reach_the_observers_of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtemo.integrations.pipecat.processor._METRICS_S", 0.1)
    hearing = ours.Hearing(Config(chain=("level",)))

    async def main() -> Collector:
        end = Collector()
        await hearing.ready()
        try:
            await run(
                [ours.RtemoProcessor(hearing), end], lambda worker: at_pace(worker, ramp(25 * FRAME)), metrics=True
            )
        finally:
            await hearing.close()
        return end

    found = [data for frame in asyncio.run(main()).of(MetricsFrame) for data in frame.data]
    (*_, last) = [data for data in found if isinstance(data, ours.RtemoMetricsData)]
    assert last.callers == 1
    assert last.latency_s == 0.0  # this chain enhances nothing
    assert 0.0 < last.exchange_p99_us < 20_000


def test_the_detector_stands_in_pipecats_place_for_one() -> None:
    sound = caller(6.0, 12.0)

    async def main() -> list[VADState]:
        analyzer = ours.RtemoVADAnalyzer(params=VADParams(min_volume=0.0, stop_secs=0.4))
        analyzer.set_sample_rate(8_000)
        assert await analyzer.analyze_audio(bytes(320)) == VADState.QUIET  # not yet loaded: no voice, no waiting
        assert await asyncio.to_thread(analyzer.detector.wait, 60.0)
        states = [await analyzer.analyze_audio(sound[at : at + 160].tobytes()) for at in range(0, len(sound), 160)]
        await analyzer.cleanup()
        return states

    states = asyncio.run(main())
    assert {VADState.QUIET, VADState.SPEAKING} <= set(states)
    speaking = np.array([state in (VADState.SPEAKING, VADState.STOPPING) for state in states])
    assert 0.2 < speaking.mean() < 0.95


def test_a_gate_of_ones_own_decides() -> None:
    processor = ours.RtemoProcessor(ours.Hearing(Config(chain=("level",))), gate=SpoofGate(on_unknown="challenge"))
    assert processor.ruling.action == "challenge"
    processor.is_proven = True
    assert processor.ruling.action == "doubt"
    assert processor.gate.judge(Spoof(score=0.0, verdict="bona_fide")).action == "pass"
