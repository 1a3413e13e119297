"""Scores: what answers are worth against what is known of the clips."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.evaluation.hearing import Answer
from rtemo.scoring.abstention import abstention_curve
from rtemo.scoring.annotators import annotator_scores, constant_scores, cross_entropy
from rtemo.scoring.bootstrap import Draws, interval
from rtemo.scoring.classes import accuracy_of, calibration_error, macro_f1_of, one_hot, recall_of, uar_of
from rtemo.scoring.dimensions import ccc_of, moments

Array = NDArray[np.float64]
Answers = dict[str, Answer]

NOTHING = "nothing"
"""Stands beside the emotions for a clip of which nothing was said."""
_NONE = -1


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measure and its 95 % interval; null where the interval says nothing."""

    value: float
    low: float | None = None
    high: float | None = None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the abstention curve."""

    committed: float
    accuracy: float
    least_confidence: float


class Annotators(msgspec.Struct, frozen=True, kw_only=True):
    """Scores against all labels that several annotators gave, beside those of a constant answer."""

    clips: int
    ratings_per_clip: float
    any_accuracy: float
    aa_macro_f1: float
    soft_credit: float
    cross_entropy_nats: float | None
    """Of the clips that were answered."""
    constant: str
    """The one answer with the most credit."""
    constant_any_accuracy: float
    constant_aa_macro_f1: float
    constant_soft_credit: float


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How well one system tells the emotions of some clips.

    `uar`, `accuracy` and `macro_f1` choose among all classes, and a clip without an answer is wrong.
    `uar_closed` chooses among those that occur in the corpus, as papers do.
    """

    clips: int
    speakers: int
    """0 where they are not known, so that intervals are by clip."""
    unanswered: int
    labels: dict[str, int]
    uar: Figure | None = None
    uar_closed: Figure | None = None
    accuracy: Figure | None = None
    macro_f1: Figure | None = None
    chance_uar: float | None = None
    recall: dict[str, float] = {}
    confusion: dict[str, dict[str, int]] = {}
    calibration_error: float | None = None
    """Expected calibration error over the clips that were answered."""
    committed: float | None = None
    """Share of clips that were given a label other than `unsure`."""
    accuracy_committed: float | None = None
    abstention: tuple[Point, ...] = ()
    arousal_ccc: Figure | None = None
    valence_ccc: Figure | None = None
    annotators: Annotators | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """By how much one system is above another, over the same draws."""

    system: str
    against: str
    measures: dict[str, Figure]


def score(clips: Sequence[Clip], answers: Answers, names: Sequence[str] = EMOTIONS) -> Scores:
    """Score the answers of one system, which chooses among `names`."""
    sheet = _Sheet(clips, answers, names)
    counts, draws = sheet.counts, sheet.draws
    answered = sheet.said != _NONE
    found = Scores(
        clips=len(clips),
        speakers=sheet.speakers,
        unanswered=sum(clip.key not in answers for clip in clips),
        labels={name: count for name, count in Counter(clip.label for clip in clips).most_common() if name},
        arousal_ccc=_concordance(clips, answers, "arousal"),
        valence_ccc=_concordance(clips, answers, "valence"),
        annotators=_annotators(clips, answers),
    )
    if not len(sheet.truth):
        return found
    total = counts.sum(0)
    right = sheet.said == sheet.truth
    committed = sheet.is_committed
    occurring = np.flatnonzero(total.sum(-1)).tolist()
    curve = abstention_curve(np.where(answered, sheet.confidence, np.nan), right)
    return msgspec.structs.replace(
        found,
        uar=_figure(uar_of, counts, draws),
        uar_closed=_figure(uar_of, sheet.closed_counts, draws),
        accuracy=_figure(accuracy_of, counts, draws),
        macro_f1=_figure(macro_f1_of, counts, draws),
        chance_uar=1 / len(occurring),
        recall={names[c]: float(recall_of(total)[c]) for c in occurring},
        confusion={
            names[c]: dict(zip((*names, NOTHING), total[c].astype(int).tolist(), strict=True)) for c in occurring
        },
        calibration_error=_calibration(sheet.confidence[answered], right[answered]),
        committed=float(committed.mean()),
        accuracy_committed=float(right[committed].mean()) if committed.any() else None,
        abstention=tuple(Point(**point._asdict()) for point in curve),
    )


def compare(
    clips: Sequence[Clip],
    name: str,
    answers: Answers,
    other_name: str,
    others: Answers,
    names: Sequence[str] = EMOTIONS,
) -> Difference:
    """Tell by how much `name` is above `other_name`; an interval is of the difference over the same draws."""
    one, other = _Sheet(clips, answers, names), _Sheet(clips, others, names)
    measures: dict[str, Figure] = {}
    if len(one.truth):
        for title, measure in (("uar", uar_of), ("accuracy", accuracy_of), ("macro_f1", macro_f1_of)):
            measures[title] = _difference(measure, one.counts, other.counts, one.draws)
        measures["uar_closed"] = _difference(uar_of, one.closed_counts, other.closed_counts, one.draws)
    for dimension in ("arousal", "valence"):
        rated = _rated(clips, {path: answers[path] for path in answers.keys() & others.keys()}, dimension)
        if len(rated) > 1:
            mine, theirs = (_moments(rated, said, dimension) for said in (answers, others))
            difference = _difference(ccc_of, mine, theirs, _draws(rated))
            if np.isfinite(difference.value):
                measures[f"{dimension}_ccc"] = difference
    return Difference(system=name, against=other_name, measures=measures)


