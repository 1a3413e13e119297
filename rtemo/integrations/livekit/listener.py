"""RtemoListener: hears one participant, and tells what is found out through LiveKit's own emitter of events."""

import asyncio
import logging

from livekit import rtc

from rtemo.aio.turn import Turn
from rtemo.api import Challenge, Emotion, EndOfTurn, Event, Payload, Rank, Rationale, RtemoError, Spoof, Transcript
from rtemo.api.events import kind_of
from rtemo.integrations.annotation import annotate
from rtemo.integrations.ear import Ear
from rtemo.integrations.hearing import Hearing
from rtemo.integrations.mixing import mixed, spread
from rtemo.integrations.spoof_gate import Ruling, SpoofGate

_TOLD: tuple[type[Payload], ...] = (Emotion, Rank, Spoof, Challenge, EndOfTurn, Transcript, Rationale)
_LOG = logging.getLogger("rtemo.integrations")
_KINDS = frozenset({*map(kind_of, _TOLD), "turn"})


class RtemoListener(rtc.EventEmitter[str]):
    """Hears the frames it is given; handlers get an `rtemo.api.Event` of their kind, and for `turn` an `rtemo.Turn`.

    `problem` is emitted with the reason when nothing can be found out.

    `hear` never waits: the engine warms up in a thread, and until it is ready frames come back as they were, equally
    late. It is made in a running event loop, or started in one by the first frame.

    Of frames with several channels the mean is heard; a chain that enhances puts that on all of them. Where the rate of
    the frames changes, the stream of the participant ends and another one of the same name begins.

    Args:
        hearing: The engine; several sessions of a process share one. One of its own with the defaults when None, which
            ends with `aclose`.
        call: Name of the call.
        role: Who speaks; the policy decides what may be found out.
        gate: What is to be done about the risk that the voice is synthetic.

    Attributes:
        is_proven: Set it once the caller has given the proof that the gate asked for.
        problem: Why nothing is found out; None while there is no reason.
    """

    def __init__(
        self, hearing: Hearing | None = None, *, call: str = "call", role: str = "user", gate: SpoofGate | None = None
    ) -> None:
        super().__init__()
        self.gate = gate or SpoofGate()
        self.is_proven = False
        self.problem: RtemoError | None = None
        self._owns_hearing = hearing is None
        self.hearing = hearing or Hearing()
        self._call = call
        self._role = role
        self._ear: Ear | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_over = False
        self.hearing.start()

    @property
    def latency_s(self) -> float:
        """By how much frames come back later; 0 where the chain enhances nothing."""
        return 0.0 if self._ear is None else self._ear.latency_s

    @property
    def ruling(self) -> Ruling:
        """What the gate says by now."""
        turn = self._latest()
        return self.gate.judge(None if turn is None else turn.spoof, is_proven=self.is_proven)

    @property
    def note(self) -> str:
        """A line about the turn that goes on, or the last one, for a language model; may be empty."""
        turn = self._latest()
        return "" if turn is None else annotate(turn, self.ruling)

    def hear(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        """Give a frame to the engine and take one that is as long, enhanced, of `latency_s` ago."""
        if self._is_over or self.problem is not None:
            return frame
        rate_hz, count = frame.sample_rate, frame.num_channels
        try:
            pcm = mixed(frame.data.cast("B"), count)
            if self._ear is None:
                self._ear = self.hearing.ear(self._call, sample_rate_hz=rate_hz, role=self._role)
                self._task = asyncio.get_running_loop().create_task(self._listen())
            ear = self._ear = self._ear.at_rate(rate_hz)
            given = ear.exchange(pcm)
        except RtemoError as error:  # refused by the policy, there is no room, or it is no audio
            self._fail(error)
            return frame
        if given is pcm:
            return frame
        return rtc.AudioFrame(spread(given, count), rate_hz, count, frame.samples_per_channel, userdata=frame.userdata)

    def end(self) -> None:
        """Say that the participant has gone; may be called twice."""
        self._is_over = True
        if self._ear is not None:
            self._ear.end()

    async def aclose(self) -> None:
        """End, tell what belongs to the last turn, and stop an engine of its own."""
        self.end()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=2.0)
            self._task.cancel()
        if self._owns_hearing:
            await self.hearing.close()

    def _latest(self) -> Turn | None:
        return None if self._ear is None else self._ear.latest()

    async def _listen(self) -> None:
        heard: Ear | None = None
        try:
            while (ear := self._ear) is not None and ear is not heard:  # another one where the rate has changed
                heard = ear
                async for found in ear.findings():
                    kind = "turn" if isinstance(found, Turn) else found.kind
                    if kind in _KINDS:
                        self._tell(kind, found)
        except RtemoError as error:
            self._fail(error)

    def _tell(self, kind: str, found: Event | Turn) -> None:
        try:
            self.emit(kind, found)
        except Exception as error:  # a handler that cannot be called takes nothing along
            _LOG.warning("a handler of %r has failed (%s: %s)", kind, type(error).__name__, error)

    def _fail(self, error: RtemoError) -> None:
        self.problem = error
        self.emit("problem", error)
