"""Print how long each job takes beside its reference: `python -m bench.speed.dsp.ratios`."""

import timeit

from bench.speed.dsp.cases import CASES, Run

_REPEATS = 40
_SLICE_S = 0.01


def best_us(run: Run) -> float:
    """The least mean time of a call over several slices of time; the least, since noise only adds."""
    run()
    timer = timeit.Timer(run)
    calls, taken_s = timer.autorange()
    number = max(1, round(calls * _SLICE_S / taken_s))
    return min(timer.repeat(_REPEATS, number)) / number * 1e6


def main() -> None:
    """Print the table as Markdown."""
    print("| job | n | us per row | reference | us per row | times as fast |")
    print("|---|---:|---:|---|---:|---:|")
    for case in CASES:
        for n in case.row_counts:
            ours, reference = (best_us(run) / n for run in case.make(n))
            ratio = reference / ours
            print(f"| {case.name} | {n} | {ours:.2f} | {case.reference} | {reference:.2f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
