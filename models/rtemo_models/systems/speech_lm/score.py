"""How right and how true the decoder is: `python -m rtemo_models.systems.speech_lm.score --work W --run speech_lm/run`.

Dev speakers: label accuracy and UAR over the classes of each corpus, beside merit-large's own label of the same turns;
the share of claims of its rationales that the record confirms, and of rationales that hold whole, with the words that
were said and without them. Ratings by several people are not among the corpora at hand, so annotator-aware scores are
those of a stand-in, said so in the table: three raters drawn from how merit-large takes one emotion for another.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo.cues.trace import check, holds
from rtemo.cues.writer import Writer
from rtemo.scoring.annotators import annotator_scores, constant_scores
from rtemo_models.kit.command import PATH, task, threads_option, work_option
from rtemo_models.systems.speech_lm.decode import Written, decode
from rtemo_models.systems.speech_lm.examples import Example
from rtemo_models.systems.speech_lm.features import read_records
from rtemo_models.systems.speech_lm.net import load
from rtemo_models.systems.speech_lm.train import examples_of

_BATCH = 128


def uar(said: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Mean recall of the classes that are there."""
    return float(np.mean([(said[labels == c] == c).mean() for c in np.unique(labels)]))


def faithfulness(
    examples: Sequence[Example], written: Sequence[Written], by_template: bool = False
) -> dict[str, float]:
    """Share of claims that are confirmed, of rationales that hold, and mean number of claims.

    Args:
        examples: The turns.
        written: What the decoder says of them.
        by_template: Take the label alone of it, and let the template write.
    """
    writer = Writer("en")
    confirmed = claimed = whole = 0
    for example, one in zip(examples, written, strict=True):
        turn = one.turn(example.turn)
        text = writer.write(turn) if by_template else one.text(example.turn, writer)
        claims = check(text, turn, "en")
        confirmed += sum(claim.is_confirmed for claim in claims)
        claimed += len(claims)
        whole += holds(claims)
    return {
        "claims_confirmed": confirmed / max(claimed, 1),
        "rationales_hold": whole / len(examples),
        "claims": claimed / len(examples),
    }


def stand_in(labels: NDArray[np.int64], logits: NDArray[np.float32], raters: int = 3) -> list[list[int]]:
    """Ratings by made-up people who confuse emotions as merit-large does; the first of them is always right."""
    odds = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    shares = odds / odds.sum(1, keepdims=True)
    confusion = np.stack(
        [shares[labels == c].mean(0) if (labels == c).any() else np.eye(len(EMOTIONS))[c] for c in range(len(EMOTIONS))]
    )
    random = np.random.default_rng(0)
    return [[int(c), *(int(x) for x in random.choice(len(EMOTIONS), raters - 1, p=confusion[c]))] for c in labels]


@task(
    __doc__,
    work_option,
    click.option("--run", "name", default="speech_lm/run", show_default=True, help="Folder of the run under --work."),
    click.option("--order", type=click.Choice(["label", "rationale"]), default="label", show_default=True),
    click.option("--labels-only", is_flag=True, help="Do not write rationales."),
    click.option("--out", type=PATH, help="File for the scores; scores.json of the run by default."),
    threads_option(),
)
def main(work: Path, name: str, order: str, labels_only: bool, out: Path | None, threads: int) -> None:
    """Score a run."""
    import torch

    torch.set_num_threads(threads)
    folder = work / "speech_lm"
    net = load(work / name / "average.pt")
    examples = examples_of(folder, "dev")
    lines = read_records(folder / "records.jsonl")
    kept = [k for k, line in enumerate(lines) if line["split"] == "dev" and line["cues"]]
    corpora = np.array([lines[k]["corpus"] for k in kept])
    logits = np.load(folder / "features.npz")["logits"][kept]
    labels = np.array([e.label for e in examples])
    scores: dict[str, Any] = {"turns": len(examples), "parameters": sum(p.numel() for p in net.parameters())}
    for way, hears in (("with words", True), ("without words", False)):
        written: list[Written] = []
        for at in range(0, len(examples), _BATCH):
            part = examples[at : at + _BATCH]
            written += decode(net, part, order, hears, not labels_only)
        said = np.array([one.label for one in written])
        found: dict[str, Any] = {"accuracy": float((said == labels).mean())}
        found["uar"] = {c: uar(said[corpora == c], labels[corpora == c]) for c in np.unique(corpora).tolist()}
        found["uar"]["mean"] = float(np.mean(list(found["uar"].values())))
        ratings = stand_in(labels, logits)
        found["annotators (stand-in)"] = annotator_scores(said, ratings, len(EMOTIONS))._asdict()
        if not labels_only:
            found |= faithfulness(examples, written)
            found["template"] = faithfulness(examples, written, by_template=True)
            some, writer = range(0, len(written), max(1, len(written) // 4)), Writer("en")
            found["sample"] = [written[k].text(examples[k].turn, writer) for k in some]
        scores[way] = found
    theirs = logits.argmax(1)
    scores["merit-large"] = {
        "accuracy": float((theirs == labels).mean()),
        "uar": {c: uar(theirs[corpora == c], labels[corpora == c]) for c in np.unique(corpora).tolist()},
    }
    constant, credit = constant_scores(stand_in(labels, logits), len(EMOTIONS))
    scores["constant"] = {"label": EMOTIONS[constant], **credit._asdict()}
    text = json.dumps(scores, indent=1, ensure_ascii=False)
    (out or work / name / "scores.json").write_text(text + "\n", encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
