"""Train the judge of pauses: `python -m rtemo_models.systems.end_of_turn.train --records FILE --out FOLDER`.

The records are those of `python -m bench.quality.turns --data D --split train --records FILE`: for each pause of read
speech the features of `rtemo.dsp.pauses` after every 100 ms, and whether the clip ended with it. Clips are whole
sentences (speechocean762); those of LibriSpeech, cut anywhere in a text, do not end where a reader would stop.
Every step of a pause is an example; speakers are kept together when the number of passes is chosen, and each weighs the
same.
"""

import hashlib
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api.model import ModelCard, TensorSpec
from rtemo.dsp.pauses import FEATURES
from rtemo_models.kit.command import PATH, task, threads_option
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.export.graph import GraphBuilder

WIDTH = 24
_MOST_PASSES = 400
_PATIENCE = 40
_BATCH = 512
_HELD_OUT = 0.2


class PauseNet(torch.nn.Module):
    """Two layers on standardised features."""

    def __init__(self, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        self.first = torch.nn.Linear(len(FEATURES), WIDTH)
        self.last = torch.nn.Linear(WIDTH, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Give the log-odds [n] of features [n, len(FEATURES)]."""
        hidden = torch.relu(self.first((features - self.mean) / self.deviation))
        logits: torch.Tensor = self.last(hidden)[:, 0]
        return logits


def speaker_weights(speaker: NDArray[np.str_]) -> NDArray[np.float32]:
    """Weigh examples so that every speaker counts the same, float32 [n] of mean 1."""
    _, index, count = np.unique(speaker, return_inverse=True, return_counts=True)
    weight = 1.0 / count[index]
    made: NDArray[np.float32] = (weight / weight.mean()).astype(np.float32)
    return made


def fit(
    features: NDArray[np.float32], is_end: NDArray[np.bool_], speaker: NDArray[np.str_], seed: int
) -> tuple[PauseNet, float]:
    """Train until the loss of speakers that are held out has not fallen for 40 passes; tell that loss, in nats."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    names = np.unique(speaker)
    held = np.isin(speaker, rng.choice(names, round(_HELD_OUT * len(names)), replace=False))
    net = PauseNet(features[~held].mean(0), features[~held].std(0) + 1e-3)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    weight = torch.from_numpy(speaker_weights(speaker))
    x, y = torch.from_numpy(features), torch.from_numpy(is_end.astype(np.float32))
    trained, tested = torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))
    best, best_loss, since = {k: v.clone() for k, v in net.state_dict().items()}, np.inf, 0
    for _ in range(_MOST_PASSES):
        for part in trained[torch.randperm(len(trained))].split(_BATCH):
            optimiser.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x[part]), y[part], weight[part])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            held_loss = float(
                torch.nn.functional.binary_cross_entropy_with_logits(net(x[tested]), y[tested], weight[tested])
            )
        since += 1
        if held_loss < best_loss:
            best, best_loss, since = {k: v.clone() for k, v in net.state_dict().items()}, held_loss, 0
        if since >= _PATIENCE:
            break
    net.load_state_dict(best)
    return net, best_loss


def build_graph(net: PauseNet) -> bytes:
    """Write the net as a graph: features [n, len(FEATURES)] → p_end [n, 1]; standardising goes into the first layer."""
    g = GraphBuilder()
    state = {name: value.numpy().astype(np.float64) for name, value in net.state_dict().items()}
    weight = state["first.weight"] / state["deviation"]
    bias = state["first.bias"] - weight @ state["mean"]
    hidden = g.add(
        "Relu",
        g.linear(g.input("features", (len(FEATURES),)), "first", weight.astype(np.float32), bias.astype(np.float32)),
    )
    logits = g.linear(hidden, "last", state["last.weight"].astype(np.float32), state["last.bias"].astype(np.float32))
    g.output(g.add("Sigmoid", logits), "p_end", (1,))
    data: bytes = g.model("end-of-turn", {"features": ",".join(FEATURES)}).SerializeToString()
    return data


def card_of(graph: bytes, held_loss: float, pauses: int) -> ModelCard:
    """Describe the bundle."""
    return ModelCard(
        name="end-of-turn",
        version="1.0.0",
        task="turn-taking",
        weights="end-of-turn.onnx",
        weights_bytes=len(graph),
        sha256=hashlib.sha256(graph).hexdigest(),
        licence="CC BY 4.0",
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=1,
        lookahead_samples=0,
        latency_samples=0,
        parameters=WIDTH * (len(FEATURES) + 2) + 1,
        macs_per_s=WIDTH * (len(FEATURES) + 1) * 10,
        inputs={"features": TensorSpec((len(FEATURES),))},
        states={},
        outputs={"p_end": TensorSpec((1,))},
        training_data=("speechocean762 (CC BY 4.0)",),
        limits=(
            "learnt from English sentences read aloud by learners of it; in conversation it hardly tells a pause "
            "within a turn from the end of one",
            "hears pauses, pitch and level, and no words",
        ),
        scores={"speakers held out": {"loss_nats": round(held_loss, 4), "pauses": float(pauses)}},
        recipe="python -m rtemo_models run end_of_turn",
    )


@task(
    __doc__,
    click.option("--records", type=PATH, required=True, help="Pauses, as bench.quality.turns writes them."),
    click.option("--out", type=PATH, required=True, help="Folder of the bundle."),
    click.option("--seed", type=int, default=1, show_default=True),
    threads_option(),
)
def main(records: Path, out: Path, seed: int, threads: int) -> None:
    """Train and export."""
    torch.set_num_threads(threads)
    held = np.load(records, allow_pickle=False)
    pause = held["pause"]
    net, loss = fit(held["features"], held["is_end"][pause], held["speaker"][pause], seed)
    graph = build_graph(net)
    write_folder(out, card_of(graph, loss, len(held["is_end"])), graph)
    print(f"{len(held['is_end'])} pauses, loss of held-out speakers {loss:.4f} nats")


if __name__ == "__main__":
    main()
