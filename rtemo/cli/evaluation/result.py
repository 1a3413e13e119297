"""Result: everything that an evaluation found, as it is written to --json."""

import msgspec

from rtemo.cli.evaluation.hearing import Answer
from rtemo.cli.evaluation.scores import Difference, Scores


class System(msgspec.Struct, frozen=True, kw_only=True):
    """One system that was measured."""

    name: str
    chain: tuple[str, ...] = ()
    settings: dict[str, dict[str, object]] = {}
    """Plugin → options that are not its defaults."""
    models: dict[str, str] = {}
    """Bundle → sha256."""
    scores: Scores
    by_corpus: dict[str, Scores] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation."""

    clips: str
    rtemo: str
    systems: tuple[System, ...]
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()
    answers: dict[str, dict[str, Answer]] = {}
    """System → path → what was said, so that a later run can be compared with this one."""
