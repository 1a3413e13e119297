"""Tables of speakers, cuts and gates: what the pipeline found beside what is known of the recordings."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bench.quality.corpus.record import Known
from bench.quality.corpus.scores import SpeakerError, cut_error, main_span, overlap, share_of, speaker_error
from bench.quality.corpus.turns import is_of_several, speakers_in
from rtemo.corpus import stages
from rtemo.corpus.selection import genders_of
from rtemo.corpus.stages import Books
from rtemo.scoring.bootstrap import Draws, interval

TRUTH = Mapping[str, Known]
"""Recording, as the corpus numbers it → what is known of it."""

_GATES = (stages.MUSIC, stages.NOISE, stages.SEVERAL_VOICES, stages.TWICE)


class Part(NamedTuple):
    """A part of a report: lines of Markdown, and its figures by name."""

    lines: list[str]
    scores: dict[str, Any]


def speakers(books: Books, known: TRUTH) -> Part:
    """Diarisation error of each recording, and the gender of voices by pitch."""
    lines = [
        "Speakers, as shares of the speech beyond .25 s from every edge; voices told and there:",
        "",
        "| recording | missed | alarmed | confused | speaker error | told | there |",
        "|---|---|---|---|---|---|---|",
    ]
    errors: list[SpeakerError] = []
    names: list[str] = []
    for unit, one in known.items():
        heard = books.diarised[unit]
        error = speaker_error(one.spans, heard.pieces, one.length_samples)
        errors.append(error)
        names.append(one.name)
        there = len({span.speaker for span in one.spans})
        cells = " | ".join(f"{value:.3f}" for value in error)
        lines.append(f"| {one.name} | {cells} | {len(heard.voices)} | {there} |")
    values = np.array(errors)
    sums = Draws(names).sums(np.concatenate([values, np.ones((len(values), 1))], axis=1))
    low, high = interval(sums[:, 3] / sums[:, 4])
    mean = SpeakerError(*values.mean(axis=0).tolist())
    lines.append(f"| mean | {' | '.join(f'{value:.3f}' for value in mean)} | | |")
    genders = _genders(books, known)
    lines += [
        "",
        f"Speaker error {mean.total:.3f}, 95 % over recordings {low:.3f} to {high:.3f}.",
        f"Gender of voices by pitch: {', '.join(f'{count} {name}' for name, count in genders.items()) or 'none'}.",
    ]
    return Part(lines, {"speaker error": [mean.total, low, high], "gender": dict(genders)})


def _genders(books: Books, known: TRUTH) -> Counter[str]:
    names: dict[int, Counter[str]] = defaultdict(Counter)
    for turn in books.gated:
        one = known.get(turn.recording)
        span = main_span(one.spans, turn.start, turn.end) if one is not None else None
        if span is not None and span.gender:
            names[turn.speaker][span.gender] += 1
    guessed = genders_of(books)
    right: Counter[str] = Counter()
    for speaker, of in names.items():
        guess, truth = guessed[speaker], of.most_common(1)[0][0]
        right["unknown" if guess == "Unknown" else "right" if guess[0] == truth else "wrong"] += 1
    return right


def cuts(books: Books, known: TRUTH) -> Part:
    """How turns lie on the clips."""
    edges_s, one_speaker, one_emotion, names = [], [], [], []
    for unit, one in known.items():
        entry = books.cut.get(unit)
        found = cut_error(one.spans, [(turn[0], turn[1]) for turn in entry.turns] if entry else [])
        edges_s += found.edges_s
        one_speaker += found.one_speaker
        one_emotion += found.one_emotion
        names += [one.name] * len(found.one_speaker)
    of_speaker, of_emotion = share_of(one_speaker, names), share_of(one_emotion, names)
    lines = [f"Cuts, 95 % over recordings: of one speaker {of_speaker}, of one emotion {of_emotion}."]
    if edges_s:
        middle, most = np.percentile(edges_s, (50, 95))
        lines.append(f"Edge to the nearest of a clip: median {middle:.2f} s, 95 % within {most:.2f} s.")
    return Part(lines, {"turns of one speaker": list(of_speaker), "turns of one emotion": list(of_emotion)})


def gates(books: Books, known: TRUTH) -> Part:
    """What became of turns at the gates, by what lies under most of each."""
    fates: dict[str, list[tuple[str, str]]] = {"clean": [], "noise": [], "music": [], "two speakers": [], "again": []}
    for turn in books.gated:
        one = known[turn.recording]
        if one.is_again:
            fates["again"].append((turn.dropped, turn.unit))
            continue
        shares: Counter[str] = Counter()
        for span in one.spans:
            shares[span.under] += overlap(span, turn.start, turn.end)
        under, length = shares.most_common(1)[0]
        if not length:  # speech that the detector found between clips
            continue
        fate = turn.dropped, speakers_in(turn, known).most_common(1)[0][0]
        fates[under].append(fate)
        if is_of_several(turn, known):
            fates["two speakers"].append(fate)
    lines = [
        "Gates, by what lies under most of a turn; 95 % over speakers; `again` is the first recording by telephone:",
        "",
        f"| under it | {' | '.join(_GATES)} | passed |",
        f"|---|{'---|' * len(_GATES)}---|",
    ]
    scores = {}
    for under, of in fates.items():
        lost = [f"{np.mean([dropped == gate for dropped, _ in of]):.1%}" if of else "-" for gate in _GATES]
        passed = share_of([not dropped for dropped, _ in of], [who for _, who in of])
        lines.append(f"| {under} | {' | '.join(lost)} | {passed} |")
        scores[under] = list(passed)
    return Part(lines, {"passed": scores})
