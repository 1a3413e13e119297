"""Many Twilio calls at once through `rtemo serve`, live: what is lost, and how long after the audio events go out.

    python -m bench.capacity.telephony --calls 50 --duration 600

Each call has two tracks, the caller analysed and the agent only timed; another process sends them, a chunk of 20 ms
at a time. The age of an event is from the end of the audio that it is about, in the sender's time, to its
publication; how late the sender itself was is part of it.
"""

import argparse
import asyncio
import base64
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.sound import babble
from rtemo.dsp.resample import resample
from rtemo.io.pcm import encode_pcm

CHUNK = 160
PORT = 5590


def spoken(seconds: float) -> list[str]:
    """Give payloads of speech-like sound, each a chunk."""
    coded = encode_pcm(resample(babble(seconds, 0), 16_000, 8_000), "mulaw")
    return [base64.b64encode(coded[at : at + CHUNK]).decode() for at in range(0, len(coded) - CHUNK + 1, CHUNK)]


async def call(number: int, payloads: list[str], count_chunks: int) -> None:
    from websockets.asyncio.client import connect

    await asyncio.sleep(0.02 * number)  # calls begin one after the other
    async with connect(f"ws://127.0.0.1:{PORT}/", compression=None) as peer:
        begin = {"callSid": f"CA{number}", "tracks": ["inbound", "outbound"]}
        await peer.send(json.dumps({"event": "start", "start": begin}))
        start_s = time.monotonic()
        for chunk in range(count_chunks):
            await asyncio.sleep(start_s + 0.02 * (chunk + 1) - time.monotonic())
            for track, shift in (("inbound", 0), ("outbound", len(payloads) // 2)):
                payload = payloads[(chunk + shift + 37 * number) % len(payloads)]
                place = f'"track":"{track}","chunk":"{chunk + 1}","timestamp":"{20 * chunk}"'
                await peer.send(f'{{"event":"media","media":{{{place},"payload":"{payload}"}}}}')
        await peer.send('{"event":"stop"}')


async def send(calls: int, duration_s: float) -> None:
    payloads = spoken(20.0)
    await asyncio.gather(*(call(number, payloads, round(duration_s * 50)) for number in range(calls)))


def report(path: Path, calls: int, duration_s: float) -> None:
    ends: list[dict[str, Any]] = []
    ages_ms: dict[str, list[float]] = {}
    counts: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        kind = event["kind"]
        if kind == "stream_end":
            ends.append(event["data"])
        elif kind == "health":
            counts = (event["data"].get("sources") or [{}])[0]
        elif "age_ms" in event and kind != "stream_start":
            ages_ms.setdefault(kind, []).append(event["age_ms"])
    lost = sum(end["counters"].get("source_lost_samples", 0) for end in ends)
    overrun = sum(end["counters"].get("overrun_samples", 0) for end in ends)
    whole = sum(abs(end["duration_s"] - duration_s) < 0.02 for end in ends)
    print(f"{len(ends)} of {2 * calls} streams ended, {whole} of them whole; {lost} samples lost, {overrun} overrun")
    print(f"gateway: {counts}")
    for kind, ages in sorted(ages_ms.items()):
        p50, p99, most = np.percentile(ages, [50, 99, 100])
        print(f"{kind:<14} {len(ages):>6} events, age p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds")
    parser.add_argument("--chain", default="", help="plugins with commas; the usual chain when empty")
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        asyncio.run(send(options.calls, options.duration))
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "events.jsonl"
        command = [sys.executable, "-m", "rtemo", "serve", "--source", "twilio", "--publish", "jsonl", "--quiet"]
        command += ["--jsonl", str(out), "--capacity", str(2 * options.calls + 4)]
        command += ["--set", "sources.twilio.unsigned=true", "--set", f"sources.twilio.endpoint=tcp://127.0.0.1:{PORT}"]
        if options.chain:
            command += ["--set", f"chain={json.dumps(options.chain.split(','))}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            for line in server.stderr:
                if "ready:" in line:
                    break
            sender = [sys.executable, "-m", "bench.capacity.telephony", "--send", "--calls", str(options.calls)]
            subprocess.run([*sender, "--duration", str(options.duration)], check=True)
            time.sleep(2.0)
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
        report(out, options.calls, options.duration)


if __name__ == "__main__":
    main()
