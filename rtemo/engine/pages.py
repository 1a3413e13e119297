"""Memory that is taken a small page at a time, as it is first written."""

import contextlib
import math
import mmap

import numpy as np
from numpy.typing import DTypeLike, NDArray


def zeros_by_page(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """Make zeros of which nothing is in memory yet, and of which no write brings in more than a page of some kB.

    NumPy asks the system for huge pages, of 2 MB on most machines. That is right for what is soon full; of a table with
    a long row for every stream each first write would clear 2 MB, a millisecond that is missing where 100 come at once.

    Args:
        shape: Of the array.
        dtype: Element type.
    """
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if not (size_bytes and hasattr(mmap, "MADV_NOHUGEPAGE")):
        return np.zeros(shape, dtype)
    block = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without huge pages knows no such advice
        block.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(block, dtype).reshape(shape)
