"""Sorting for kernels.

`np.sort` and `np.median` inside a kernel bring so many functions of Numba's along that they take longer to compile than
most kernels here.
"""

from typing import Any

from rtemo.dsp.kernel import kernel


@kernel
def sort_values(values: Any) -> None:
    """Sort one-dimensional values in place, NaN last, as `np.sort` does (Shell 1959, doi:10.1145/368370.368387)."""
    gap = values.size // 2
    while gap > 0:
        for i in range(gap, values.size):
            value = values[i]
            j = i
            while j >= gap and (values[j - gap] > value or values[j - gap] != values[j - gap]):
                values[j] = values[j - gap]
                j -= gap
            values[j] = value
        gap = 1 if gap == 2 else gap * 5 // 11
