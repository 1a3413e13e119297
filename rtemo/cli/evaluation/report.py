"""Report: an evaluation as text."""

from collections.abc import Iterator

from rtemo.cli.evaluation.result import Result
from rtemo.cli.evaluation.scores import Annotators, Figure, Scores

_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


def lines_of(result: Result) -> Iterator[str]:
    """Give the lines of a report."""
    for system in result.systems:
        yield f"{system.name}: {_crowd(system.scores)}"
        yield from _body(system.scores)
        if system.by_corpus:
            yield from _corpora(system.by_corpus)
        yield ""
    for difference in result.differences:
        yield f"{difference.system} minus {difference.against}, same clips, paired draws"
        for name, figure in difference.measures.items():
            sure = figure.low is not None and figure.high is not None and (figure.low > 0 or figure.high < 0)
            yield f"  {name:<13}{_signed(figure)}{'' if sure else '   not told apart'}"
        yield ""


def _crowd(scores: Scores) -> str:
    by = f"{scores.speakers} speakers" if scores.speakers > 1 else "intervals by clip, since speakers are not known"
    if scores.speakers == 1:
        by = "1 speaker, so intervals are by clip"
    text = f"{scores.clips} clips, {by}"
    return text + (f"; {scores.unanswered} were given no estimate, too little speech" if scores.unanswered else "")


def _body(scores: Scores) -> Iterator[str]:
    if scores.uar is not None:
        yield f"  UAR          {_figure(scores.uar)}   chance {scores.chance_uar:.3f}"
        yield f"  UAR, closed  {_figure(scores.uar_closed)}   choosing among {', '.join(scores.recall)}"
        yield f"  accuracy     {_figure(scores.accuracy)}"
        yield f"  macro-F1     {_figure(scores.macro_f1)}"
    for name, figure in (("arousal", scores.arousal_ccc), ("valence", scores.valence_ccc)):
        if figure is not None:
            yield f"  {name} CCC  {_figure(figure)}"
    if scores.calibration_error is not None:
        yield f"  ECE          {scores.calibration_error:.3f}"
    if scores.committed is not None:
        right = "" if scores.accuracy_committed is None else f", accuracy {scores.accuracy_committed:.3f} of these"
        yield f"  committed    {scores.committed:.0%} of the clips as configured{right}"
    if scores.abstention:
        points = [
            min(scores.abstention, key=lambda point, share=share: abs(point.committed - share))  # type: ignore[misc]
            for share in _SHARES
        ]
        cells = dict.fromkeys(f"{p.accuracy:.2f} at {p.committed:.0%}" for p in points)
        yield f"  abstention   accuracy {', '.join(cells)} of the clips, surest first"
    if scores.annotators is not None:
        yield from _raters(scores.annotators)
    if scores.confusion:
        yield ""
        yield from _confusion(scores)


def _raters(found: Annotators) -> Iterator[str]:
    constant = f"always {found.constant!r}"
    yield f"  annotators   {found.clips} clips with {found.ratings_per_clip:.1f} labels each"
    yield f"    {'':<15}{'any annotator':>15}{'AA-macro-F1':>15}{'soft credit':>15}"
    for name, figures in (
        ("the system", (found.any_accuracy, found.aa_macro_f1, found.soft_credit)),
        (constant, (found.constant_any_accuracy, found.constant_aa_macro_f1, found.constant_soft_credit)),
    ):
        yield f"    {name:<15}" + "".join(f"{figure:>15.3f}" for figure in figures)


def _confusion(scores: Scores) -> Iterator[str]:
    names = dict.fromkeys(name for row in scores.confusion.values() for name in row)
    said = [name for name in names if any(row.get(name) for row in scores.confusion.values())]
    first = max(12, *(len(label) + 1 for label in scores.confusion))
    widths = {name: max(9, len(name) + 1) for name in said}
    yield "  " + f"{'truth, said':<{first}}" + "".join(f"{n:>{w}}" for n, w in widths.items()) + f"{'recall':>9}"
    for label, row in scores.confusion.items():
        cells = "".join(f"{row[name]:>{width}}" for name, width in widths.items())
        yield f"  {label:<{first}}{cells}{scores.recall[label]:>9.2f}"


def _corpora(by_corpus: dict[str, Scores]) -> Iterator[str]:
    yield ""
    width = max(12, *(len(name) for name in by_corpus))
    yield f"  {'corpus':<{width}}{'clips':>7}{'UAR':>23}{'closed':>9}{'accuracy':>10}{'macro-F1':>10}"
    for corpus, scores in by_corpus.items():
        if scores.uar is None or scores.uar_closed is None or scores.accuracy is None or scores.macro_f1 is None:
            continue
        closed, accuracy, f1 = (figure.value for figure in (scores.uar_closed, scores.accuracy, scores.macro_f1))
        cells = f"{_figure(scores.uar):>23}{closed:>9.3f}{accuracy:>10.3f}{f1:>10.3f}"
        yield f"  {corpus or '(none)':<{width}}{scores.clips:>7}{cells}"


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.value:.3f}" + ("" if figure.low is None else f" ({figure.low:.3f} to {figure.high:.3f})")


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.3f}" + ("" if figure.low is None else f" ({figure.low:+.3f} to {figure.high:+.3f})")
