"""StateTable: per-stream state as rows of preallocated arrays, kept compact."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class StateTable:
    """Named arrays [capacity, ...] whose first n rows are the live streams.

    Compact rows make the live state one contiguous slice, so a batched kernel or model reads it without a
    copy. When a stream leaves, the last live row is moved into its place.

    >>> table = StateTable(capacity=4)
    >>> energy = table.add("energy", (), np.float32, fill=-1.0)
    >>> energy[:2] = [5.0, 7.0]
    >>> table.retire(0, last=1)
    >>> float(energy[0]), float(energy[1])
    (7.0, -1.0)
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._arrays: dict[str, NDArray[np.generic]] = {}
        self._fills: dict[str, NDArray[np.generic]] = {}

    def add(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, fill: ArrayLike = 0) -> NDArray[np.generic]:
        """Add one array [capacity, *shape] and return it.

        Args:
            name: Unique name within the table.
            shape: Shape of one row.
            dtype: Element type.
            fill: Value, broadcast to `shape`, that a fresh row holds.
        """
        if name in self._arrays:
            raise ValueError(f"state {name!r} was added twice")
        row = np.broadcast_to(np.asarray(fill, dtype=dtype), shape).copy()
        array = np.empty((self.capacity, *shape), dtype=dtype)
        array[:] = row
        self._arrays[name] = array
        self._fills[name] = row
        return array

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def admit(self, row: int) -> None:
        """Give `row` fresh state."""
        self.reset(row)

    def reset(self, row: int, prefix: str = "") -> None:
        """Give `row` fresh state; only of the arrays whose names begin with `prefix`, if one is given."""
        for name, array in self._arrays.items():
            if name.startswith(prefix):
                array[row] = self._fills[name]

    def copy(self, row: int, other: "StateTable", other_row: int) -> None:
        """Fill `row` with a row of another table that has the same arrays."""
        for name, array in self._arrays.items():
            array[row] = other[name][other_row]

    def retire(self, row: int, last: int) -> None:
        """Fill `row` with the state of row `last`, and make `last` fresh."""
        if row != last:
            for array in self._arrays.values():
                array[row] = array[last]
        self.admit(last)
