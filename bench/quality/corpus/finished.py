"""The corpus that came out, read by the reader of MSP-Podcast: labels, splits, agreement beside what is known."""

from collections import defaultdict
from pathlib import Path

import msgspec

from bench.quality.corpus.scores import main_span, share_of
from bench.quality.corpus.tables import TRUTH, Part
from rtemo.corpus.export import Exported
from rtemo.corpus.stages import Books
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast


def finished(books: Books, known: TRUTH, out: Path) -> Part:
    """Hold the exported corpus against the truth: are labels the moods, and does every speaker keep to one split?"""
    told = msgspec.json.decode((out / "corpus.json").read_bytes(), type=Exported)
    hits, who = [], []
    splits: dict[str, set[str]] = defaultdict(set)
    clips = read_msp_podcast(out).clips
    for clip in clips:
        turn = books.gated["_".join(Path(clip.path).stem.split("_")[-2:])]
        span = main_span(known[turn.recording].spans, turn.start, turn.end)
        if span is not None:
            splits[span.speaker].add(clip.split)
            hits.append(clip.emotion == ("neutral" if span.emotion == "calm" else span.emotion))
            who.append(span.speaker)
    torn = sum(len(of) > 1 for of in splits.values())
    labels, agreement = share_of(hits, who), told.agreement["all"]
    left_out = ", ".join(f"{count} {reason}" for reason, count in told.left_out.items()) or "none"
    counts = ", ".join(f"{split} {count}" for split, count in sorted(told.splits.items()))
    lines = [
        f"The finished corpus: {len(clips)} turns ({counts}); left out: {left_out}.",
        f"Consensus of the made-up raters is the mood: {labels}, 95 % over speakers.",
        f"Kappa {agreement.kappa}, alpha {agreement.alpha}; screened out: {', '.join(told.screened_out) or 'nobody'}.",
        f"{torn} of {len(splits)} speakers are in more than one of train, dev and test.",
    ]
    return Part(lines, {"labels": list(labels), "speakers in several splits": [torn, len(splits)]})
