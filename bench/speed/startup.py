"""Cold start: `python -m bench.speed.startup --runs 5`.

From the start of a process to the first event, and to the first about sound, of `rtemo listen` on the example call;
kernels come from the cache on disk, as in every start but the first.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CALL = Path(__file__).parents[2] / "examples" / "call.flac"


def main() -> None:
    """Measure and print one JSON line for each chain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--chains", default="default", help="by name, each in turn at every run")
    arguments = parser.parse_args()
    chains = arguments.chains.split(",")
    first_s: dict[str, list[float]] = {chain: [] for chain in chains}
    sound_s: dict[str, list[float]] = {chain: [] for chain in chains}
    for number in range((arguments.runs + 1) * len(chains)):
        run, chain = number // len(chains), chains[number % len(chains)]
        start_s = time.perf_counter()
        command = [sys.executable, "-m", "rtemo.cli.main", "listen", str(CALL), "--jsonl", "-", "--chain", chain]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            seen_s = 0.0
            for line in process.stdout:
                now_s = time.perf_counter() - start_s
                seen_s = seen_s or now_s
                if json.loads(line)["kind"] in ("level", "speech_start"):
                    break
            process.terminate()
        if run:  # the first run fills the disk cache
            first_s[chain].append(seen_s)
            sound_s[chain].append(now_s)
    for chain in chains:
        print(
            json.dumps(
                {
                    "chain": chain,
                    "runs": arguments.runs,
                    "first_event_s": round(float(np.median(first_s[chain])), 2),
                    "first_event_about_sound_s": round(float(np.median(sound_s[chain])), 2),
                }
            )
        )


if __name__ == "__main__":
    main()
