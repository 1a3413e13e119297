"""A data folder with two emotions, two kinds of noise and a tiny untrained encoder, for the full-size network."""

from pathlib import Path

import numpy as np
import soundfile

from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.corpora.manifest import row_of


def write_data(folder: Path, train: int = 16, dev: int = 6, seconds: float = 0.5) -> list[Clip]:
    """Angry clips are high tones, sad ones low; clips of a split share speakers of that split only."""
    random = np.random.default_rng(0)
    clips = []
    (folder / "noise").mkdir(parents=True)
    for k in range(train + dev):
        split = "train" if k < train else "dev"
        emotion = ("angry", "sad")[k % 2]
        hz = (1500 if k % 2 else 300) * random.uniform(0.9, 1.1)
        time_s = np.arange(int(16_000 * seconds)) / 16_000
        tone = 0.2 * np.sin(2 * np.pi * hz * time_s) * (1 + np.sin(8 * time_s)) / 2
        path = folder / f"{k}.wav"
        soundfile.write(path, tone, 16_000)
        votes = (0, 0, 0, 1, 3, 0, 0, 0)
        clips.append(Clip(path.name, "msp_podcast", f"{split}-{k % 4}", split, emotion, "", seconds, votes=votes))
    for split in ("train", "dev"):
        soundfile.write(folder / "noise" / f"{split}.wav", 0.1 * random.standard_normal(6000), 16_000)
    rows = "".join(f"noise/{split}.wav,hiss,{split}\n" for split in ("train", "dev"))
    (folder / "noise" / "manifest.csv").write_text("path,kind,split\n" + rows)
    return clips


def write_manifest(folder: Path, clips: list[Clip]) -> None:
    """Enter the clips into the manifest of the emotion folder."""
    import csv

    (folder / "emotion").mkdir()
    rows = [row_of(c, "en") for c in clips]
    with (folder / "emotion" / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def tiny_encoder(seed: int = 0):
    """A WavLM of two layers of 16 that never learnt anything, without dropout."""
    import torch
    from transformers import WavLMConfig, WavLMModel

    torch.manual_seed(seed)
    off = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout")
    return WavLMModel(
        WavLMConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            feat_extract_norm="layer",
            do_stable_layer_norm=True,
            **dict.fromkeys(off, 0.0),
        )
    )


SETTINGS = {
    "seed": 7,
    "encoder": "tiny",
    "corpora": ["msp_podcast"],
    "classes": ["angry", "sad"],
    "epochs": 2,
    "heads_epochs": 0,
    "batch": 8,
    "micro_batch": 4,
    "rates": {"encoder": 1e-3, "experts": 1e-3, "routers": 1e-3, "emotion": 1e-3, "speech": 1e-3},
    "weight_decay": 0.01,
    "speech_weight": 1.0,
    "balance_weight": 0.0,
    "z_weight": 1e-3,
    "combine": "sum",
    "soft_labels": False,
    "snr_db": [5.0],
    "dev_snr_db": [5.0],
    "longest_s": 12.0,
    "select": "f1_macro",
    "checkpoint_steps": 1,
    "bf16": False,
    "net": {"expert_hidden": 24, "expert_out": 16, "head_dropout": 0.0, "mask_hidden": 16},
}
"""A recipe for the tiny encoder; without dropout and balance, whose values depend on how a batch is divided."""
