"""Outlet: what a plugin says is checked where it is said, so that nobody behind it can be brought down by it."""

import functools
import math
import operator
from typing import Any

import msgspec
import numpy as np

from rtemo.api import (
    Emit,
    Emotion,
    Fault,
    Health,
    Payload,
    PluginError,
    SessionEnd,
    SessionStart,
    StreamEnd,
    StreamFacts,
    StreamStart,
    kind_of,
)
from rtemo.engine.selection import Selection
from rtemo.engine.stage import MarkTable, Stage
from rtemo.engine.stream import Stream

_OURS = {kind_of(cls): cls for cls in Payload.__args__}
_ENGINE_ONLY = frozenset({SessionStart, SessionEnd, StreamStart, StreamEnd, Health})
_FARTHEST_SAMPLE = 1 << 62
_MOST_ITEMS = 10_000
_LONGEST_CHARS = 100_000


def checked(data: object) -> Payload:
    """Give a payload as plain Python values of the declared types, whatever numbers it was made of.

    Costs some microseconds per event, nothing per hop.

    Raises:
        PluginError: It is no payload, one that only the engine may send, or a field is of another type than declared,
            not finite, or endless.
    """
    cls: Any = type(data)
    if not _is_payload(cls):
        raise PluginError(
            f"it emitted {cls.__name__}, expected an event payload of rtemo.api or a struct with a `kind` of its own"
        )
    if cls in _ENGINE_ONLY:
        raise PluginError(f"it emitted {kind_of(cls)!r}, which only the engine may send")
    try:
        values = msgspec.to_builtins(data, enc_hook=_as_builtin)
        _check_numbers(values)
        payload: Payload = msgspec.convert(values, cls)
        return payload
    except (msgspec.ValidationError, TypeError, ValueError, OverflowError, RecursionError, AttributeError) as error:
        raise PluginError(f"it emitted {kind_of(cls)!r} with a wrong value ({error})") from None


@functools.cache
def _is_payload(cls: type) -> bool:
    """Whether a type is an event of ours, or a stranger's with a kind that is not ours."""
    if not issubclass(cls, msgspec.Struct) or cls.__struct_config__.tag_field != "kind":
        return False
    kind = cls.__struct_config__.tag
    return isinstance(kind, str) and kind.isidentifier() and _OURS.get(kind, cls) is cls


def checked_report(data: object) -> Payload:
    """Give what a source reports, `checked`; a report that is none becomes a fault, since its audio goes on."""
    try:
        return checked(data)
    except PluginError as error:
        return Fault(where="source", problem=error.problem, action="dropped")


class Outlet:
    """What a processor emits through; shut once it is bypassed, whatever thread it still has running.

    Attributes:
        problem: What was wrong with what it said; it is to be bypassed then, even if it caught the exception.
    """

    __slots__ = ("_doubts", "_emit", "_selection", "_stage", "problem")

    def __init__(self, stage: Stage, emit: Emit, doubts: MarkTable, selection: Selection) -> None:
        self._stage = stage
        self._emit = emit
        self._doubts = doubts
        self._selection = selection
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
            data = checked(data)
        except PluginError as error:
            self.problem = error.problem
            raise
        if place is not None and isinstance(data, Emotion) and self._doubts.values[place]:
            data = msgspec.structs.replace(data, is_trusted=False)
        self._emit(place if stream is None else stream, data, start, end)

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
