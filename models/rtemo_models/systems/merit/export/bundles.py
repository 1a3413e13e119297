"""Writes the bundles of Sparse MERIT: `python -m rtemo_models.systems.merit.export.bundles`.

FOLDER gets `merit_listen` and `merit_enhance`, each a graph and its card. With the results of the evaluations the cards
also get calibration and scores.
"""

import json
from pathlib import Path
from typing import Any

import click

from rtemo.api import EMOTIONS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.audio.spectra import FLOOR, FRAME_SAMPLES, HOP_SAMPLES, LATENCY_SAMPLES, SYNTHESIS_SAMPLES
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.card import RATE_HZ, card_of, summary_of
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.systems.merit.export.enhancer import enhancer_graph, enhancer_macs
from rtemo_models.systems.merit.export.listener import listener_graph, listener_macs
from rtemo_models.systems.merit.net.merit import Merit, load_merit

FRONT_END: dict[str, float | int | str | bool] = {
    "rate_hz": RATE_HZ,
    "hop_samples": HOP_SAMPLES,
    "frame_samples": FRAME_SAMPLES,
    "synthesis_samples": SYNTHESIS_SAMPLES,
    "fft_samples": FRAME_SAMPLES,
    "mel_count": 64,
    "low_hz": 60.0,
    "high_hz": 7600.0,
    "floor": FLOOR,
}
"""The spectrum that both networks were trained on; see `rtemo.dsp.stft` and `rtemo.dsp.bands`."""

TRAINING_DATA = (
    "RAVDESS speech, 16 of 20 actors at hand, English (CC BY-NC-SA 4.0)",
    "nEMO, 5 of 7 speakers at hand, Polish (CC BY-NC-SA 4.0)",
    "ASED, 51 of 65 speakers, Amharic (no licence stated; published for research)",
    "BAVED, 46 of 59 speakers, Arabic words, activation levels (no licence stated; published for research)",
    "TESS, 2 speakers, English (CC BY-NC-ND 4.0)",
    "Rakshak, 80 of 101 speakers, Hindi and English keywords (CC BY-NC-SA 4.0)",
    "LibriSpeech and speechocean762 clips as neutral or calm speech (CC BY 4.0)",
    "frames of the Moonshine tiny speech encoder (MIT), as published and trained on, as distillation targets",
    "noises, ESC-10 classes among them, and measured room impulse responses (research; MIT, CC BY, CC0)",
)

EMOTION_LIMITS = (
    "Perceived expression of acted and prompted speech, not an inner state; natural conversation was not trained on.",
    "Calm, disgust and surprise were heard from few speakers (RAVDESS, TESS, nEMO; calm also Rakshak).",
    "Valence from the voice alone is weak: happy and angry, both excited, are the likeliest confusion.",
    "Arousal and valence targets are one point per category on the circumplex, not ratings of the clip.",
    "Languages heard with emotion: English, Polish, Amharic, Arabic (arousal only), Hindi; others are extrapolation.",
    "Not for decisions about people; emotion recognition at work or in education is restricted by law in places.",
)

ENHANCEMENT_LIMITS = (
    "Takes noise away; rooms, telephone bands and clipping stay as they are.",
    "Gains on the noisy phase; at -5 dB and below speech is damaged, set attenuation_limit_db to keep more of it.",
    "A second talker is speech and mostly stays.",
    "Forty minutes of recorded noise were trained on, beside made-up noise and babble.",
)

LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
RECIPE = "models/rtemo_models/systems/merit"


