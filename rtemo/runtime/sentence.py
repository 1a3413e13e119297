"""MiniLmSentence: a sentence encoder of the BERT family (all-MiniLM-L6-v2), run by NumPy."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError

_TOKENIZER = "tokenizer.json"
_EPSILON = 1e-12
_DTYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16, "I64": np.int64}

Array = NDArray[np.float32]


class MiniLmSentence:
    """A sentence encoder loaded for one lane; see `rtemo.api.SentenceHandle`.

    A query is encoded once, in some 20 ms, so plain NumPy does and no runtime is needed. The mean over the tokens of
    the last layer, of length one, is what the model was trained for (Reimers and Gurevych, "Sentence-BERT", 2019; Wang
    et al., "MiniLM", 2020).

    Args:
        card: What the model is.
        files: File name → contents, proved.

    Raises:
        ModelError: The files are no such model.
    """

    def __init__(self, card: ModelCard, files: Mapping[str, bytes]) -> None:
        self.card = card
        try:
            self._weights = read_safetensors(next(iter(files.values())))
            self._tokenizer = tokenizers.Tokenizer.from_str(files[_TOKENIZER].decode("utf-8"))
            self._layers = 1 + max(
                int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer.")
            )
        except Exception as error:  # each of the libraries that read the files raises what it likes
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the files of {card.name!r} are no sentence encoder ({reason})",
                "correct the card, or use another bundle",
            ) from error
        self._heads = int(card.front_end.get("heads", 12))
        self._tokenizer.enable_truncation(int(card.front_end.get("most_tokens", 128)))
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Array:
        """Encode texts, each by itself: float32 [n, width] of length one; what is too long is cut."""
        width = self._weights["embeddings.LayerNorm.weight"].shape[0]
        return np.stack([self._encode(text) for text in texts]) if texts else np.zeros((0, width), np.float32)

    def _encode(self, text: str) -> Array:
        tokens = np.array(self._tokenizer.encode(text).ids)
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][tokens]
        x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
        x = self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for number in range(self._layers):
            x = self._layer(x, f"encoder.layer.{number}")
        mean = x.mean(0)
        made: Array = (mean / max(float(np.linalg.norm(mean)), _EPSILON)).astype(np.float32)
        return made

    def _layer(self, x: Array, name: str) -> Array:
        count, width = x.shape
        each = width // self._heads
        query, key, value = (
            self._linear(x, f"{name}.attention.self.{part}").reshape(count, self._heads, each).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(each))
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(count, width)
        attended = self._linear(mixed, f"{name}.attention.output.dense")
        x = self._norm(x + attended, f"{name}.attention.output.LayerNorm")
        fed = _gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._linear(fed, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Array, name: str) -> Array:
        made: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return made

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
        made: Array = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return made


def read_safetensors(data: bytes) -> dict[str, Array]:
    """Read every tensor of a safetensors file as float32, by name.

    Layout: uint64 size of the head, little-endian; the head as JSON: name → dtype, shape, first and last byte; data.

    Raises:
        ValueError: It is cut short or contradicts itself.
    """
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    body = memoryview(data)[8 + size :]
    tensors = {}
    for name, one in head.items():
        if name == "__metadata__":
            continue
        first, last = one["data_offsets"]
        values = np.frombuffer(body[first:last], _DTYPES[one["dtype"]])
        tensors[name.removeprefix("bert.")] = values.reshape(one["shape"]).astype(np.float32, copy=False)
    return tensors


def _gelu(x: Array) -> Array:
    """The exact form, x Φ(x), its error function by Abramowitz and Stegun 7.1.26 (off by 1.5e-7 at most)."""
    z = np.abs(x) / np.sqrt(np.float32(2))
    t = 1.0 / (1.0 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    made: Array = 0.5 * x * (1.0 + np.sign(x) * (1.0 - poly * np.exp(-z * z)))
    return made.astype(np.float32)
