"""Recorder: a program that records the default microphone until told to stop, run in a process of its own.

    python -m tests.fakes.recorder OUT.npz [sounddevice|pyaudio]

It prints `ready`, then a line for each event: monotonic time, state, detail. On standard input it takes `hold S`
(keep the interpreter lock for that long, as badly behaved code would, and tell what came in meanwhile) and `quit`.
"""

import ctypes
import select
import sys
import time

import numpy as np

from bench.fakes.desk import FakeDesk
from rtemo.api import RtemoError, SourceState
from rtemo.io.sources.capture_ring import _WRITE_RECORDS
from rtemo.io.sources.microphone import MicrophoneSource
from rtemo.io.sources.options import MicrophoneOptions


def blocks_while_holding(source: MicrophoneSource, duration_s: float) -> int:
    """Keep the interpreter lock without a pause, and count what the device's callback delivers all the same."""
    assert source._line is not None
    words = source._line._ring._words  # read without any call that would let go of the lock
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(60.0)  # nobody may ask for the lock meanwhile
    before = int(words[_WRITE_RECORDS])
    ctypes.PyDLL(None).usleep(int(duration_s * 1e6))  # PyDLL does not let go of it
    blocks = int(words[_WRITE_RECORDS]) - before
    sys.setswitchinterval(usual_s)
    return blocks


def main(path: str, backend: str) -> None:
    source = MicrophoneSource(MicrophoneOptions(backend=backend))  # type: ignore[arg-type]
    desk = FakeDesk(is_live=True)
    try:
        source.open(desk)
    except RtemoError as error:
        print(f"refused {error}", flush=True)
        return
    writer = desk.only()
    start_s = time.monotonic()
    print("ready", flush=True)
    slowest_pump_s = 0.0
    told = 0
    while True:
        before_s = time.monotonic()
        wait_s = source.pump()
        slowest_pump_s = max(slowest_pump_s, time.monotonic() - before_s)
        for report in writer.reports[told:]:
            assert isinstance(report, SourceState)
            print(time.monotonic(), report.state, report.detail, flush=True)
            told += 1
        if select.select([sys.stdin], [], [], wait_s)[0]:
            words = sys.stdin.readline().split()
            if words and words[0] == "hold":
                print(f"held while {blocks_while_holding(source, float(words[1]))} blocks came in", flush=True)
            else:
                break
    elapsed_s = time.monotonic() - start_s
    source.close()
    np.savez(
        path,
        samples=writer.samples,
        gaps=np.array(writer.gaps, np.int64).reshape(-1, 2),
        lost_samples=writer.lost_samples,
        elapsed_s=elapsed_s,
        slowest_pump_s=slowest_pump_s,
    )
    print(f"ended {writer.end_reason}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
