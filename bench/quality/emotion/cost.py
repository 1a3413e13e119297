"""What a step of the emotion bundle costs: `python -m bench.quality.emotion.cost`.

One thread; the graph alone, states fed and returned as arrays, which costs a little more than binding them in place.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from bench.quality.emotion.streams import SHIPPED, StreamRunner

COUNTS = (1, 16, 64, 256)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=SHIPPED)
    parser.add_argument("--seconds", type=float, default=3.0, help="per number of streams")
    options = parser.parse_args()
    runner = StreamRunner(options.bundle)
    print("| streams | step p50 us | step p99 us | per stream and step us | per stream and hop us |")
    print("|---|---|---|---|---|")
    for n in COUNTS:
        feeds = runner.feeds(n, np.random.default_rng(0))
        taken_us: list[float] = []
        end_s = time.monotonic() + options.seconds
        while time.monotonic() < end_s:
            began_ns = time.perf_counter_ns()
            runner.session.run(None, feeds)
            taken_us.append((time.perf_counter_ns() - began_ns) / 1e3)
        p50, p99 = np.percentile(taken_us[5:], [50, 99])
        print(f"| {n} | {p50:.0f} | {p99:.0f} | {p50 / n:.1f} | {p50 / n / runner.card.hops_per_step:.2f} |")


if __name__ == "__main__":
    main()