class _Sheet:
    """Truth and answers of the clips that have a label, as numbers."""

    def __init__(self, clips: Sequence[Clip], answers: Answers, names: Sequence[str]) -> None:
        clips = [clip for clip in clips if clip.label]
        given = [answers.get(clip.key) for clip in clips]
        self.truth = np.array([names.index(clip.label) for clip in clips], np.int64)
        self.said = np.array([_number(answer, names) for answer in given], np.int64)
        self.confidence = np.array([0.0 if answer is None else answer.confidence for answer in given])
        self.is_committed = (self.said != _NONE) & np.array([bool(a and a.is_committed) for a in given], np.bool_)
        self.speakers = len({(clip.corpus, clip.speaker) for clip in clips if clip.speaker})
        self.draws = _draws(clips)
        self.counts = one_hot(self.truth, self.said, len(names))
        closed = self.said.copy()
        known = {corpus: {c.label for c in clips if c.corpus == corpus} for corpus in {c.corpus for c in clips}}
        for index, (clip, answer) in enumerate(zip(clips, given, strict=True)):
            if answer is not None and answer.probabilities:
                choice = {name: answer.probabilities.get(name, 0.0) for name in known[clip.corpus]}
                closed[index] = names.index(max(choice, key=choice.__getitem__))
        self.closed_counts = one_hot(self.truth, closed, len(names))


def _number(answer: Answer | None, names: Sequence[str] = EMOTIONS) -> int:
    return names.index(answer.label) if answer is not None and answer.label in names else _NONE


def _draws(clips: Sequence[Clip]) -> Draws | None:
    """Draw whole speakers, or clips where fewer than two speakers are known; None where there is nothing to draw."""
    speakers = {(clip.corpus, clip.speaker) for clip in clips if clip.speaker}
    by_speaker = len(speakers) > 1
    clusters = [f"{c.corpus}/{c.speaker}" if by_speaker and c.speaker else f"/{c.key}" for c in clips]
    return Draws(clusters) if len(set(clusters)) > 1 else None


def _figure(measure: Callable[[Array], Array], values: Array, draws: Draws | None) -> Figure:
    value = float(measure(values.sum(0)))
    if draws is None:
        return Figure(value=value)
    low, high = interval(measure(draws.sums(values)))
    return Figure(value=value, low=low, high=high)


def _difference(measure: Callable[[Array], Array], ours: Array, theirs: Array, draws: Draws | None) -> Figure:
    value = float(measure(ours.sum(0)) - measure(theirs.sum(0)))
    if draws is None:
        return Figure(value=value)
    low, high = interval(measure(draws.sums(ours)) - measure(draws.sums(theirs)))
    return Figure(value=value, low=low, high=high)


def _calibration(confidence: Array, right: NDArray[np.bool_]) -> float | None:
    return calibration_error(confidence, right, np.ones(len(right))) if len(right) else None


def _rated(clips: Sequence[Clip], answers: Answers, dimension: str) -> list[Clip]:
    return [clip for clip in clips if getattr(clip, dimension) is not None and clip.key in answers]


def _moments(clips: Sequence[Clip], answers: Answers, dimension: str) -> Array:
    truth = np.array([getattr(clip, dimension) for clip in clips], np.float64)
    return moments(truth, np.array([getattr(answers[clip.key], dimension) for clip in clips], np.float64))


def _concordance(clips: Sequence[Clip], answers: Answers, dimension: str) -> Figure | None:
    """Over the clips that were answered: a dimension has no value for one that was not."""
    rated = _rated(clips, answers, dimension)
    if len(rated) < 2:
        return None
    figure = _figure(ccc_of, _moments(rated, answers, dimension), _draws(rated))
    return figure if np.isfinite(figure.value) else None


def _annotators(clips: Sequence[Clip], answers: Answers) -> Annotators | None:
    rated = [clip for clip in clips if clip.ratings]
    if not rated:
        return None
    ratings = [[EMOTIONS.index(label) for label in clip.ratings] for clip in rated]
    given = [answers.get(clip.key) for clip in rated]
    ours = annotator_scores(np.array([_number(answer) for answer in given], np.int64), ratings, len(EMOTIONS))
    constant, theirs = constant_scores(ratings, len(EMOTIONS))
    named = [k for k, answer in enumerate(given) if _number(answer) != _NONE]
    shares = np.array([[given[k].probabilities.get(e, 0.0) for e in EMOTIONS] for k in named])  # type: ignore[union-attr]
    return Annotators(
        clips=len(rated),
        ratings_per_clip=sum(map(len, ratings)) / len(rated),
        any_accuracy=ours.any_accuracy,
        aa_macro_f1=ours.aa_macro_f1,
        soft_credit=ours.soft_credit,
        cross_entropy_nats=cross_entropy(shares, [ratings[k] for k in named]) if named else None,
        constant=EMOTIONS[constant],
        constant_any_accuracy=theirs.any_accuracy,
        constant_aa_macro_f1=theirs.aa_macro_f1,
        constant_soft_credit=theirs.soft_credit,
    )
