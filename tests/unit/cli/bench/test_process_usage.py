import subprocess
import sys

import pytest

from rtemo.cli.bench.process_usage import ProcessUsage, Usage

pytestmark = pytest.mark.unit


def test_memory_of_another_process_is_seen_to_climb_and_descriptors_to_be_opened() -> None:
    code = (
        "import sys\nheld = []\nfor _ in sys.stdin:\n"
        "    held.append((bytearray(8 << 20), open('/dev/null')))\n    print(flush=True)"
    )
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        usage = ProcessUsage(process.pid)
        for hour in range(5):
            process.stdin.write("more\n")
            process.stdout.readline()
            usage.look(float(hour))
        process.stdin.close()
    told = usage.told(1.0)
    assert told["memory_slope_mib_per_hour"] == pytest.approx(8.0, abs=0.5)
    first = usage.samples[1].descriptors
    assert told["descriptors"] == f"{first}-{first + 3}"
    assert told["threads"] == "1"


def test_slope_leaves_out_the_time_until_caches_are_full() -> None:
    usage = ProcessUsage()
    usage.samples = [Usage(hour / 10, min(100.0, 10.0 * hour), 7, 3) for hour in range(100)]
    assert usage.told(1.0)["memory_slope_mib_per_hour"] == 0.0
    assert usage.told(0.0)["memory_slope_mib_per_hour"] != 0.0
