"""Tables of retrieval: how often what was looked for is what was found, against a draw; and what raters make of it."""

from collections import Counter

import numpy as np

from bench.quality.corpus.raters import table
from bench.quality.corpus.scores import main_span, share_of
from bench.quality.corpus.tables import TRUTH, Part
from rtemo.corpus.retrieval import DRAWN, FUSED, TARGETS, Candidate, Criteria, criteria_of, retrieve
from rtemo.corpus.selection import genders_of
from rtemo.corpus.stages import Books

_LEAST_TURNS = 10


def retrieval(books: Books, known: TRUTH, seed: int) -> Part:
    """Choose a third of the turns by all recognisers, and ask raters who are made up."""
    moods, speakers = {}, {}
    for turn in books.turns:
        one = known[turn.recording]
        span = None if one.is_again else main_span(one.spans, turn.start, turn.end)
        if span is not None:
            moods[turn.unit], speakers[turn.unit] = span.emotion, span.speaker
    genders = genders_of(books)
    candidates = [
        Candidate(unit=turn.unit, speaker=turn.speaker, gender=genders[turn.speaker], split="Train")
        for turn in books.turns
        if turn.unit in moods
    ]
    if not candidates:
        return Part(["No turn is left to retrieve from."], {})
    opinions = {
        name: {entry.unit: entry for entry in ledger if entry.unit in moods} for name, ledger in books.opinions.items()
    }
    opinions = {name: said for name, said in opinions.items() if said}
    picks = retrieve(candidates, opinions, len(candidates) // 3, (1.0, 0.0, 0.0, 0.0), seed)
    base = Counter(moods.values())
    lines = [
        f"Retrieval: {len(picks)} of {len(candidates)} turns; right of those picked for it, 95 % over speakers:",
        "",
        "| emotion | right | by a draw |",
        "|---|---|---|",
    ]
    scores = {}
    for target in TARGETS:
        chosen = [pick for pick in picks if pick.target == target]
        if chosen and base[target]:
            found = share_of([moods[p.unit] == target for p in chosen], [speakers[p.unit] for p in chosen])
            lines.append(f"| {target} | {found} | {base[target] / len(candidates):.1%} |")
            scores[target] = [*found, base[target] / len(candidates)]
    lines += _criteria(criteria_of(opinions, [one.unit for one in candidates]), moods, base)
    share = Counter(moods[pick.unit] for pick in picks)["neutral"] / max(len(picks), 1)
    lines += ["", f"Neutral: {base['neutral'] / len(candidates):.1%} of the turns, {share:.1%} of what was chosen."]
    if picks:
        lines += [
            "",
            "Made-up raters, five of each turn: kappa of the emotion, alpha of valence, of arousal:",
            "",
            "| spread, sure | in the long run | of these turns | with two who guess, screened | screened out |",
            "|---|---|---|---|---|",
            *table({pick.unit: moods[pick.unit] for pick in picks}, seed),
        ]
    return Part(lines, {"retrieval": scores})


def _criteria(criteria: Criteria, moods: dict[str, str], base: Counter[str]) -> list[str]:
    names = [*sorted({name.partition(":")[0] for of in criteria.values() for name in of} - {DRAWN, FUSED}), FUSED]
    lines = [
        "",
        "The ten turns that each criterion puts first, share that is right:",
        "",
        f"| emotion | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for target in TARGETS:
        if target in criteria and base[target] >= _LEAST_TURNS:
            cells = [_precision(criteria[target], name, target, moods) for name in names]
            lines.append(f"| {target} | {' | '.join(cells)} |")
    return lines


def _precision(scores: dict[str, dict[str, float]], name: str, target: str, moods: dict[str, str]) -> str:
    found = next((said for key, said in scores.items() if key.partition(":")[0] == name), None)
    if found is None:
        return "-"
    first = sorted(found, key=lambda unit: -found[unit])[:_LEAST_TURNS]
    return f"{np.mean([moods[unit] == target for unit in first]):.1f}"
