"""Print what the corpus pipeline does with recordings whose speakers, moods and cuts are known.

    python -m bench.quality.corpus --data D --work W [--minutes 30] [--split dev]

D holds the manifests `emotion`, `clean` and `noise`. Clips of one corpus are strung to recordings; under a share of
the turns lies noise at 3 dB or music at 0 dB, and the first recording comes once more through a telephone. Nothing is
chosen here: the thresholds stand in `rtemo.corpus.settings`. W is emptied first.
"""

import argparse
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.raters import table
from bench.quality.corpus.scores import cut_error, main_span, overlap, speaker_error
from bench.quality.corpus.strung import RATE_HZ, Strung, string_recordings
from bench.quality.vad.corpus import telephone
from rtemo.cli.corpus.recognise import ask_all, recognisers
from rtemo.cli.corpus.table import lines_of
from rtemo.config import load_config
from rtemo.corpus import stages
from rtemo.corpus.counts import count_stages
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import take_in
from rtemo.corpus.retrieval import DRAWN, FUSED, TARGETS, Candidate, criteria_of, retrieve
from rtemo.corpus.selection import genders_of, select
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files
from rtemo.scoring.bootstrap import Draws, interval

DIRTY = 0.12
AGAIN = "z-again"


def main() -> None:
    """String recordings, run the pipeline, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--no-words", action="store_true", help="leave out the transcript")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    strung = string_recordings(arguments.data, arguments.split, arguments.minutes, arguments.seed, DIRTY)
    place = arguments.work / "recordings"
    place.mkdir(parents=True)
    for recording in strung:
        soundfile.write(place / f"{recording.name}.wav", recording.samples, RATE_HZ)
    soundfile.write(place / f"{AGAIN}.wav", telephone(strung[0].samples), RATE_HZ)
    books = Books(arguments.work / "corpus")
    times = _run(books, place, arguments.no_words)
    by_unit = {
        entry.unit: next((one for one in strung if f"{one.name}.wav" == entry.below), None)
        for entry in books.recordings
    }
    known = {unit: one for unit, one in by_unit.items() if one is not None}
    _tell_times(times, books)
    _tell_speakers(books, known)
    _tell_cuts(books, known)
    _tell_gates(books, known)
    _tell_retrieval(books, known, arguments.seed)
    selection = select(books, CorpusSettings(), 10_000)
    print("\nCounts of this run (every turn wanted):\n")
    for line in lines_of(count_stages(books, selection)):
        print(f"    {line}")


def _run(books: Books, place: Path, is_unread: bool) -> dict[str, tuple[float, float]]:
    """Run the stages; stage → seconds of the clock and of processors."""
    times: dict[str, tuple[float, float]] = {}
    models, settings = CorpusModels(), CorpusSettings(least_words=0)
    pipeline = Pipeline(books, settings, models, say=print)

    def timed(name: str, work: Callable[[], object]) -> None:
        wall_s, busy_s = time.perf_counter(), time.process_time()
        work()
        times[name] = time.perf_counter() - wall_s, time.process_time() - busy_s

    found = find_sound_files([place])
    timed("recordings", lambda: take_in(books.folder, found, books.recordings, {}, may_analyse=lambda role: ""))
    assert models.finder
    assert models.embedder
    timed("diarise", pipeline.diarise)
    timed("link, cut", lambda: (pipeline.link(), pipeline.cut()))
    timed("gate", pipeline.gate)
    if not is_unread:
        timed("words", pipeline.write_down)
    for name, config in recognisers(load_config(None), ()).items():
        one = {name: config}
        timed(f"recognise: {name}", partial(ask_all, books, one, lambda stage, done, total: None, print))
    return times


def _tell_times(times: dict[str, tuple[float, float]], books: Books) -> None:
    hours = sum(entry.duration_s for entry in books.recordings.kept) / 3600
    print(f"\n{hours * 60:.1f} minutes of recordings; seconds for an hour of them, on the clock and of processors:\n")
    print("| stage | clock | processors |\n|---|---|---|")
    for name, (wall_s, busy_s) in times.items():
        print(f"| {name} | {wall_s / hours:.0f} | {busy_s / hours:.0f} |")
    total = [sum(column) / hours for column in zip(*times.values(), strict=True)]
    print(f"| all | {total[0]:.0f} | {total[1]:.0f} |")


def _tell_speakers(books: Books, known: dict[str, Strung]) -> None:
    print("\nSpeakers, as shares of the speech beyond .25 s from every edge; voices told and there:\n")
    print("| recording | missed | alarmed | confused | speaker error | told | there |\n|---|---|---|---|---|---|---|")
    totals = []
    for unit, recording in known.items():
        heard = books.diarised[unit]
        error = speaker_error(recording.spans, heard.pieces, len(recording.samples))
        totals.append(error)
        there = len({span.speaker for span in recording.spans})
        print(f"| {recording.name} | {' | '.join(f'{value:.3f}' for value in error)} | {len(heard.voices)} | {there} |")
    mean = np.mean(totals, axis=0)
    low, high = interval(
        np.random.default_rng(0).choice([error.total for error in totals], (1000, len(totals))).mean(1)
    )
    print(f"| mean | {' | '.join(f'{value:.3f}' for value in mean)} | | |")
    print(f"\nSpeaker error {mean[-1]:.3f}, 95 % over recordings {low:.3f} to {high:.3f}.")
    right: Counter[str] = Counter()
    names: dict[int, Counter[str]] = defaultdict(Counter)
    for turn in books.gated:
        span = main_span(known[turn.recording].spans, turn.start, turn.end) if turn.recording in known else None
        if span is not None and span.gender:
            names[turn.speaker][span.gender] += 1
    genders = genders_of(books)
    for speaker, of in names.items():
        guess, truth = genders[speaker], of.most_common(1)[0][0]
        right["unknown" if guess == "Unknown" else "right" if guess[0] == truth else "wrong"] += 1
    print(f"Gender of voices by pitch: {dict(right)}.")


def _tell_cuts(books: Books, known: dict[str, Strung]) -> None:
    edges, one_speaker, one_emotion = [], [], []
    for unit, recording in known.items():
        found = cut_error(recording.spans, [(turn[0], turn[1]) for turn in books.cut[unit].turns])
        edges += found.edges_s
        one_speaker += found.one_speaker
        one_emotion += found.one_emotion
    print(
        f"\nCuts: {len(one_speaker)} turns; edge to the nearest of a clip, median {np.median(edges):.2f} s, "
        f"95 % within {np.percentile(edges, 95):.2f} s; of one speaker {np.mean(one_speaker):.1%}, "
        f"of one emotion {np.mean(one_emotion):.1%}."
    )


def _tell_gates(books: Books, known: dict[str, Strung]) -> None:
    print("\nGates, by what lies under most of a turn:\n")
    names = (stages.MUSIC, stages.NOISE, stages.SEVERAL_VOICES, stages.TWICE, "")
    print(f"| under it | turns | {' | '.join(name or 'passed' for name in names)} |\n|---|---|{'---|' * len(names)}")
    fates: dict[str, Counter[str]] = defaultdict(Counter)
    mixed: Counter[str] = Counter()
    for turn in books.gated:
        recording = known.get(turn.recording)
        if recording is None:
            fates["the first recording again"][turn.dropped] += 1
            continue
        shares: Counter[str] = Counter()
        speakers: Counter[str] = Counter()
        for span in recording.spans:
            length = overlap(span, turn.start, turn.end)
            shares[span.under] += length
            speakers[span.speaker] += length
        fates[shares.most_common(1)[0][0]][turn.dropped] += 1
        if max(speakers.values()) / max(speakers.total(), 1) < 0.9:
            mixed[turn.dropped] += 1
    fates["(two speakers)"] = mixed
    for under, of in fates.items():
        print(f"| {under} | {of.total()} | {' | '.join(f'{of[name] / max(of.total(), 1):.1%}' for name in names)} |")


def _tell_retrieval(books: Books, known: dict[str, Strung], seed: int) -> None:
    moods, speakers = {}, {}
    for turn in books.turns:
        span = main_span(known[turn.recording].spans, turn.start, turn.end) if turn.recording in known else None
        if span is not None:
            moods[turn.unit], speakers[turn.unit] = span.emotion, span.speaker
    genders = genders_of(books)
    candidates = [
        Candidate(unit=turn.unit, speaker=turn.speaker, gender=genders[turn.speaker], split="Train")
        for turn in books.turns
        if turn.unit in moods
    ]
    opinions = {
        name: {entry.unit: entry for entry in ledger if entry.unit in moods} for name, ledger in books.opinions.items()
    }
    opinions = {name: said for name, said in opinions.items() if said}
    wanted = len(candidates) // 3
    picks = retrieve(candidates, opinions, wanted, (1.0, 0.0, 0.0, 0.0), seed)
    base = Counter(moods.values())
    print(
        f"\nRetrieval: {len(picks)} of {len(candidates)} turns; precision against that of a draw, 95 % over speakers:\n"
    )
    print("| emotion | picked for it | right | by a draw |\n|---|---|---|---|")
    for target in TARGETS:
        chosen = [pick for pick in picks if pick.target == target]
        if not chosen or not base[target]:
            continue
        hits = np.array([moods[pick.unit] == target for pick in chosen], float)
        sums = Draws([speakers[pick.unit] for pick in chosen]).sums(np.stack([hits, np.ones_like(hits)], 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high = interval(sums[:, 0] / sums[:, 1])
        share = base[target] / len(candidates)
        print(f"| {target} | {len(chosen)} | {hits.mean():.2f} ({low:.2f}-{high:.2f}) | {share:.2f} |")
    criteria = criteria_of(opinions, [one.unit for one in candidates])
    print("\nThe ten turns that each criterion puts first, share that is right:\n")
    bases = {name.partition(":")[0] for scores in criteria.values() for name in scores} - {DRAWN, FUSED}
    names = [*sorted(bases), FUSED]
    print(f"| emotion | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for target in TARGETS:
        if target in criteria and base[target] >= 10:
            cells = [_precision(criteria[target], name, target, moods) for name in names]
            print(f"| {target} | {' | '.join(cells)} |")
    after = Counter(moods[pick.unit] for pick in picks)
    share = after["neutral"] / max(len(picks), 1)
    print(f"\nNeutral: {base['neutral'] / len(candidates):.1%} of the turns, {share:.1%} of what was chosen.")
    print("\nMade-up raters, five of each turn: kappa of the emotion, alpha of valence, of arousal:\n")
    print(
        "| spread, sure | in the long run | of these turns | with two who guess, screened | screened out |\n"
        "|---|---|---|---|---|"
    )
    for row in table({pick.unit: moods[pick.unit] for pick in picks}, seed):
        print(row)


def _precision(scores: dict[str, dict[str, float]], name: str, target: str, moods: dict[str, str]) -> str:
    found = next((said for key, said in scores.items() if key.partition(":")[0] == name), None)
    if found is None:
        return "-"
    first = sorted(found, key=lambda unit: -found[unit])[:10]
    return f"{np.mean([moods[unit] == target for unit in first]):.1f}"


if __name__ == "__main__":
    main()
