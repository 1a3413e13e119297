"""DialoguePlugin: what the parties of a call do with its time."""

from collections import defaultdict
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Block,
    BlockEvent,
    DeadAir,
    Emit,
    HopFlag,
    Interruption,
    PluginContext,
    PluginSpec,
    ResetReason,
    SpeechEnd,
    SpeechStart,
    StreamFacts,
    StreamFormat,
    Talk,
)
from rtemo.api.units import seconds_to_hops
from rtemo_plugins.dialogue.conversation import Conversation
from rtemo_plugins.dialogue.options import DialogueOptions
from rtemo_plugins.dialogue.spans import Span

_LOOK_S = 0.1
_LATEST_S = 5.0
"""A beginning is heard at most so late: far more than a detector takes."""


class DialoguePlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[DialogueOptions]] = DialogueOptions

    def __init__(self, options: DialogueOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="dialogue",
            summary="Of calls with two parties: share of talk, talk-over, interruptions and dead air.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            analyses="timing",
            hears=("speech_start", "speech_end"),
            emits=(Talk, DeadAir, Interruption),
        )

    def open(self, context: PluginContext, capacity: int) -> "DialogueProcessor":
        """Make a processor."""
        return DialogueProcessor(self._options, context.format)


class _Member:
    """A stream of a call, its row, and where it is in its own time and in that of the call."""

    __slots__ = ("ahead", "call", "facts", "row")

    def __init__(self, facts: StreamFacts, call: "_Call") -> None:
        self.facts = facts
        self.call = call
        self.row = 0
        self.ahead = 0  # position in the stream less the call's time


class _Call:
    """A call with two parties or more.

    Attributes:
        phase: Ticks from a multiple of the time between two looks to its begin: its looks are timed from there.
        said_of: The stream of which dead air has been told that is not over; None while there is none.
        last: Number of the stream that spoke last.
    """

    __slots__ = ("conversation", "last", "members", "phase", "said_of")

    def __init__(self, conversation: Conversation, phase: int) -> None:
        self.conversation = conversation
        self.phase = phase
        self.members: dict[int, _Member] = {}
        self.said_of: _Member | None = None
        self.last = 0


