"""A good call in a process of its own, from its client through the server to a listener of processed audio.

`python -m tests.attack.good_call INGEST AUDIO_OUT SECONDS` prints what became of it as one JSON object.
"""

import json
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np

from rtemo.client import AudioReceiver, AudioSender
from tests.fakes.program import ROOT

RATE_HZ = 16_000
PACKET = RATE_HZ // 50


class Verdict(msgspec.Struct, kw_only=True):
    """What became of a good call.

    Attributes:
        sent_packets: Packets of 20 ms made.
        dropped_samples: Left out by the client for want of credit.
        lost_samples: Missing in the processed audio, or counted as lost by the server.
        p50_ms: From capture to reception, half of the packets.
        p99_ms: The same, all but one of a hundred.
        max_ms: The same, the slowest.
    """

    sent_packets: int
    dropped_samples: int
    lost_samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def start_call(ingest: str, audio_out: str, duration_s: float, name: str = "good") -> "subprocess.Popen[str]":
    """Begin a good call; `verdict` waits for its end."""
    command = [sys.executable, "-m", "tests.attack.good_call", ingest, audio_out, str(duration_s), name]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def verdict(process: "subprocess.Popen[str]", timeout_s: float = 120.0) -> Verdict:
    """Wait for the end of a good call."""
    out, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, out
    return msgspec.json.decode(out.splitlines()[-1], type=Verdict)


def main(ingest: str, audio_out: str, duration_s: float, name: str) -> None:
    delays_ms: list[float] = []
    lost_samples = 0
    heard_samples = 0
    ready, over = threading.Event(), threading.Event()

    def listen() -> None:
        nonlocal lost_samples, heard_samples
        with AudioReceiver(audio_out, calls=[name], connect_timeout_s=20.0) as receiver:
            ready.set()
            while not over.is_set():
                for audio in receiver.receive(0.2):
                    lost_samples += audio.lost_samples
                    heard_samples += audio.samples.shape[0]
                    if audio.capture_ns:
                        delays_ms.append((time.time_ns() - audio.capture_ns) / 1e6)
                    if audio.is_last:
                        return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    ready.wait(20.0)
    tone = (8_000 * np.sin(np.arange(PACKET) * 0.2)).astype(np.int16)
    with AudioSender(ingest, timeout_s=20.0) as sender:
        stream = sender.open(name, sample_rate_hz=RATE_HZ)
        begin_s = time.monotonic()
        count = round(duration_s / 0.02)
        for index in range(count):
            time.sleep(max(0.0, begin_s + (index + 1) * 0.02 - time.monotonic()))
            stream.send(tone, capture_ns=time.time_ns(), wait=False)
        account = stream.end()
        listener.join(5.0)
        over.set()
        listener.join(5.0)
    lost = max(lost_samples, account.lost_samples)
    late = np.percentile(delays_ms, [50, 99, 100]).round(1).tolist() if delays_ms else [1e9] * 3
    result = dict(zip(("p50_ms", "p99_ms", "max_ms"), late, strict=True))
    print(json.dumps(dict(sent_packets=count, dropped_samples=stream.dropped_samples, lost_samples=lost, **result)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
