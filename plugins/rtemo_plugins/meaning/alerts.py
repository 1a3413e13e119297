"""Teller: says the scores of a turn, and which rules they meet."""

import math
from collections import deque
from collections.abc import Sequence

from rtemo.api import Alert, ConfigError, Emit, Finding, QueryScore
from rtemo.api.format import StreamFormat
from rtemo.api.turns import Turns
from rtemo_plugins.meaning.options import QueryRule
from rtemo_plugins.meaning.queries import Query, read_queries
from rtemo_plugins.meaning.work import Scores

_RATE_HZ = StreamFormat().sample_rate_hz


class _Watch:
    """One rule on one stream."""

    def __init__(self, rule: QueryRule) -> None:
        self._rule = rule
        self._hits: deque[bool] = deque(maxlen=rule.windows)
        self._holds = False
        self._is_told = False
        self._quiet_until_s = -math.inf

    def take(self, value: float | None, at_s: float) -> bool:
        """Take the next value; tell whether the rule is met now."""
        rule = self._rule
        self._holds = value is not None and self._is_beyond(value)
        self._hits.append(self._holds)
        is_met = sum(self._hits) >= rule.hits and at_s >= self._quiet_until_s and not self._is_told
        if is_met:
            self._quiet_until_s = at_s + rule.cool_down_s
        self._is_told = rule.release is not None and self._holds and (self._is_told or is_met)
        return is_met

    def _is_beyond(self, value: float) -> bool:
        rule = self._rule
        limit = rule.below if rule.above is None else rule.above
        if self._holds and rule.release is not None:
            limit = rule.release
        assert limit is not None
        return value < limit if rule.above is None else value > limit


class _Stream:
    def __init__(self, rules: Sequence[QueryRule]) -> None:
        self.watches = [_Watch(rule) for rule in rules]
        self.over_s = 0.0
        """Speech of the turns that are over."""


class Teller:
    """Says what the lane has found; driver thread.

    A score is a hit while it is beyond the limit of a rule, with `release` until it is back at that. A rule is met when
    `hits` of the last `windows` scores were hits; it is told once, not again before `cool_down_s` of the call, and with
    `release` not before it has stopped holding.

    Args:
        rules: Of the configuration.
        queries: What is looked for.
        turns: Tells which streams are still known.

    Raises:
        ConfigError: A rule can never be met, or is about no query.
    """

    def __init__(self, rules: Sequence[QueryRule], queries: Sequence[Query], turns: Turns) -> None:
        self._rules = tuple(rules)
        self._texts = [_check(rule, queries) for rule in rules]
        if len({rule.name for rule in rules}) < len(self._rules):
            raise ConfigError("plugins.meaning.alerts: two rules have one name", "give every rule a name of its own")
        self._turns = turns
        self._streams: dict[int, _Stream] = {}

    def tell(self, finding: Finding, emit: Emit) -> None:
        """Say the scores, and the alerts after them."""
        scores: Scores = finding.result
        for meaning in scores.meanings:
            emit(finding.stream, meaning, scores.start_sample, finding.end_sample)
        if self._rules:
            for alert in self.watch(finding.stream.id, scores.meanings, finding.end_sample):
                emit(finding.stream, alert, scores.start_sample, finding.end_sample)

    def watch(self, stream: int, meanings: Sequence[QueryScore], end_sample: int) -> list[Alert]:
        """Tell which rules the next scores of a stream meet."""
        state = self._streams.get(stream)
        if state is None:
            for gone in [number for number in self._streams if not self._turns.knows(number)]:
                del self._streams[gone]
            state = self._streams[stream] = _Stream(self._rules)
        found = {meaning.query: meaning for meaning in meanings}
        alerts = []
        for rule, text, watch in zip(self._rules, self._texts, state.watches, strict=True):
            meaning = found[text]
            value = meaning.score if rule.measure == "score" else meaning.z
            if watch.take(value, end_sample / _RATE_HZ):
                values = {} if value is None else {f"{text}.{rule.measure}": value}
                speech_s = round(state.over_s + meaning.speech_s, 3)
                alerts.append(Alert(rule=rule.name, values=values, speech_s=speech_s))
        if meanings and meanings[0].is_final:
            state.over_s += meanings[0].speech_s
        return alerts


def _check(rule: QueryRule, queries: Sequence[Query]) -> str:
    """Check a rule and give the text of its query as it is told."""
    where = f"plugins.meaning.alerts: rule {rule.name!r}"
    text = read_queries([rule.query])[0].text
    if text not in (query.text for query in queries):
        raise ConfigError(f"{where} is about {text!r}, which is not asked", "write it into `queries`, too")
    if (rule.above is None) == (rule.below is None):
        has = "neither" if rule.above is None else "both"
        raise ConfigError(f"{where} has {has} `above` and `below`", "give it one of them")
    if rule.hits > rule.windows:
        raise ConfigError(
            f"{where} wants {rule.hits} hits in {rule.windows} scores", "make `windows` at least as large as `hits`"
        )
    limit, sign = (rule.below, -1.0) if rule.above is None else (rule.above, 1.0)
    if rule.release is not None and limit is not None and sign * rule.release > sign * limit:
        raise ConfigError(
            f"{where} is released before it holds", "choose `release` at or below `above`, or at or above `below`"
        )
    return text
