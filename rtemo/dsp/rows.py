"""RowKernel: what every streaming piece of this package shares, rows of state that streams come and go by."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api.rows import StateTable


class RowKernel:
    """A computation over n streams whose state stands in the rows of one table.

    Row i of every `process` call belongs to the stream at position i. The work space is shared by the rows, so one
    object serves one thread at a time.

    Attributes:
        state: The table; its rows move with the streams.
    """

    def __init__(self, capacity: int) -> None:
        self.state = StateTable(capacity)

    def admit(self, row: int) -> None:
        """Start a stream at `row`, after silence."""
        self.state.admit(row)

    def retire(self, row: int, last: int) -> None:
        """End the stream at `row`; row `last` moves into its place."""
        self.state.retire(row, last)

    def reset(self, row: int) -> None:
        """Forget what the stream at `row` heard."""
        self.state.reset(row)


def float32_rows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give `samples` as a writable C-contiguous float32 array, without a copy when it is one.

    Numba compiles anew for another element type, layout or writability, which must never happen while audio flows.
    """
    rows = np.ascontiguousarray(samples, np.float32)
    return rows if rows.flags.writeable else rows.copy()


def check_out(out: NDArray[np.generic], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Refuse an output array that a kernel could not write into.

    Raises:
        ValueError: If the shape, element type or layout is another.
    """
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise ValueError(
            f"out is {out.dtype} {list(out.shape)}{'' if out.flags.c_contiguous else ', not contiguous'}; "
            f"expected C-contiguous {np.dtype(dtype)} {list(shape)}"
        )
