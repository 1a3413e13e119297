"""Chain: the plugins in order, checked when it is built and kept alive when one of them fails."""

import threading
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    AudioDemand,
    Block,
    Emit,
    Finding,
    GivesWay,
    HopFlag,
    LateHearer,
    Mark,
    Plugin,
    PluginError,
    PluginSpec,
    ResetReason,
    RtemoError,
    StreamFormat,
)
from rtemo.engine.chain_order import check
from rtemo.engine.clock import Clock
from rtemo.engine.event_log import EventLog
from rtemo.engine.lane import Lane
from rtemo.engine.lanes import Lanes
from rtemo.engine.loan import Loan
from rtemo.engine.outlet import Outlet, kinds_of
from rtemo.engine.plugin_loan import ChainContext, PluginLoan
from rtemo.engine.selection import Selection
from rtemo.engine.stage import MarkTable, Stage
from rtemo.engine.stream import Stream
from rtemo.engine.trouble import describe, is_theirs, problem_of, quietly


class TurnLost(Exception):  # noqa: N818 - it is a message to the driver thread, not a fault
    """The driver thread that receives this was given up by the watchdog and must end without touching anything."""


class Turn:
    """The right to run the chain: exactly one driver thread holds it; the watchdog can pass it on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holder = 0
        self.stage: int | None = None
        self.stage_start_ns = 0
        self.is_telling = False
        """Whether a plugin is at a finding of its lane, between two ticks."""


def _is_audio_read(specs: Sequence[PluginSpec], index: int, lanes: Lanes | None) -> bool:
    """Tell whether a plugin of the chain always wants what the one at `index` hands on."""
    later = any(spec.reads_audio for spec in specs[index + 1 :])
    return later or (lanes is not None and lanes.hear_processed)


class Chain:
    """Ordered processors over one block.

    Args:
        plugins: Configured plugins in order.
        context: Format and models that plugins are lent when they are opened.
        capacity: Rows of every table.
        clock: Time for the stamps.
        emit_for: Makes the `emit` function of a plugin from its name.
        on_fault: Called on the driver thread with plugin name and problem when a processor raises.
        on_surplus: Called on the driver thread for every event that is left out since its plugin says too much, with
            the plugin's name, whom it is about, and the problem when it is the first for a while.
        lanes: Where plugins ask for worker lanes; opened with the chain.
        streams: The stream of each row, always that of now.
        audio_demand: Whether anybody outside wants the audio that leaves the chain.

    Attributes:
        log: What plugins have said since the last tick.
        left_out_turns: Turns of plugins that were given up, and hops whose audio was wanted and not made.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin],
        context: ChainContext,
        capacity: int,
        clock: Clock,
        emit_for: Callable[[str], Emit],
        on_fault: Callable[[str, str], None],
        on_surplus: Callable[[str, int | Stream | None, str], None],
        lanes: Lanes | None = None,
        streams: Sequence[Stream] = (),
        audio_demand: AudioDemand = "always",
    ) -> None:
        specs = [plugin.spec for plugin in plugins]
        check(specs)
        kinds = kinds_of(specs)
        self.format: StreamFormat = context.format
        self.stages: list[Stage] = []
        self.turn = Turn()
        self.left_out_turns = 0
        self.n = 0
        self._clock = clock
        self._on_fault = on_fault
        self._outlets: list[Outlet] = []
        self._block: Block | None = None
        self._known_audio = b""  # what the block's samples hold, while nobody may have edited them
        self._tables: list[MarkTable] = []
        self._count_tables: list[int] = []
        self._doubts = MarkTable(Mark("doubted", "bool", unknown=False), capacity)
        hearing = [index for index, plugin in enumerate(plugins) if plugin.spec.hears_input]
        self._heard = np.zeros((capacity, self.format.hop_samples), np.float32) if hearing else None
        self._selection = Selection(capacity, self.format.hop_samples, bool(hearing))
        self.log = EventLog(specs, streams, self._selection)
        self._is_wanted_by_all: NDArray[np.bool_] = np.ones(capacity, np.bool_)
        self._is_wanted_by_none: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        for array in (self._is_wanted_by_all, self._is_wanted_by_none):
            array.flags.writeable = False
        for index, plugin in enumerate(plugins):
            settings = Context()
            wanted = "always" if _is_audio_read(specs, index, lanes) else audio_demand
            try:
                loan = PluginLoan(context, plugin.spec, lanes, wanted, specs[:index], specs[index + 1 :])
                processor = settings.run(plugin.open, loan, capacity)
            except RtemoError:
                self.close()
                raise
            except BaseException as error:
                self.close()
                if not is_theirs(error):
                    raise
                raise PluginError(
                    f"plugin {plugin.spec.name!r} cannot be opened ({describe(error)})", "take it out of `chain`"
                ) from error
            if isinstance(processor, LateHearer):
                self.log.late_hearers.add(index)
            heard = self._heard if hearing and index < hearing[-1] else None
            stage = Stage(plugin.spec, processor, self.format, capacity, list(self._tables), heard, settings)
            stage.is_read = wanted == "always"
            if wanted == "never":
                stage.keep_no_audio()
            self._tables += stage.tables
            self._count_tables.append(len(self._tables))
            self.stages.append(stage)
            name = plugin.spec.name
            emit, drop = emit_for(name), partial(on_surplus, name)
            self._outlets.append(Outlet(stage, index, emit, drop, self._doubts, self._selection, self.log, kinds))
        if lanes is None:
            return
        try:
            lanes.open(frozenset(table.mark.name for table in self._tables))
        except RtemoError:
            self.close()
            raise
        self.log.keep(lanes.waits_for)
        for stage in self.stages:
            stage.lanes = [lane.worker for lane in lanes.all if lane.plugin == stage.spec.name]

    @property
    def latency_samples(self) -> int:
        """Delay of the audio through all plugins together."""
        return sum(stage.spec.latency_samples for stage in self.stages if stage.spec.edits_audio)

    def having(self, what: GivesWay) -> list[Stage]:
        """Running plugins that have a thing to give up; audio that nobody will ever hear is none."""
        stages = [stage for stage in self.stages if what in stage.spec.gives_way and not stage.is_bypassed]
        return [stage for stage in stages if what != "enhancement" or stage.has_audio]

    def marks(self, n: int) -> MappingProxyType[str, NDArray[np.generic]]:
        """Views of all marks for n rows; who would put another array in its place fails there, not whoever reads it."""
        return MappingProxyType({table.mark.name: table.values[:n] for table in self._tables})

    def heard(self, n: int) -> NDArray[np.float32] | None:
        """View of the audio as it entered the chain for n rows; None when no plugin wants it."""
        return None if self._heard is None else self._heard[:n]

    def doubts(self, n: int) -> NDArray[np.bool_]:
        """View of what plugins hold against n rows, bool [n]."""
        doubts: NDArray[np.bool_] = self._doubts.values[:n]  # type: ignore[assignment]
        return doubts

    def process(self, block: Block, ready_ns: int, holder: int) -> int:
        """Run all stages over a block, in place.

        Args:
            block: One hop of n streams.
            ready_ns: When the audio was there.
            holder: Number of the driver thread that calls.

        Returns:
            Index of the stage that took longest, for charging an xrun; -1 without stages.

        Raises:
            TurnLost: The watchdog has passed the turn on while a stage was running.
        """
        slowest, slowest_ns = -1, -1
        self._block = block
        is_audio_wanted = block.is_audio_wanted
        self._known_audio = b""
        if self._heard is not None:
            self._heard[: block.n] = block.samples
        for index, stage in enumerate(self.stages):
            start_ns = self._clock.now_ns()
            stage.remember(block)
            if stage.is_bypassed or stage.is_out:
                self.left_out_turns += 0 if stage.is_bypassed else block.n
                stage.was_skipped = not stage.is_bypassed
                stage.bypass(block)
                stage.shift(block)
                self._known_audio = b"" if stage.spec.edits_audio else self._known_audio
                continue
            self._take(holder, index, start_ns)
            block.events = self.log.heard_by(index) if stage.spec.hears else ()
            block.thrift = stage.thrift
            wanted = self._is_wanted_by_all[: block.n] if stage.is_read else is_audio_wanted
            if stage.mix.is_plain:
                self.left_out_turns += int(np.count_nonzero(wanted))
                wanted = self._is_wanted_by_none[: block.n]
            block.is_audio_wanted = wanted
            if stage.is_timing or self._selection.is_all:
                problem = self._run(holder, index, block)
            else:
                problem = self._run_selected(holder, index, block)
            if problem:
                stage.is_bypassed = True
                self._on_fault(stage.spec.name, problem)
                stage.bypass(block)
            else:
                stage.finish(block)
            stage.shift(block)
            self._known_audio = b"" if stage.spec.edits_audio else self._known_audio
            busy_ns = self._clock.now_ns() - start_ns
            stage.busy.add(busy_ns)
            stage.wait.add(start_ns - ready_ns)
            if busy_ns > slowest_ns:
                slowest, slowest_ns = index, busy_ns
        block.is_audio_wanted = is_audio_wanted
        return slowest

    def leave_out(self, what: GivesWay) -> None:
        """Do without a thing from the next hop on, in whatever plugin gives way in it."""
        for stage in self.having(what):
            stage.leave_out(what)

    def take_back(self, what: GivesWay, holder: int) -> None:
        """Have a thing again from the next hop on; whoever was not called meanwhile begins anew.

        Raises:
            TurnLost: The watchdog has passed the turn on meanwhile.
        """
        for index, stage in enumerate(self.stages):
            was_out = stage.is_out
            stage.take_back(what)
            if was_out and not (stage.is_out or stage.is_bypassed):
                rows = np.arange(self.n if stage.is_timing else self._selection.count)
                self._let_speak(index, partial(stage.processor.reset, rows, ResetReason.DISCONTINUITY), holder)

    def tell(self, findings: Sequence[tuple[Lane, Finding]], holder: int) -> None:
        """Let plugins say what their lanes found; one that raises is bypassed.

        Raises:
            TurnLost: The watchdog has passed the turn on meanwhile.
        """
        for lane, finding in findings:
            index = next(i for i, stage in enumerate(self.stages) if stage.spec.name == lane.plugin)
            if not self.stages[index].is_bypassed:
                self._let_speak(index, partial(lane.tell, finding, self._outlets[index]), holder)

    def hear(self, holder: int) -> None:
        """Let plugins that hear late take in what lanes found of streams that have left.

        Raises:
            TurnLost: The watchdog has passed the turn on meanwhile.
        """
        for index in sorted(self.log.late_hearers):
            processor: Any = self.stages[index].processor
            events = self.log.heard_by(index, late=True)
            if events and not (self.stages[index].is_bypassed or self.stages[index].is_out):
                self._let_speak(index, partial(processor.hear, events, self._outlets[index]), holder)
        self.log.settle()

    def _let_speak(self, index: int, speak: Callable[[], None], holder: int) -> None:
        """Have a stage say or do something between two ticks; one that raises is bypassed."""
        stage, outlet = self.stages[index], self._outlets[index]
        self.turn.is_telling = True
        self._take(holder, index, self._clock.now_ns())
        problem = problem_of(partial(stage.settings.run, speak))
        problem = outlet.problem or problem
        self._take(holder, None, 0)
        self.turn.is_telling = False
        if problem:
            stage.is_bypassed = True
            self._on_fault(stage.spec.name, problem)

    def admit(self, row: int, analysis: str = "person") -> None:
        """Prepare a row in every stage; plugins about persons never meet a stream whose `analysis` is `timing`."""
        self.n += 1
        self._doubts.forget_row(row)
        place = self._selection.admit(row, analysis == "person")
        self._each("admit", lambda stage: stage.admit(row, row if stage.is_timing else place))

    def retire(self, row: int) -> None:
        """Forget a row in every stage; the last row takes its place."""
        last = self.n - 1
        self._doubts.values[row] = self._doubts.values[last]
        places = self._selection.retire(row, last)
        self._each("retire", lambda stage: stage.retire(row, last, (row, last) if stage.is_timing else places))
        self.n -= 1

    def give_up(self, index: int, problem: str) -> None:
        """Bypass a stage whose processor does not return; it may wake later, so all marks it can reach are left to it.

        The hop it holds is lost: it is in the stage's audio delay already, so marks and flags follow.
        """
        stage = self.stages[index]
        stage.is_bypassed = stage.is_hung = True
        for table in (*self._tables, self._doubts):
            table.values = table.values.copy()
        self._selection.renew()
        if self._block is not None and not self.turn.is_telling:
            stage.shift(self._block)
        self.turn.is_telling = False
        self._on_fault(stage.spec.name, problem)

    def close(self) -> None:
        """Close every processor that still answers."""
        for stage in self.stages:
            if not stage.is_hung:
                with quietly():
                    stage.settings.run(stage.processor.close)

    def _run_selected(self, holder: int, index: int, block: Block) -> str:
        """Run a stage over the streams it may hear; to all others it is as if it were bypassed."""
        stage, selection = self.stages[index], self._selection
        tables = self._tables[: self._count_tables[index]]
        part = selection.gather(block, tables)
        problem = self._run(holder, index, part) if part.n else ""
        self._take(holder, None, 0)
        if not problem:
            stage.bypass(block)
            selection.scatter(part, block, stage.tables, stage.spec.edits_audio)
        return problem

    def _run(self, holder: int, index: int, block: Block) -> str:
        """Let a stage work on a block; tells what is wrong with what it did."""
        stage, emit = self.stages[index], self._outlets[index]
        emit.budget.refill(block.n)
        flags = block.flags.copy()
        if stage.was_skipped:
            stage.was_skipped = False
            block.flags |= np.uint8(HopFlag.DISCONTINUITY)
        is_whole = block is self._block
        loan = Loan(block, stage.spec.edits_audio, self._known_audio if is_whole else b"")
        problem = problem_of(partial(stage.settings.run, stage.processor.process, block, emit))
        self._take(holder, None, 0)  # one that was given up meanwhile ends here: others work on these arrays by now
        breach = loan.recall()
        if is_whole:
            self._known_audio = loan.audio
        block.flags[:] = flags
        return emit.problem or problem or breach

    def _take(self, holder: int, stage: int | None, start_ns: int) -> None:
        with self.turn.lock:
            if self.turn.holder != holder:
                raise TurnLost
            self.turn.stage = stage
            self.turn.stage_start_ns = start_ns

    def _each(self, verb: str, act: Callable[[Stage], None]) -> None:
        for stage in self.stages:
            try:
                act(stage)
            except BaseException as error:
                if not is_theirs(error):
                    raise
                stage.is_bypassed = True
                self._on_fault(stage.spec.name, f"{verb}: {describe(error)}")
                act(stage)  # the stage's own tables still need the row; the processor is left out now
