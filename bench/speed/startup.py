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
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    first_s: list[float] = []
    sound_s: list[float] = []
    for run in range(arguments.runs + 1):
        start_s = time.perf_counter()
        command = [sys.executable, "-m", "rtemo.cli.main", "listen", str(CALL), "--jsonl", "-"]
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
            first_s.append(seen_s)
            sound_s.append(now_s)
    print(
        json.dumps(
            {
                "runs": arguments.runs,
                "first_event_s": round(float(np.median(first_s)), 2),
                "first_event_about_sound_s": round(float(np.median(sound_s)), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
