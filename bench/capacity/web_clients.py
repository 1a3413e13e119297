"""Clients of a wall, as a program of their own: `python -m bench.capacity.web_clients ORIGIN --clients 20`.

Each follows the rows of all calls, and one more connects and reads nothing. When standard input ends, one line of JSON
says how long the longest wait for an update was.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time

from websockets.asyncio.client import connect

_MOST_BYTES = 1 << 26


async def follow(url: str, gaps_s: list[float]) -> None:
    async with connect(url, max_size=_MOST_BYTES, compression=None) as client:
        await client.recv()
        heard_s = time.monotonic()
        async for _ in client:
            gaps_s.append(time.monotonic() - heard_s)
            heard_s = time.monotonic()


async def stall(url: str) -> None:
    async with connect(url, max_size=_MOST_BYTES, max_queue=1, compression=None, ping_interval=None):
        await asyncio.Event().wait()


async def run(origin: str, clients: int) -> dict[str, object]:
    url = origin.rstrip("/").replace("http", "ws", 1) + "/v1/ws"
    gaps_s: list[float] = []
    tasks = [asyncio.create_task(follow(url + "?view=calls", gaps_s)) for _ in range(clients)]
    stalled = asyncio.create_task(stall(url))
    await asyncio.to_thread(sys.stdin.read)
    lost = sum(task.done() for task in tasks)
    for task in (*tasks, stalled):
        task.cancel()
    with contextlib.suppress(Exception):
        await asyncio.gather(*tasks, stalled, return_exceptions=True)
    gaps_s.sort()
    return {
        "clients": clients,
        "clients_lost": lost,
        "updates": len(gaps_s),
        "update_p50_ms": round(gaps_s[len(gaps_s) // 2] * 1000, 1) if gaps_s else None,
        "update_worst_ms": round(gaps_s[-1] * 1000, 1) if gaps_s else None,
    }


class Clients:
    """The clients as a process beside a measurement."""

    def __init__(self, origin: str, clients: int) -> None:
        command = [sys.executable, "-m", "bench.capacity.web_clients", origin, "--clients", str(clients)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self) -> dict[str, object]:
        """End them and give what they have seen."""
        out, _ = self._process.communicate("", timeout=20)
        found: dict[str, object] = json.loads(out)
        return found


def main() -> None:
    """Follow until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("origin")
    parser.add_argument("--clients", type=int, default=20)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(run(given.origin, given.clients))))


if __name__ == "__main__":
    main()
