"""Joins the graft again behind the listener's graph: `python -m rtemo_models.systems.gem_large.join --out FOLDER`.

For a listener whose heads are new and whose encoder is as it was: the experts hear the same frames, so they are not
trained anew. Where the emotion is told otherwise the gate shifts with it; `drift` says by how much.
"""

from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo_models.kit.command import PATH, task
from rtemo_models.systems.gem_large.export import GRAFT, WEIGHTS, listener_graph, make_card


class Drift(NamedTuple):
    """How far what is said moves when a graft stands behind another graph.

    Attributes:
        correlation: Of the scores.
        largest: Of the differences of the scores.
        deviation: Of the scores, to compare with.
    """

    correlation: float
    largest: float
    deviation: float


def joined_card(old: ModelCard, graft: bytes) -> ModelCard:
    """The card of a graft behind the listener that is installed; what was measured of the experts is kept."""
    card = make_card(graft, len(graft) // 2, {}, old.scores)
    own = {name: value for name, value in old.calibration.items() if name not in card.calibration}
    return msgspec.structs.replace(card, calibration=card.calibration | own)


def drift(before: bytes, after: bytes, feeds: dict[str, NDArray[np.float32]]) -> Drift:
    """Run two joined graphs on the same windows, and compare their scores."""
    import onnxruntime

    scores = []
    for graph in (before, after):
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        scores.append(np.asarray(session.run(["score"], feeds)[0], np.float64))
    largest = float(np.abs(scores[0] - scores[1]).max())
    return Drift(float(np.corrcoef(*scores)[0, 1]), largest, float(scores[0].std()))


@task(
    __doc__,
    click.option("--out", type=PATH, required=True, help="Folder of the bundle, with its graft and card."),
    click.option("--joined", is_flag=True, help="Write the joined graph too, where the bundle is not to be installed."),
)
def main(out: Path, joined: bool) -> None:
    """Write the card anew."""
    graft = (out / GRAFT).read_bytes()
    card = joined_card(msgspec.json.decode((out / "card.json").read_bytes(), type=ModelCard), graft)
    (out / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    if joined:
        (out / WEIGHTS).write_bytes(listener_graph() + graft)
    click.echo(f"{out}: {card.sha256[:12]}, {card.weights_bytes / 1e6:.1f} MB joined")


if __name__ == "__main__":
    main()