class DialogueProcessor:
    """Follows the parties of every call by what is said of their speech; costs nothing while nothing is said.

    The time of all calls is that of the ticks: whatever two streams are given at once was said at once.

    Args:
        options: Of the plugin.
        format: Of all audio.
    """

    def __init__(self, options: DialogueOptions, format: StreamFormat) -> None:
        rate_hz = format.sample_rate_hz
        self._hop = format.hop_samples
        self._rate_hz = rate_hz
        self._interval = round(options.interval_s * rate_hz)
        self._dead_air = round(options.dead_air_s * rate_hz)
        self._least_over = round(options.interruption_s * rate_hz)
        self._latest = round(_LATEST_S * rate_hz)
        self._look_hops = seconds_to_hops(_LOOK_S, rate_hz, format.hop_samples)
        self._calls: dict[str, _Call] = {}
        self._members: dict[int, _Member] = {}
        self._by_phase: list[list[_Call]] = [[] for _ in range(self._look_hops)]
        self._is_changed = False
        self._now = 0

    def process(self, block: Block, emit: Emit) -> None:
        """Take in what was said of speech, and tell what is due."""
        if len(block.streams) != block.n:
            return  # the engine warms up
        self._now = (block.tick + 1) * self._hop
        if self._is_changed:
            self._is_changed = False
            self._sort(block.streams, block.tick % self._look_hops)
        if not self._members:
            return  # nobody has company
        for event in block.events:
            member = self._members.get(event.stream.id) if event.stream is not None and event.row is not None else None
            if member is not None:
                member.ahead = int(block.start_sample[event.row]) + self._hop - self._now
                self._hear(member, event, emit)
        for call in self._by_phase[block.tick % self._look_hops]:
            for member in call.members.values():
                member.ahead = int(block.start_sample[member.row]) + self._hop - self._now
            self._look(call, emit)
        for row in np.flatnonzero(block.flags & np.uint8(HopFlag.LAST)).tolist():
            member = self._members.get(block.streams[row].id)
            if member is not None:
                member.ahead = int(block.start_sample[row]) + self._hop - self._now
                self._finish(member, emit)

    def admit(self, row: int) -> None:
        """Look who it is with the next block."""
        self._is_changed = True

    def retire(self, row: int, last: int) -> None:
        """Look who is left with the next block."""
        self._is_changed = True

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Do nothing: the detector ends the turns that were going on."""

    def close(self) -> None:
        """Nothing to free."""

    def _sort(self, streams: tuple[StreamFacts, ...], phase: int) -> None:
        """Find who has come and who has gone."""
        by_call: dict[str, list[StreamFacts]] = defaultdict(list)
        for stream in streams:
            by_call[stream.call].append(stream)
        present = {stream.id for stream in streams}
        for number in [number for number in self._members if number not in present]:
            call = self._members.pop(number).call
            call.conversation.leave(number, self._now)
            del call.members[number]
            if not call.members:
                del self._calls[next(name for name, one in self._calls.items() if one is call)]
        for name, ours in by_call.items():
            known = self._calls.get(name)
            if known is None and len(ours) > 1:
                known = self._calls[name] = _Call(Conversation(self._now, self._latest), phase)
            for stream in ours if known is not None else ():
                if stream.id not in self._members:
                    self._members[stream.id] = known.members[stream.id] = _Member(stream, known)
                    known.conversation.join(stream.id, self._now)
        for row, stream in enumerate(streams):
            member = self._members.get(stream.id)
            if member is not None:
                member.row = row
        for calls in self._by_phase:
            calls.clear()
        for call in self._calls.values():
            self._by_phase[call.phase].append(call)

    def _hear(self, member: _Member, event: BlockEvent, emit: Emit) -> None:
        call, number = member.call, member.facts.id
        start, end = event.start_sample - member.ahead, event.end_sample - member.ahead
        if isinstance(event.data, SpeechStart):
            if call.said_of is not None:
                self._tell_silence(call, start, member.facts.channel, emit)
            call.conversation.begin(number, start)
            call.last = number
        elif isinstance(event.data, SpeechEnd):
            is_split = event.data.reason == "max_duration"
            call.last = number
            for found in call.conversation.end(number, Span(start, end), self._least_over, is_split):
                other = call.members[found.by]
                over_s = self._seconds(found.span.end - found.span.start)
                data = Interruption(interrupted=member.facts.channel, overlap_s=over_s)
                emit(other.facts, data, found.span.start + other.ahead, found.span.end + other.ahead)

    def _look(self, call: _Call, emit: Emit) -> None:
        """Tell what has become due with time."""
        silent_since = call.conversation.silent_since
        if silent_since is not None and call.said_of is None and self._now - silent_since >= self._dead_air:
            call.said_of = call.members.get(call.last) or next(iter(call.members.values()))
            self._tell_silence(call, self._now, None, emit)
        for number, party in call.conversation.parties.items():
            if self._now - party.told >= self._interval:
                party.told = self._now
                self._tell_talk(call.members[number], emit)

    def _finish(self, member: _Member, emit: Emit) -> None:
        """Tell the last of a stream that ends."""
        if member.call.said_of is member:
            self._tell_silence(member.call, self._now, "", emit)
        self._tell_talk(member, emit, is_final=True)

    def _tell_silence(self, call: _Call, now: int, ended_by: str | None, emit: Emit) -> None:
        """Tell of dead air that goes on, or of its end."""
        member, since = call.said_of, call.conversation.silent_since
        assert member is not None
        if since is not None:
            silence_s = self._seconds(max(0, now - since))
            data = DeadAir(silence_s=silence_s, is_over=ended_by is not None, ended_by=ended_by or "")
            emit(member.facts, data, max(0, since + member.ahead), max(0, since, now) + member.ahead)
        if ended_by is not None:
            call.said_of = None

    def _tell_talk(self, member: _Member, emit: Emit, is_final: bool = False) -> None:
        conversation, number = member.call.conversation, member.facts.id
        party, found = conversation.parties[number], conversation.figures(number, self._now)
        going_on = 0 if party.start is None else self._now - party.start
        data = Talk(
            speech_s=self._seconds(found.speech),
            share=round(found.speech / found.all_speech, 3) if found.all_speech else None,
            overlap_s=self._seconds(found.overlap),
            silence_s=self._seconds(found.silence),
            turns=party.turns,
            longest_s=self._seconds(max(party.longest, going_on)),
            interruptions=party.interruptions,
            is_final=is_final,
        )
        here = self._now + member.ahead
        emit(member.facts, data, here, here)

    def _seconds(self, samples: int) -> float:
        return round(samples / self._rate_hz, 3)
