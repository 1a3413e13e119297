"""Many Twilio calls at once through `rtemo serve`, live: what is lost, and how long after the audio events go out.

    python -m bench.capacity.telephony --calls 50 --duration 600
    python -m bench.capacity.telephony --calls 50 --duration 600 --workers 2

Each call has two tracks, the caller analysed and the agent only timed; another process sends them, a chunk of 20 ms
at a time, the calls evenly spread over these 20 ms. It goes before other programs where the system permits
that, as calls that come from elsewhere would. The age of an event is from the end of the audio that it is
about, in the sender's time, to its publication; how late the sender itself was is part of it, and is told.
"""

import argparse
import base64
import contextlib
import json
import os
import signal
import struct
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


def frame(text: str) -> bytes:
    """Make a WebSocket message of it, with a mask of zeros."""
    data = text.encode()
    head = struct.pack(">BBH", 0x81, 0xFE, len(data)) if len(data) > 125 else bytes([0x81, 0x80 | len(data)])
    return head + bytes(4) + data


def send(calls: int, duration_s: float, is_first: bool) -> None:
    """Send all calls; prints how late each chunk was sent, as percentiles in ms, and the processor time it took."""
    from websockets.sync.client import connect

    payloads = spoken(20.0)
    count_chunks = round(duration_s * 50)
    peers = []
    for number in range(calls):
        peers.append(connect(f"ws://127.0.0.1:{PORT}/", compression=None))
        start = {"callSid": f"CA{number}", "streamSid": f"MZ{number}", "tracks": ["inbound", "outbound"]}
        peers[-1].socket.sendall(frame(json.dumps({"event": "start", "start": start})))
    late_s = np.zeros(count_chunks * calls)
    with contextlib.suppress(OSError, AttributeError):  # calls from elsewhere do not wait for this machine's programs
        if is_first:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))
    begin_s, busy_s = time.monotonic() + 0.1, time.process_time()
    for slot in range(count_chunks + calls):  # calls begin one after the other
        for number in range(max(0, slot - count_chunks + 1), min(calls, slot + 1)):
            chunk = slot - number
            wait_s = begin_s + 0.02 * (slot + 1 + number / calls) - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            late_s[chunk * calls + number] = -wait_s
            data = b""
            for track, shift in (("inbound", 0), ("outbound", len(payloads) // 2)):
                payload = payloads[(chunk + shift + 37 * number) % len(payloads)]
                place = f'"track":"{track}","chunk":"{chunk + 1}","timestamp":"{20 * chunk}"'
                data += frame(f'{{"event":"media","media":{{{place},"payload":"{payload}"}}}}')
            if chunk == count_chunks - 1:
                data += frame('{"event":"stop"}')
            peers[number].socket.sendall(data)
    share = (time.process_time() - busy_s) / (time.monotonic() - begin_s)
    p50, p99, most = 1e3 * np.percentile(late_s, [50, 99, 100])
    print(f"sender: late p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms; {share:.0%} of a core")


def report(path: Path, calls: int, duration_s: float) -> None:
    ends: list[dict[str, Any]] = []
    healths: list[dict[str, Any]] = []
    ages_ms: dict[str, list[float]] = {}
    counts: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        kind = event["kind"]
        if kind == "stream_end":
            ends.append(event["data"])
        elif kind == "health":
            counts = next((one for one in event["data"].get("sources", ()) if one["name"] == "twilio"), {})
            healths.append(event["data"])
        elif "age_ms" in event and kind != "stream_start":
            ages_ms.setdefault(kind, []).append(event["age_ms"])
    lost = sum(end["counters"].get("source_lost_samples", 0) for end in ends)
    overrun = sum(end["counters"].get("overrun_samples", 0) for end in ends)
    whole = sum(abs(end["duration_s"] - duration_s) < 0.02 for end in ends)
    print(f"{len(ends)} of {2 * calls} streams ended, {whole} of them whole; {lost} samples lost, {overrun} overrun")
    print(f"gateway: {counts}")
    for name in ("concealed_hops", "skipped_hops", "xruns"):
        print(f"{name}: {sum(end['counters'].get(name, 0) for end in ends)}")
    full = [health for health in healths if health.get("streams", 0) >= 2 * calls]
    for name in ("load", "tick_p50_us", "tick_p99_us", "late_p99_us"):
        if full:
            p50, p99 = np.percentile([health[name] for health in full], [50, 99])
            print(f"{name:<14} of each second: p50 {p50:.2f}, p99 {p99:.2f}")
    for kind, ages in sorted(ages_ms.items()):
        p50, p99, most = np.percentile(ages, [50, 99, 100])
        print(f"{kind:<14} {len(ages):>6} events, age p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms")


def thread_times_s(pid: int) -> dict[str, tuple[float, float]]:
    """Give the processor time of every thread of a process and its children: all of it, and in the system."""
    tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
    times_s = {}
    for child in " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split():
        times_s |= {f"process {name}": spent_s for name, spent_s in thread_times_s(int(child)).items()}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().rpartition(")")
        fields = rest.split()
        times_s[f"{task.name} {name.partition('(')[2]}"] = (
            (int(fields[11]) + int(fields[12])) * tick_s,
            int(fields[12]) * tick_s,
        )
    return times_s


def tell_threads(
    before_s: dict[str, tuple[float, float]], after_s: dict[str, tuple[float, float]], wall_s: float
) -> None:
    """Print what each thread took of a core."""
    shares = []
    for name, (spent_s, in_system_s) in after_s.items():
        was_s, was_in_system_s = before_s.get(name, (0.0, 0.0))
        shares.append(((spent_s - was_s) / wall_s, (in_system_s - was_in_system_s) / wall_s, name))
    parts = [
        f"{name} {share:.1%} ({system:.1%} system)" for share, system, name in sorted(shares)[::-1] if share > 0.005
    ]
    print(f"server: {sum(share for share, _, _ in shares):.0%} of a core:", ", ".join(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--duration", type=float, default=60.0, help="seconds")
    parser.add_argument("--chain", default="", help="plugins with commas; the usual chain when empty")
    parser.add_argument("--ordinary", action="store_true", help="neither end goes before other programs")
    parser.add_argument("--workers", type=int, default=0, help="share the calls among so many; 0 for one engine")
    parser.add_argument("--send", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send(options.calls, options.duration, not options.ordinary)
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "events.jsonl"
        command = [sys.executable, "-m", "rtemo", "serve", "--source", "twilio", "--publish", "jsonl", "--quiet"]
        command += ["--jsonl", str(out), "--capacity", str(2 * options.calls + 4)]
        command += ["--set", "sources.twilio.unsigned=true", "--set", f"sources.twilio.endpoint=tcp://127.0.0.1:{PORT}"]
        if options.chain:
            command += ["--set", f"chain={json.dumps(options.chain.split(','))}"]
        if options.workers:
            command += ["--workers", str(options.workers)]
        if options.ordinary:
            command += ["--set", "engine.realtime=false"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            for line in server.stderr:
                if "ready:" in line:
                    break
            sender = [sys.executable, "-m", "bench.capacity.telephony", "--send", "--calls", str(options.calls)]
            before_s = thread_times_s(server.pid)
            start_s = time.monotonic()
            sender += ["--duration", str(options.duration), *(["--ordinary"] if options.ordinary else [])]
            subprocess.run(sender, check=True)
            tell_threads(before_s, thread_times_s(server.pid), time.monotonic() - start_s)
            time.sleep(2.0)
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
        report(out, options.calls, options.duration)


if __name__ == "__main__":
    main()