def make_cards(net: Merit, graphs: dict[str, bytes], version: str, results: dict[str, Any]) -> dict[str, ModelCard]:
    """Describe both exported parts.

    Args:
        net: The network.
        graphs: `listen` and `enhance`, each an ONNX file.
        version: Version of the bundles.
        results: For `listen` and `enhance`: `calibration` and `scores` as evaluations wrote them; may be empty.
    """
    listener, enhancer = net.listener, net.enhancer
    hops, context = listener.config.hops_per_step, TensorSpec((listener.config.context,))
    shared: dict[str, Any] = {
        "version": version,
        "licence": LICENCE,
        "front_end": FRONT_END,
        "training_data": TRAINING_DATA,
        "recipe": RECIPE,
    }
    listen = card_of(
        listener,
        "merit-listen",
        graphs["listen"],
        hops,
        listener_macs(listener),
        task="emotion",
        parameters=sum(p.numel() for p in listener.parameters()) - sum(p.numel() for p in listener.distil.parameters()),
        inputs={
            "bands": TensorSpec((hops, listener.config.mel_count)),
            "weight": TensorSpec((hops,)),
        },
        outputs={
            "logits": TensorSpec((len(EMOTIONS),)),
            "arousal": TensorSpec(()),
            "valence": TensorSpec(()),
            "context": context,
            "experts": TensorSpec((2,)),
            "words": TensorSpec((listener.config.width,)),
        },
        labels=EMOTIONS,
        calibration=results.get("listen", {}).get("calibration", {"temperature": 1.0}),
        scores=results.get("listen", {}).get("scores", {}),
        limits=EMOTION_LIMITS,
        **shared,
    )
    enhance = card_of(
        enhancer,
        "merit-enhance",
        graphs["enhance"],
        1,
        enhancer_macs(enhancer),
        task="enhancement",
        latency_samples=LATENCY_SAMPLES,
        inputs={
            "bands": TensorSpec((enhancer.config.mel_count,)),
            "bins": TensorSpec((enhancer.config.bins,)),
            "context": context,
        },
        outputs={"gain": TensorSpec((enhancer.config.bins,))},
        scores=results.get("enhance", {}).get("scores", {}),
        limits=ENHANCEMENT_LIMITS,
        **shared,
    )
    return {"listen": listen, "enhance": enhance}


def write_bundles(
    net: Merit, folder: Path, version: str, results: dict[str, Any], small_weights: bool = True
) -> dict[str, ModelCard]:
    """Write graph, card and package file of both parts into `folder`; returns the cards.

    The listener's matrices are bytes unless told otherwise: alone it runs in 0.6 of the time, since its weights fit
    into the cache, and in a batch in the same. The enhancer's are small enough as they are.
    """
    metadata = {"version": version, "licence": LICENCE, "front_end": json.dumps(FRONT_END)}
    graphs = {
        "listen": listener_graph(
            net.listener, {**metadata, "task": "emotion", "labels": ",".join(EMOTIONS)}, small_weights
        ),
        "enhance": enhancer_graph(net.enhancer, {**metadata, "task": "enhancement"}),
    }
    files = {part: graph.SerializeToString(deterministic=True) for part, graph in graphs.items()}
    cards = make_cards(net, files, version, results)
    for part, card in cards.items():
        write_folder(folder / f"merit_{part}", card, files[part])
    return cards


def read_results(emotion: Path | None, enhancement: Path | None) -> dict[str, Any]:
    """What the cards take over from the evaluations' files."""
    results: dict[str, Any] = {}
    if emotion is not None:
        found = json.loads(emotion.read_text())
        results["listen"] = {"calibration": found["calibration"], "scores": found["scores"]}
    if enhancement is not None:
        by_snr = json.loads(enhancement.read_text())["noise"]["dev"]["merit"]["snr_db"]
        scores = {
            "mean" if snr == "mean" else f"{snr}_db": {metric: round(value[0], 3) for metric, value in row.items()}
            for snr, row in by_snr.items()
        }
        results["enhance"] = {"scores": scores}
    return results


@task(
    __doc__,
    click.option("--run", "run_path", type=PATH, required=True, help="average.pt of a training run."),
    click.option("--out", type=PATH, required=True, help="Folder that gets both bundles."),
    click.option("--version", default="0.1.0", show_default=True),
    click.option("--float", "as_float", is_flag=True, help="Keep the listener's weights as floats."),
    click.option(
        "--emotion", "emotion_path", type=PATH, help="Results of bench.quality.emotion.evaluate, for the card."
    ),
    click.option(
        "--enhancement", "enhancement_path", type=PATH, help="Results of bench.quality.enhancement, for the card."
    ),
)
def main(
    run_path: Path, out: Path, version: str, as_float: bool, emotion_path: Path | None, enhancement_path: Path | None
) -> None:
    """Command line."""
    results = read_results(emotion_path, enhancement_path)
    cards = write_bundles(load_merit(run_path), out, version, results, not as_float)
    for card in cards.values():
        print(summary_of(card))


if __name__ == "__main__":
    main()
