"""SideCompilers: processes that compile kernels beside the one that waits for them, into the cache that all share.

Each works through the same jobs: the parts of `rtemo.dsp`, and for every plugin a chain of it and what it requires, run
on the engine's warming sound. A kernel that somebody else is compiling is left for later, so the order is all that is
shared out. What they miss is compiled by the process that waits; they never change a result.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from rtemo.api import Plugin
from rtemo.config import Config
from rtemo.dsp import kernel_cache
from rtemo.dsp.warmup import PARTS, compile_kernels
from rtemo.engine.demand import take_all
from rtemo.engine.engine import Engine
from rtemo.engine.registry import make
from rtemo.processors import count_processors
from rtemo.runtime.store import ModelStore

_MOST = 3
_PAUSE_S = 0.05
_FIRST = ("pitch", "logmel", "residual", "rate")
"""The parts that take longest."""
_LAST = ("resample", "fft", "filters")
"""What every session asks for first of all by itself, and parts that others call but few chains run by themselves."""


class _Order(msgspec.Struct):
    chain: tuple[str, ...]
    plugins: dict[str, dict[str, Any]]
    turn: int


class SideCompilers:
    """One process for every processor but the caller's own.

    Args:
        config: The chain whose kernels are wanted.
        on_compiled: Receives the names of what they compiled, on threads of its own.
    """

    def __init__(self, config: Config, on_compiled: Callable[[frozenset[str]], None]) -> None:
        self._on_compiled = on_compiled
        self._processes: list[subprocess.Popen[bytes]] = []
        if not _has_interpreter() or kernel_cache.writable_folder() is None:
            return
        for turn in range(min(_MOST, processors() - 1)):
            try:
                order = msgspec.json.encode(_Order(config.chain, config.plugins, turn))
                self._processes.append(_launch(order))
            except (OSError, TypeError):  # no room for a process, or options that have no text form
                return
            threading.Thread(
                target=self._follow, args=(self._processes[-1],), name="rtemo-kernels", daemon=True
            ).start()

    def stop(self) -> None:
        """End them, whatever they are doing; what they wrote is whole."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._on_compiled(frozenset(line.decode().split()))


def processors() -> int:
    """Count the processors that this process may use."""
    cores = count_processors()
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def _has_interpreter() -> bool:
    """Tell whether `sys.executable` is Python; a program that embeds it may put itself there."""
    return not getattr(sys, "frozen", False) and Path(sys.executable or "").name.lower().startswith("python")


def _launch(order: bytes) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if kernel_cache.named_folder():
        environment["NUMBA_CACHE_DIR"] = kernel_cache.named_folder()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdin is not None
    process.stdin.write(order + b"\n")  # and left open: when it closes, nobody waits any more
    process.stdin.flush()
    return process


def main() -> None:
    """Compile what the order on standard input wants; print the name of each kernel when it is written."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=_Order)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kernel_cache.skips_claimed = True
    kernel_cache.watchers.append(_say)
    jobs = deque(_jobs(order))
    postponed = 0
    while jobs:
        job = jobs.popleft()
        try:
            job()
        except kernel_cache.Claimed:
            jobs.append(job)
            postponed += 1
        except Exception:
            continue  # whoever waits meets the same fault and says so
        else:
            postponed = 0
        if postponed >= len(jobs) > 0:
            time.sleep(_PAUSE_S)
            postponed = 0


def _say(names: frozenset[str], step: kernel_cache.Step) -> None:
    if step == "compiled":
        print(*names, flush=True)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _jobs(order: _Order) -> list[Callable[[], object]]:
    plugins = [make(name, order.plugins.get(name)) for name in order.chain]
    names = sorted(PARTS, key=lambda part: (part not in _FIRST, _FIRST.index(part) if part in _FIRST else 0))
    used = [name for name in names if f"rtemo.dsp.{name}" in sys.modules and name not in _LAST]
    parts, rest = ([partial(compile_kernels, (name,)) for name in some] for some in (used, _LAST))
    chains = [partial(_run_chain, order, _needed(plugins, last)) for last in reversed(range(len(plugins)))]
    return [*chains, *parts, *rest] if order.turn % 2 else [*parts, *chains, *rest]


def _needed(plugins: list[Plugin], last: int) -> list[str]:
    """Name a plugin and those before it that provide what it requires, and what they require."""
    wanted = set(plugins[last].spec.requires)
    names = [plugins[last].spec.name]
    for plugin in reversed(plugins[:last]):
        if wanted & {mark.name for mark in plugin.spec.provides}:
            names.append(plugin.spec.name)
            wanted |= set(plugin.spec.requires)
    return names[::-1]


def _run_chain(order: _Order, names: list[str]) -> None:
    options = msgspec.structs.replace(Config().engine, capacity=2)
    plugins = [make(name, order.plugins.get(name)) for name in names]
    engine = Engine(plugins, options, is_live=False, open_store=ModelStore, on_audio=take_all)
    try:
        engine.open()
    finally:
        engine.stop("warmed")


if __name__ == "__main__":
    main()
