"""Run with `pytest bench/speed/dsp --benchmark-enable`; groups put each job beside its reference."""

from typing import Any

import pytest

from rtemo.cli.bench.timing import cases
from rtemo.cli.bench.twins import Case


@pytest.mark.parametrize("side", ["rtemo", "reference"])
@pytest.mark.parametrize(
    ("case", "n"), [pytest.param(case, n, id=f"{case.name}, n={n}") for case in cases()[0] for n in case.row_counts]
)
def test_speed(benchmark: Any, case: Case, n: int, side: str) -> None:
    benchmark.group = f"{case.name}, n={n}, against {case.reference}"
    ours, reference = case.make(n)
    benchmark(ours if side == "rtemo" else reference)
