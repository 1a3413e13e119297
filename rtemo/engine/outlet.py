"""Outlet: what a plugin says is checked where it is said, so that nobody behind it can be brought down by it."""

import math
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from rtemo.api import (
    SHARED_TYPES,
    Emit,
    Fault,
    Health,
    Overload,
    Payload,
    PluginError,
    PluginSpec,
    SessionEnd,
    SessionStart,
    StreamEnd,
    StreamFacts,
    StreamStart,
    is_payload_type,
    kind_of,
)
from rtemo.engine.event_budget import EventBudget
from rtemo.engine.event_log import EventLog
from rtemo.engine.selection import Selection
from rtemo.engine.stage import MarkTable, Stage
from rtemo.engine.stream import Stream

_ENGINE_ONLY = frozenset({SessionStart, SessionEnd, StreamStart, StreamEnd, Health, Overload})
_FARTHEST_SAMPLE = 1 << 62
_MOST_ITEMS = 10_000
_LONGEST_CHARS = 100_000


def kinds_of(specs: Sequence[PluginSpec]) -> dict[str, type[Payload]]:
    """Give the type of every kind that is declared: the known ones, and those that plugins say they emit.

    Raises:
        PluginError: What one emits is no event, is the engine's to send, or has the kind of another type.
    """
    types, sayer = dict(SHARED_TYPES), dict.fromkeys(SHARED_TYPES, "")
    for spec in specs:
        for cls in spec.emits:
            if not is_payload_type(cls):
                name = getattr(cls, "__name__", repr(cls))
                raise PluginError(
                    f"plugin {spec.name!r} says that it emits {name}, which is no event",
                    'its author must make it a msgspec.Struct with tag_field="kind" and a tag that is a name',
                )
            kind = kind_of(cls)
            if cls in _ENGINE_ONLY:
                raise PluginError(f"plugin {spec.name!r} says that it emits {kind!r}, which only the engine may send")
            if types.setdefault(kind, cls) is not cls:
                owner = f"plugin {sayer[kind]!r}" if sayer[kind] else "rtemo.api"
                raise PluginError(
                    f"plugin {spec.name!r} emits events of the kind {kind!r}, which in {owner} are of another type",
                    "keep one of the plugins in `chain`" if sayer[kind] else "its author must choose another tag",
                )
            sayer.setdefault(kind, spec.name)
    return types


def checked(
    data: object, emits: Collection[type[Payload]] = (), kinds: Mapping[str, type[Payload]] = SHARED_TYPES
) -> Payload:
    """Give a payload as plain Python values of the declared types, whatever numbers it was made of.

    Costs some microseconds per event, nothing per hop.

    Args:
        data: What somebody says.
        emits: Types that he has declared; empty when he has declared none.
        kinds: Kind → type, of all kinds that somebody has declared.

    Raises:
        PluginError: It is no payload, one that only the engine may send, of a type that was not declared, or a field is
            of another type than declared, not finite, or endless.
    """
    cls: Any = type(data)
    if not is_payload_type(cls) or kinds.get(kind_of(cls), cls) is not cls:
        raise PluginError(
            f"it emitted {cls.__name__}, expected an event payload of rtemo.api or a struct with a `kind` of its own"
        )
    if cls in _ENGINE_ONLY:
        raise PluginError(f"it emitted {kind_of(cls)!r}, which only the engine may send")
    if emits and cls not in emits:
        raise PluginError(f"it emitted {kind_of(cls)!r}, which is not among what it says it `emits`")
    try:
        values = msgspec.to_builtins(data, enc_hook=_as_builtin)
        _check_numbers(values)
        payload: Payload = msgspec.convert(values, cls)
        return payload
    except (msgspec.ValidationError, TypeError, ValueError, OverflowError, RecursionError, AttributeError) as error:
        raise PluginError(f"it emitted {kind_of(cls)!r} with a wrong value ({error})") from None


def checked_report(data: object) -> Payload:
    """Give what a source reports, `checked`; a report that is none becomes a fault, since its audio goes on."""
    try:
        return checked(data)
    except PluginError as error:
        return Fault(where="source", problem=error.problem, action="dropped")


