"""How long a job takes beside its reference, in turns, so that whatever slows the machine slows both."""

import time
from importlib.util import find_spec

import msgspec

from rtemo.cli.bench.twins import CASES, Case, Run

_SLICE_S = 0.01


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """A job and its reference."""

    job: str
    rows: int
    """Streams that are worked on at once."""
    us: float
    """Time for each row."""
    reference: str
    reference_us: float
    ratio: float
    """How many times as fast as the reference."""


def cases(part: str = "") -> tuple[list[Case], str]:
    """Give the jobs whose names hold a text; and what to say of those that cannot be measured here, or nothing."""
    wanted, problem = list(CASES), "jobs whose reference is SciPy are left out; to have them: pip install scipy"
    if find_spec("scipy") is not None:
        from rtemo.cli.bench import scipy_twins

        wanted, problem = [*wanted, *scipy_twins.CASES], ""
    return [case for case in wanted if part.casefold() in case.name.casefold()], problem


def timed(case: Case, rows: int, repeats: int) -> Timed:
    """Measure a job: the least mean time of a call over several slices of time; the least, since noise only adds."""
    runs = case.make(rows)
    counts = [_calls(run) for run in runs]
    best_s = [float("inf")] * 2
    for _ in range(repeats):
        for side, (run, count) in enumerate(zip(runs, counts, strict=True)):
            best_s[side] = min(best_s[side], _mean_s(run, count))
    us, reference_us = (seconds / rows * 1e6 for seconds in best_s)
    return Timed(
        job=case.name,
        rows=rows,
        us=us,
        reference=case.reference,
        reference_us=reference_us,
        ratio=reference_us / us,
    )


def _calls(run: Run) -> int:
    """Tell how many calls fill a slice; the first one compiles."""
    run()
    return max(1, round(_SLICE_S / max(min(_mean_s(run, 3) for _ in range(3)), 1e-9)))


def _mean_s(run: Run, count: int) -> float:
    start_s = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start_s) / count
