"""Stage: one processor in its place in the chain, with its delays, marks and timings."""

from contextvars import Context

import numpy as np
from numpy.typing import NDArray

from rtemo.api import THRIFT, Block, GivesWay, HopFlag, Mark, PluginSpec, PluginTiming, Processor, StreamFormat
from rtemo.engine.delay import AudioDelay, HopDelay, PositionDelay
from rtemo.engine.lane_worker import LaneWorker
from rtemo.engine.mix import Mix
from rtemo.engine.stats import Histogram

_LAST = np.uint8(HopFlag.LAST)
_IN_PART: frozenset[GivesWay] = frozenset({"enhancement", "rate"})
"""What a plugin gives up and goes on."""


class MarkTable:
    """One mark's values for all rows, and the view that stages see."""

    def __init__(self, mark: Mark, capacity: int) -> None:
        self.mark = mark
        self.values: NDArray[np.generic] = np.full((capacity, *mark.shape), mark.unknown, dtype=mark.dtype)

    def forget(self, n: int) -> None:
        """Write what stands for unknown into the first n rows."""
        self.values[:n] = self.mark.unknown

    def forget_row(self, row: int) -> None:
        """Write what stands for unknown into one row."""
        self.values[row] = self.mark.unknown


class Stage:
    """A running processor and everything the chain needs to replace it when it fails.

    Attributes:
        spec: The plugin's facts.
        processor: The running plugin.
        tables: Marks this stage provides.
        is_timing: Whether its findings are about who speaks when, and so may be about anybody.
        is_read: Whether a plugin or a lane wants the audio it hands on, all of it.
        is_bypassed: Whether the processor is no longer called.
        is_hung: Whether it never returned from its last call, so that it cannot be closed either.
        is_left_out: Whether it is given up as a whole for want of time.
        thrift: How many times less often than usual it is to tell what it finds.
        mix: What of the audio that it makes goes on.
        busy: Time spent in the processor, per tick.
        wait: Time between the tick being ready and the processor's start.
        xruns: Late ticks charged to this stage.
        lanes: Slow work that its plugin asked for.
        settings: In which all its code runs, so that what it sets for itself (`numpy.seterr`, `decimal`) stays with it.

    Args:
        spec: The plugin's facts.
        processor: The running plugin.
        format: Of the audio.
        capacity: Rows.
        earlier: Marks of the stages before.
        heard: float32 [capacity, hop_samples], the audio as it entered the chain, when a later stage wants it.
        settings: In which it was opened.
    """

    def __init__(
        self,
        spec: PluginSpec,
        processor: Processor,
        format: StreamFormat,
        capacity: int,
        earlier: list[MarkTable],
        heard: NDArray[np.float32] | None = None,
        settings: Context | None = None,
    ) -> None:
        self.settings = settings or Context()
        self.spec = spec
        self.processor = processor
        self.is_timing = spec.analyses == "timing"
        self.is_read = True
        self.is_bypassed = False
        self.is_hung = False
        self.was_skipped = False
        self.is_left_out = False
        self.thrift = 1
        self.mix = Mix(format.hop_samples)
        self._given_up: frozenset[GivesWay] = frozenset()
        self.busy = Histogram()
        self.wait = Histogram()
        self.xruns = 0
        self.lanes: list[LaneWorker] = []
        self.tables = [MarkTable(mark, capacity) for mark in spec.provides]
        self._audio: AudioDelay | None = None
        self._late_marks: list[tuple[MarkTable, HopDelay]] = []
        self._late_flags: HopDelay | None = None
        self._late_positions: PositionDelay | None = None
        self._heard = heard
        self._late_heard: AudioDelay | None = None
        if not spec.edits_audio:
            return
        self._audio = AudioDelay(capacity, format.hop_samples, spec.latency_samples)
        if spec.latency_samples:
            self._late_positions = PositionDelay(capacity, format.hop_samples, spec.latency_samples)
            if heard is not None:
                self._late_heard = AudioDelay(capacity, format.hop_samples, spec.latency_samples)
        # Later stages see audio that is this much older, so what earlier ones said about it is held back too.
        delay_hops = round(spec.latency_samples / format.hop_samples)
        if delay_hops:
            self._late_marks = [
                (table, HopDelay(capacity, table.mark.shape, table.values.dtype, table.mark.unknown, delay_hops))
                for table in earlier
            ]
            self._late_flags = HopDelay(capacity, (), np.dtype(np.uint8), 0, delay_hops)

    def keep_no_audio(self) -> None:
        """Do without the delayed input: nobody will ever want what a bypass would play."""
        self._audio = None

    @property
    def has_audio(self) -> bool:
        """Whether somebody may hear the audio it makes."""
        return self._audio is not None

    @property
    def is_out(self) -> bool:
        """Whether it is not called: it is left out, none of its audio is heard any more, and it has no lanes.

        Who has lanes notes in the tick what their windows are about; what costs time is the lanes.
        """
        return self.is_left_out and not self.lanes and (self._audio is None or self.mix.is_plain)

    def leave_out(self, what: GivesWay) -> None:
        """Do without a thing from the next hop on."""
        self._change(self._given_up | {what})

    def take_back(self, what: GivesWay) -> None:
        """Have a thing again from the next hop on."""
        self._change(self._given_up - {what})

    def _change(self, given_up: frozenset[GivesWay]) -> None:
        was_plain, is_plain = (bool(ways - {"rate"}) for ways in (self._given_up, given_up))
        self._given_up = given_up
        self.is_left_out = bool(given_up - _IN_PART)
        self.thrift = THRIFT if "rate" in given_up else 1
        if self._audio is not None and is_plain != was_plain:
            (self.mix.leave if is_plain else self.mix.come_back)()

    def finish(self, block: Block) -> None:
        """Let go on what may of what the processor has made: of its audio, and of marks that rest on its lanes."""
        if not self.mix.is_idle and self._audio is not None:
            self.mix.apply(block.samples, self._audio)
        if self.lanes and (self.is_left_out or any(lane.is_down for lane in self.lanes)):
            self.forget_marks(block.n)

    def remember(self, block: Block) -> None:
        """Keep the audio before the processor touches it, so that a bypass has something to play."""
        if self._audio is not None:
            self._audio.push(block.samples)

    def bypass(self, block: Block) -> None:
        """Stand in for the processor: audio with equal delay, marks unknown."""
        if self._audio is not None:
            self._audio.pull(block.samples)
        self.forget_marks(block.n)

    def forget_marks(self, n: int) -> None:
        """Let the marks of n rows read unknown."""
        for table in self.tables:
            table.forget(n)

    def shift(self, block: Block) -> None:
        """Move positions, marks, flags and what entered the chain to where the delayed audio now is."""
        if self._late_positions is None:
            return
        self._late_positions.exchange(block.start_sample)
        if self._late_heard is not None and self._heard is not None:
            self._late_heard.exchange(self._heard[: block.n])
        for table, delay in self._late_marks:
            delay.exchange(table.values[: block.n])
        if self._late_flags is not None:
            last = block.flags & _LAST  # at the end of the stream, whatever audio has come out by then
            held = block.flags & ~_LAST
            self._late_flags.exchange(held)
            block.flags[:] = held | last

    def admit(self, row: int, place: int | None) -> None:
        """Prepare a fresh row everywhere; a bypassed processor is left alone.

        Args:
            row: Row in the block.
            place: Row among those that the processor sees; None when it does not see this one.
        """
        if place is not None and not self.is_bypassed:
            self.settings.run(self.processor.admit, place)
        for table in self.tables:
            table.forget_row(row)
        for delay in self._delays():
            delay.admit(row)

    def retire(self, row: int, last: int, places: tuple[int, int] | None) -> None:
        """Compact a row everywhere; `places` is the same among the rows that the processor sees, None for neither."""
        if places is not None and not self.is_bypassed:
            self.settings.run(self.processor.retire, *places)
        for table in self.tables:
            table.values[row] = table.values[last]
        for delay in self._delays():
            delay.retire(row, last)

    def _delays(self) -> list[AudioDelay | HopDelay | PositionDelay]:
        delays: list[AudioDelay | HopDelay | PositionDelay] = [delay for _, delay in self._late_marks]
        others = (self._audio, self._late_heard, self._late_flags, self._late_positions)
        return delays + [delay for delay in others if delay is not None]

    def timing(self, hop_ns: int) -> PluginTiming:
        """Tell how long it takes, over the ticks since the times were cleared."""
        return PluginTiming(
            name=self.spec.name,
            busy_p50_us=self.busy.percentile_ns(50) / 1e3,
            busy_p99_us=self.busy.percentile_ns(99) / 1e3,
            busy_max_us=self.busy.max_ns / 1e3,
            wait_p50_us=self.wait.percentile_ns(50) / 1e3,
            load=self.busy.mean_ns() / hop_ns,
            xruns=self.xruns,
            state="bypassed" if self.is_bypassed else "left out" if self.is_left_out else "running",
        )