class Outlet:
    """What a processor emits through; shut once it is bypassed, whatever thread it still has running.

    Args:
        stage: Whose it is.
        index: Its place in the chain.
        emit: Where events go; refuses positions that the stream has not reached.
        drop: Receives of whom an event was that there is no room for, and a sentence the first time.
        doubts: What guarding plugins hold against each row.
        selection: Rows of plugins about persons.
        log: Keeps what others hear.
        kinds: Kind → type, of all kinds that are declared in the chain.

    Attributes:
        budget: How much it may say; to be refilled with every hop.
        problem: What was wrong with what it said; it is to be bypassed then, even if it caught the exception.
    """

    __slots__ = (
        "_doubts", "_drop", "_emit", "_emits", "_index", "_kinds", "_log", "_selection", "_stage", "budget", "problem",
    )  # fmt: skip

    def __init__(
        self,
        stage: Stage,
        index: int,
        emit: Emit,
        drop: Callable[[int | Stream | None, str], None],
        doubts: MarkTable,
        selection: Selection,
        log: EventLog,
        kinds: Mapping[str, type[Payload]],
    ) -> None:
        self._stage = stage
        self._index = index
        self._emit = emit
        self._drop = drop
        self._emits = frozenset(stage.spec.emits)
        self._doubts = doubts
        self._selection = selection
        self._log = log
        self._kinds = kinds
        self.budget = EventBudget()
        self.problem = ""

    def __call__(self, row: int | StreamFacts | None, data: Payload, start_sample: int, end_sample: int) -> None:
        """Hand an event on; see `rtemo.api.Emit`.

        Raises:
            PluginError: Row, positions or payload are none.
        """
        if self._stage.is_bypassed:
            return
        try:
            start, end = _position(start_sample), _position(end_sample)
            if start > end:
                raise PluginError(f"it emitted an event that ends at sample {end} and begins later, at {start}")
            stream = row if isinstance(row, Stream) else None
            place = self._place_of(stream) if stream is not None else None if row is None else self._place(row)
            about = place if stream is None else stream
            if not self.budget.take():
                self._leave_out(about)
                return
            data = checked(data, self._emits, self._kinds)
            trusted = getattr(type(data), "trust_field", "")
            if trusted and self._doubts_about(stream, place):
                data = msgspec.structs.replace(data, **{trusted: False})
            self._emit(about, data, start, end)
        except PluginError as error:
            self.problem = error.problem
            raise
        wanted = self._log.wanted[self._index]
        if wanted and kind_of(data) in wanted:
            self._log.add(self._index, stream, place, data, start, end)

    def _leave_out(self, about: int | Stream | None) -> None:
        problem = "" if self.budget.is_overdrawn else "it emits more events than there is room for; some are left out"
        self.budget.is_overdrawn = True
        self._drop(about, problem)

    def _doubts_about(self, stream: Stream | None, place: int | None) -> bool:
        """Whether a stream is doubted: by what its row says, or, once it has left, by what that said last."""
        if place is not None:
            return bool(self._doubts.values[place])
        return stream is not None and stream.is_doubted

    def _place_of(self, stream: Stream) -> int | None:
        """Find the row of a stream, if it still has one: what is found later names the stream itself."""
        if not (self._stage.is_timing or stream.analysis == "person"):
            raise PluginError(f"it emitted about call {stream.call!r}, of which only the timing may be known")
        return stream.row

    def _place(self, row: Any) -> int:
        """Find the row of the block: a plugin about persons counts only those that it may hear."""
        selection = self._selection
        is_timing = self._stage.is_timing
        count = selection.total if is_timing else selection.count
        try:
            number = operator.index(row)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            raise PluginError(f"it emitted about row {row!r}, expected 0 to {count - 1}")
        return number if is_timing else int(selection.rows[number])


def _position(value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise PluginError(f"it emitted position {value!r}, expected a whole number of samples") from None
    if not -_FARTHEST_SAMPLE < number < _FARTHEST_SAMPLE:
        raise PluginError(f"it emitted position {number}, which no stream reaches")
    return number


def _as_builtin(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written in an event")


def _check_numbers(values: Any) -> None:
    """Refuse numbers that are not finite, and more values or longer texts than an event can mean."""
    waiting, count = [values], 0
    while waiting:
        value = waiting.pop()
        count += 1
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):
                raise ValueError(f"a number is {value}")
        elif kind is dict:
            waiting.extend(value.values())
        elif kind is list or kind is tuple:
            waiting.extend(value)
        elif kind is str and len(value) > _LONGEST_CHARS:
            raise ValueError(f"a text has {len(value)} characters, at most {_LONGEST_CHARS} are taken")
        if count > _MOST_ITEMS:
            raise ValueError(f"it has more than {_MOST_ITEMS} values")
