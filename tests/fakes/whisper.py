"""A model in CTranslate2's form with random weights: as many encoder layers as wanted, as wide as Whisper base."""

import struct

import numpy as np
from numpy.typing import NDArray

WIDTH, MELS = 512, 80


def model_bin(layers: int, seed: int = 0) -> bytes:
    """The bytes of a `model.bin` of version 6 whose decoder is left out."""
    random = np.random.default_rng(seed)
    variables: dict[str, NDArray[np.generic]] = {"encoder/num_heads": np.array(8, np.int16)}

    def matrix(name: str, *shape: int) -> None:
        size = 0.7 / np.sqrt(np.prod(shape[1:]))
        variables[f"encoder/{name}/weight"] = (size * random.standard_normal(shape)).astype(np.float16)
        variables[f"encoder/{name}/bias"] = (0.1 * random.standard_normal(shape[0])).astype(np.float16)

    def norm(name: str) -> None:
        variables[f"encoder/{name}/gamma"] = random.uniform(0.5, 1.5, WIDTH).astype(np.float16)
        variables[f"encoder/{name}/beta"] = (0.1 * random.standard_normal(WIDTH)).astype(np.float16)

    matrix("conv1", WIDTH, MELS, 3)
    matrix("conv2", WIDTH, WIDTH, 3)
    positions = 0.1 * random.standard_normal((1500, WIDTH))
    variables["encoder/position_encodings/encodings"] = positions.astype(np.float16)
    for k in range(layers):
        norm(f"layer_{k}/self_attention/layer_norm")
        matrix(f"layer_{k}/self_attention/linear_0", 3 * WIDTH, WIDTH)
        matrix(f"layer_{k}/self_attention/linear_1", WIDTH, WIDTH)
        norm(f"layer_{k}/ffn/layer_norm")
        matrix(f"layer_{k}/ffn/linear_0", 4 * WIDTH, WIDTH)
        matrix(f"layer_{k}/ffn/linear_1", WIDTH, 4 * WIDTH)
    norm("layer_norm")
    return written(variables, {"decoder/alias": "encoder/num_heads"})


def written(variables: dict[str, NDArray[np.generic]], aliases: dict[str, str]) -> bytes:
    """Variables in CTranslate2's binary form."""
    codes = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, values in variables.items():
        parts += [text(name), struct.pack("<B", values.ndim), struct.pack(f"<{values.ndim}I", *values.shape)]
        parts += [struct.pack("<BI", codes[values.dtype.name], values.nbytes), values.tobytes()]
    parts.append(struct.pack("<I", len(aliases)))
    parts += [text(alias) + text(name) for alias, name in aliases.items()]
    return b"".join(parts)
