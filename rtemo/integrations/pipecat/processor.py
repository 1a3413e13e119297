"""RtemoProcessor: the place of rtemo in a pipeline, behind the input and before whatever recognises speech."""

import asyncio
import time
from collections import deque

import numpy as np
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    MetricsFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from rtemo.aio.turn import Turn
from rtemo.api import Challenge, Emotion, EndOfTurn, Event, Rank, RtemoError, Spoof
from rtemo.integrations.annotation import annotate
from rtemo.integrations.ear import Ear
from rtemo.integrations.hearing import Hearing
from rtemo.integrations.mixing import mixed, spread
from rtemo.integrations.pipecat.frames import (
    ChallengeFrame,
    EmotionFrame,
    EndOfTurnFrame,
    RankFrame,
    SpoofFrame,
    TurnFrame,
)
from rtemo.integrations.pipecat.metrics import RtemoMetricsData
from rtemo.integrations.spoof_gate import Ruling, SpoofGate

_METRICS_S = 5.0
_KEPT_TIMES = 2_000
_LAST_S = 2.0  # for what belongs to the last turn


class RtemoProcessor(FrameProcessor):
    """Hears the caller: audio frames go on enhanced and `latency_s` late, and frames tell what was found out.

    It never holds the `StartFrame` up: the engine warms up in a thread, and until it is ready audio goes on as it came,
    equally late, so that nothing jumps when it is.

    Of frames with several channels the mean is heard; a chain that enhances puts that on all of them. Where the rate of
    the frames changes, the stream of the caller ends and another one of the same name begins.

    Args:
        hearing: The engine; several pipelines of a process share one. One of its own with the defaults when None,
            which ends with the pipeline.
        call: Name of the call; that of the processor when empty.
        role: Who speaks; the policy decides what may be found out.
        gate: What is to be done about the risk that the voice is synthetic.
        name: Of the processor.

    Attributes:
        ear: The caller's; None until audio comes, and another one where its rate changes.
        is_proven: Set it once the caller has given the proof that the gate asked for.
        problem: Why nothing is found out: a role that the policy refuses, an engine that is full, audio that is none.
        exchange_times_us: How long the last frames of audio took in it.
        last_end_of_turn: The last that was said of an end of turn, with the number of its event.
    """

    def __init__(
        self,
        hearing: Hearing | None = None,
        *,
        call: str = "",
        role: str = "user",
        gate: SpoofGate | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.ear: Ear | None = None
        self.gate = gate or SpoofGate()
        self.is_proven = False
        self.problem: RtemoError | None = None
        self.last_end_of_turn: tuple[int, EndOfTurn] | None = None
        self._owns_hearing = hearing is None
        self.hearing = hearing or Hearing()
        self._call = call
        self._role = role
        self.exchange_times_us: deque[float] = deque(maxlen=_KEPT_TIMES)
        self._listening: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._is_over = False
        self._count_channels = 1
        self._is_problem_told = False

    def can_generate_metrics(self) -> bool:
        """Whether it sends metrics."""
        return True

    @property
    def latency_s(self) -> float:
        """By how much the audio is handed on later than it came; 0 where the chain enhances nothing."""
        return 0.0 if self.ear is None else self.ear.latency_s

    @property
    def ruling(self) -> Ruling:
        """What the gate says by now."""
        turn = None if self.ear is None else self.ear.latest()
        return self.gate.judge(None if turn is None else turn.spoof, is_proven=self.is_proven)

    @property
    def note(self) -> str:
        """A line about the turn that goes on, or the last one, for a language model; may be empty."""
        turn = None if self.ear is None else self.ear.latest()
        return "" if turn is None else annotate(turn, self.ruling)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame, and hand it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.hearing.start()
            self._listening = self.create_task(self._listen())
            if self.metrics_enabled:
                self._measuring = self.create_task(self._measure())
        elif isinstance(frame, InputAudioRawFrame) and direction == FrameDirection.DOWNSTREAM:
            self._exchange(frame)
            if self.problem is not None:
                await self._tell_problem()
        elif isinstance(frame, EndFrame):
            await self._finish("end", flushes=True)
        elif isinstance(frame, CancelFrame):
            await self._finish("cancelled", flushes=False)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Let the caller go."""
        await super().cleanup()
        await self._finish("cleaned up", flushes=False)
        if self._owns_hearing:
            await self.hearing.close()

    def _exchange(self, frame: InputAudioRawFrame) -> None:
        """Put the audio that is due in the place of a frame's audio."""
        begun_ns = time.perf_counter_ns()
        if self._is_over or self.problem is not None:
            return
        rate_hz = frame.sample_rate
        try:
            pcm = mixed(frame.audio, frame.num_channels)
            if self.ear is None:
                self.ear = self.hearing.ear(self._call or self.name, sample_rate_hz=rate_hz, role=self._role)
            ear = self.ear = self.ear.at_rate(rate_hz)
            given = ear.exchange(pcm)
        except RtemoError as error:  # refused by the policy, there is no room, or it is no audio
            self.problem = error
            return
        self._count_channels = frame.num_channels
        if given is not pcm:
            frame.audio = spread(given, frame.num_channels)
        self.exchange_times_us.append((time.perf_counter_ns() - begun_ns) / 1e3)

    async def _listen(self) -> None:
        """Turn events into frames until the caller has gone."""
        try:
            await self.hearing.ready()
        except RtemoError as error:
            self.problem = error
        while self.ear is None and not self._is_over and self.problem is None:
            await asyncio.sleep(0.02)
        if self.problem is not None:
            await self._tell_problem()
            return
        heard: Ear | None = None
        while (ear := self.ear) is not None and ear is not heard:  # another one where the rate has changed
            heard = ear
            async for found in ear.findings():
                if isinstance(found, Turn):
                    ruling = self.gate.judge(found.spoof, is_proven=self.is_proven)
                    await self.push_frame(TurnFrame(turn=found, note=annotate(found, ruling)))
                else:
                    await self._tell(found)

    async def _tell_problem(self) -> None:
        if not self._is_problem_told:
            self._is_problem_told = True
            await self.push_error(f"rtemo finds nothing out: {self.problem}")

    async def _tell(self, event: Event) -> None:
        data = event.data
        if isinstance(data, Emotion):
            await self.push_frame(EmotionFrame(emotion=data, event=event))
        elif isinstance(data, Rank):
            await self.push_frame(RankFrame(rank=data, event=event))
        elif isinstance(data, Spoof):
            ruling = self.gate.judge(data, is_proven=self.is_proven)
            await self.push_frame(SpoofFrame(spoof=data, ruling=ruling, event=event))
        elif isinstance(data, Challenge):
            await self.push_frame(ChallengeFrame(challenge=data, event=event))
        elif isinstance(data, EndOfTurn):
            self.last_end_of_turn = (event.seq, data)
            await self.push_frame(EndOfTurnFrame(end_of_turn=data, event=event))

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_S)
            await self.push_frame(MetricsFrame(data=[self.metrics()]))

    def metrics(self) -> RtemoMetricsData:
        """Tell how the ear fares."""
        ear = self.ear
        health = self.hearing.session.health() if self.hearing.is_ready else None
        exchanged = 0 if ear is None else ear.exchanged_samples
        return RtemoMetricsData(
            processor=self.name,
            latency_s=self.latency_s,
            plain_share=ear.plain_samples / exchanged if ear is not None and exchanged else 0.0,
            exchange_p99_us=float(np.percentile(self.exchange_times_us, 99)) if self.exchange_times_us else 0.0,
            load=0.0 if health is None else health.load,
            callers=0 if health is None else health.streams,
        )

    async def _finish(self, reason: str, *, flushes: bool) -> None:
        """Hand on what is still held back, wait for what belongs to the last turn, and end the stream."""
        if self._is_over:
            return
        self._is_over = True
        ear = self.ear
        if ear is not None:
            if flushes:
                await self._flush(ear)
            ear.end(reason)
        if self._listening is not None:
            if flushes and ear is not None and ear.is_open:
                await asyncio.wait({self._listening}, timeout=_LAST_S)
            await self.cancel_task(self._listening)
        if self._measuring is not None:
            await self.cancel_task(self._measuring)

    async def _flush(self, ear: Ear) -> None:
        held = ear.drain()
        if held.shape[0]:
            count = self._count_channels
            frame = InputAudioRawFrame(audio=spread(held, count), sample_rate=ear.sample_rate_hz, num_channels=count)
            await self.push_frame(frame)
