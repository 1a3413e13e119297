"""A small bundle of the kind of `merit-large`, exported as that is, of random weights."""

from pathlib import Path

import msgspec
import torch

from rtemo_models.systems.merit_large.export import Committee, listener_graph, make_card
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import Listener
from rtemo_models.systems.merit_large.net import Encoder
from tests.fakes.bundles import write_bundle

FRAMES, LAYERS, WIDTH, WORDS = 150, 3, 64, 8
FEATURES = 2 * LAYERS * WIDTH


def listener_bundle(folder: Path, seed: int = 0) -> Path:
    """Write a bundle with its licence and notice; of its two heads one knows two layers, as in what ships."""
    torch.manual_seed(seed)
    encoder = Encoder(LAYERS, FRAMES, WIDTH, 2)
    heads = Committee([Heads(FEATURES, WORDS)], older=Heads(2 * (LAYERS - 1) * WIDTH, WORDS))
    listener = Listener(encoder, tuple(range(1, LAYERS + 1)), heads).eval()
    graph = listener_graph(listener, FRAMES)
    card = make_card(listener, graph, FRAMES, "0", {"temperature": 1.2, "unsure_below": 0.1}, {})
    write_bundle(folder, graph, msgspec.structs.replace(card, name="small", weights="toy.onnx"))
    for name in ("LICENSE", "NOTICE"):
        (folder / name).write_text(f"the {name.lower()} of what it was made from\n")
    return folder
