"""Alerts: the rules of the configuration, watched on every stream."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError, StateTable
from rtemo_plugins.ranker.options import AlertRule, Condition


class Raised(NamedTuple):
    """That a rule was met."""

    row: int
    rule: str
    values: dict[str, float]
    """What its conditions looked at → what they found."""


class Alerts:
    """Watches all rules in windows of one sample, which is a fixed amount of speech.

    A condition holds when it has held over `for_s` of speech; with `release` it goes on holding until the value is back
    at that, and the rule is not told again before (hysteresis). A window is a hit when all conditions of the rule hold.
    A rule is met when `hits` of the last `windows` were hits; it is told once, and not again before `cool_down_s` of
    speech. What is unknown meets no condition.

    Args:
        rules: Of the configuration.
        attributes: What is scored.
        sample_s: Speech of a window.
        capacity: Most streams.

    Attributes:
        rules: As given.

    Raises:
        ConfigError: A rule can never be met, or speaks of what is not scored.
    """

    def __init__(self, rules: Sequence[AlertRule], attributes: Sequence[str], sample_s: float, capacity: int) -> None:
        names: set[str] = set()
        for rule in rules:
            _check(rule, attributes, names)
        self.rules = tuple(rules)
        self._watches = [_Watch(rule, attributes, sample_s) for rule in rules]
        self._table = table = StateTable(capacity)
        for index, watch in enumerate(self._watches):
            watch.held = table.add(f"held_{index}", (len(watch.rule.when),), np.int64)  # type: ignore[assignment]
            watch.hits = table.add(f"hits_{index}", (), np.uint64)  # type: ignore[assignment]
            watch.cool = table.add(f"cool_{index}", (), np.int64)  # type: ignore[assignment]
            watch.told = table.add(f"told_{index}", (), np.bool_)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def watch(self, rows: NDArray[np.int64], found: Mapping[str, NDArray[np.floating]]) -> list[Raised]:
        """Take a window of some streams.

        Args:
            rows: int64 [k].
            found: Measure → float [k, attributes].

        Returns:
            The rules that were met.
        """
        return [raised for watch in self._watches for raised in watch.take(rows, found)]


class _Watch:
    """One rule over all streams.

    Attributes:
        held: int64 [capacity, conditions], windows for which each has held.
        hits: uint64 [capacity], the last windows as bits.
        cool: int64 [capacity], windows to wait after an alert.
        told: bool [capacity], whether it was told and has held since.
    """

    held: NDArray[np.int64]
    hits: NDArray[np.uint64]
    cool: NDArray[np.int64]
    told: NDArray[np.bool_]

    def __init__(self, rule: AlertRule, attributes: Sequence[str], sample_s: float) -> None:
        self.rule = rule
        self._columns = [attributes.index(condition.attribute) for condition in rule.when]
        self._needed = [max(1, round(condition.for_s / sample_s)) for condition in rule.when]
        self._mask = np.uint64((1 << rule.windows) - 1)
        self._cool_windows = round(rule.cool_down_s / sample_s)
        self._has_release = any(condition.release is not None for condition in rule.when)

    def take(self, rows: NDArray[np.int64], found: Mapping[str, NDArray[np.floating]]) -> list[Raised]:
        is_hit = np.ones(len(rows), np.bool_)
        for index, condition in enumerate(self.rule.when):
            value = found[condition.measure][:, self._columns[index]]
            limit = np.float64(condition.below if condition.above is None else condition.above)
            if condition.release is not None:
                limit = np.where(self.held[rows, index] > 0, condition.release, limit)  # type: ignore[assignment]
            holds = value > limit if condition.above is not None else value < limit
            held = np.where(holds, self.held[rows, index] + 1, 0)
            self.held[rows, index] = held
            is_hit &= held >= self._needed[index]
        hits = (self.hits[rows] << np.uint64(1) | is_hit.astype(np.uint64)) & self._mask
        self.hits[rows] = hits
        cool = np.maximum(self.cool[rows] - 1, 0)
        is_met = (np.bitwise_count(hits) >= self.rule.hits) & (cool == 0)
        if self._has_release:
            is_met &= ~self.told[rows]
            self.told[rows] = (self.told[rows] | is_met) & is_hit
        cool[is_met] = self._cool_windows
        self.cool[rows] = cool
        return [
            Raised(int(rows[i]), self.rule.name, {name: float(values[i]) for name, values in self._looked_at(found)})
            for i in np.flatnonzero(is_met)
        ]

    def _looked_at(self, found: Mapping[str, NDArray[np.floating]]) -> list[tuple[str, NDArray[np.floating]]]:
        return [
            (f"{condition.attribute}.{condition.measure}", found[condition.measure][:, column])
            for condition, column in zip(self.rule.when, self._columns, strict=True)
        ]


def _check(rule: AlertRule, attributes: Sequence[str], names: set[str]) -> None:
    where = f"plugins.ranker.alerts: rule {rule.name!r}"
    if rule.name in names:
        raise ConfigError(f"{where} stands there twice", "give every rule a name of its own")
    names.add(rule.name)
    if rule.hits > rule.windows:
        raise ConfigError(
            f"{where} wants {rule.hits} hits in {rule.windows} windows", "make `windows` at least as large as `hits`"
        )
    for condition in rule.when:
        _check_condition(condition, where, attributes)


def _check_condition(condition: Condition, where: str, attributes: Sequence[str]) -> None:
    if condition.attribute not in attributes:
        raise ConfigError(
            f"{where} looks at {condition.attribute!r}, which is not scored", f"choose one of {', '.join(attributes)}"
        )
    if (condition.above is None) == (condition.below is None):
        raise ConfigError(
            f"{where}: the condition on {condition.attribute}.{condition.measure} has "
            f"{'neither' if condition.above is None else 'both'} `above` and `below`",
            "give it one of them",
        )
    if condition.release is not None:
        is_beyond = (
            condition.release > condition.above
            if condition.above is not None
            else condition.below is not None and condition.release < condition.below
        )
        if is_beyond:
            raise ConfigError(
                f"{where}: the condition on {condition.attribute}.{condition.measure} is released before it holds",
                "choose `release` at or below `above`, or at or above `below`",
            )
