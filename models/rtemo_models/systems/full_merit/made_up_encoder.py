"""Writes a tiny encoder with drawn weights, for runs that only show that the steps fit together."""

from pathlib import Path

import click

from rtemo_models.kit.command import PATH, task


@task(__doc__, click.option("--out", type=PATH, required=True, help="Folder of the encoder."))
def main(out: Path) -> None:
    """Command line."""
    import torch
    from transformers import WavLMConfig, WavLMModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    places = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    config = WavLMConfig(
        conv_dim=(8,) * 7, feat_extract_norm="layer", do_stable_layer_norm=True, layerdrop=0.0, **sizes, **places
    )
    WavLMModel(config).save_pretrained(out)


if __name__ == "__main__":
    main()
