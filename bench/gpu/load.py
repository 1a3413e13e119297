"""Load: one tick of n rows through all four networks, and where its time goes."""

import gc
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import torch

from bench.gpu.ceilings import Ceilings, wait
from bench.gpu.parity import drawn
from rtemo.api import ModelCard
from rtemo.runtime.torch import TorchHandle, TorchState, TorchStep

HOP_S = 0.01
_LEAST_TICKS = 40
_MOST_TICKS = 2_000
_PART_SHARE = 0.25
"""Of the time of a size, for timing the parts of a step one by one."""
_PARTS = ("stage", "copy_in", "work", "copy_out")


class NetworkCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one network takes of a tick; medians, each part waited for by itself."""

    rows: int
    """Rows of one tick: all for the network that runs at every hop, a quarter for the others."""
    stage_us: float
    """Host: inputs to where the device can fetch them."""
    copy_in_us: float
    work_us: float
    copy_out_us: float
    bytes_in: int
    bytes_out: int
    state_bytes: int
    """State that a tick reads and writes, each counted once."""
    flop: float
    """By the multiply-accumulates of the card."""
    stage_of_ceiling: float | None
    copy_in_of_ceiling: float | None
    """Share of the measured ceiling that was reached; null where nothing is copied."""
    copy_out_of_ceiling: float | None
    flop_of_ceiling: float | None
    state_of_ceiling: float | None
    """Share of the device's copy rate that moving the state alone would need of the work's time."""


class SizeCost(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of n rows."""

    rows: int
    precision: str
    ticks: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    holds: bool = False
    """Whether p99 is under the hop."""
    device_mib: float | None = None
    ready_s: float = 0.0
    networks: dict[str, NetworkCost] = {}
    shares: dict[str, float] = {}
    """Part → share of the sum of all parts of all networks."""
    problem: str = ""
    """Why it was not measured."""


class Load:
    """Four networks with state for n rows each, driven as the plugins drive them.

    The enhancer runs for all rows at every hop. The others run every fourth hop of each stream, staggered, so at every
    tick for a quarter of the rows. All steps of a tick are begun before the first is taken.

    Args:
        handles: Name → network on the device.
        rows: Streams.
    """

    def __init__(self, handles: Mapping[str, TorchHandle], rows: int) -> None:
        self.rows = rows
        self.handles = handles
        self._states: dict[str, TorchState] = {name: handle.new_state(rows) for name, handle in handles.items()}
        rng = np.random.default_rng(0)
        few = min(rows, 256)  # drawn once and repeated: normal numbers for 65,536 rows take seconds
        self._inputs = {
            name: {key: _repeated(values, rows) for key, values in drawn(handle.card, few, rng).items()}
            for name, handle in handles.items()
        }
        for name, handle in handles.items():
            handle.warm(self._states[name], {len(self.due(name, phase)) for phase in range(4)})

    def tick(self, number: int) -> None:
        """Run one tick and wait for all that it finds."""
        pending = []
        for name, handle in self.handles.items():
            numbers = self.due(name, number)
            given = {key: values[: len(numbers)] for key, values in self._inputs[name].items()}
            pending.append(handle.begin(given, self._states[name], numbers))
        for one in pending:
            one.take()

    def cost(self, name: str, ceilings: Ceilings, seconds: float) -> NetworkCost:
        """Time the parts of one network's step."""
        handle, state = self.handles[name], self._states[name]
        numbers = self.due(name, 0)
        given = {key: values[: len(numbers)] for key, values in self._inputs[name].items()}
        step = handle.step(state, len(numbers))
        took: dict[str, list[float]] = {part: [] for part in _PARTS}
        until_s = time.perf_counter() + seconds
        with torch.inference_mode():
            while len(took["work"]) < 5 or (time.perf_counter() < until_s and len(took["work"]) < _MOST_TICKS):
                for part, work in _parts(step, given, numbers):
                    wait(handle.device)
                    start_s = time.perf_counter()
                    work()
                    wait(handle.device)
                    took[part].append(time.perf_counter() - start_s)
        stage_s, in_s, work_s, out_s = (float(np.median(took[part])) for part in _PARTS)
        card, count = handle.card, len(numbers)
        state_bytes = 2 * count * _row_bytes(card)
        flop = 2.0 * card.macs_per_s * HOP_S * card.hops_per_step * count
        given_bytes = sum(values.nbytes for values in given.values())
        return NetworkCost(
            rows=count,
            stage_us=stage_s * 1e6,
            copy_in_us=in_s * 1e6,
            work_us=work_s * 1e6,
            copy_out_us=out_s * 1e6,
            bytes_in=step.bytes_in,
            bytes_out=step.bytes_out,
            state_bytes=state_bytes,
            flop=flop,
            stage_of_ceiling=_share(given_bytes / stage_s / 1e9, ceilings.host_copy_gb_per_s),
            copy_in_of_ceiling=_share(step.bytes_in / in_s / 1e9, ceilings.to_device_gb_per_s),
            copy_out_of_ceiling=_share(step.bytes_out / out_s / 1e9, ceilings.from_device_gb_per_s),
            flop_of_ceiling=_share(flop / work_s / 1e12, ceilings.matmul_tflop_per_s),
            state_of_ceiling=_share(state_bytes / work_s / 1e9, ceilings.device_copy_gb_per_s),
        )

    def due(self, name: str, tick: int) -> Any:
        """Rows of a network that are due at a tick, int64 [k]."""
        every = self.handles[name].card.hops_per_step
        return np.arange(tick % every, self.rows, every)


def measure_size(
    handles: Mapping[str, TorchHandle], rows: int, precision: str, ceilings: Ceilings, seconds: float
) -> SizeCost:
    """Measure ticks of so many rows within about so many seconds; what does not fit the device says so."""
    start_s = time.perf_counter()
    device = next(iter(handles.values())).device
    try:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        load = Load(handles, rows)
        ready_s = time.perf_counter() - start_s
        found = _measure(load, rows, precision, ceilings, max(seconds - ready_s, 0.2))
    except (RuntimeError, MemoryError) as error:  # out of memory, of the device or of pinned pages
        return SizeCost(rows=rows, precision=precision, problem=(str(error).strip().splitlines() or ["no reason"])[0])
    finally:
        load = None  # type: ignore[assignment]  # its graphs and states go before the next size comes
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return msgspec.structs.replace(found, ready_s=ready_s)


def _measure(load: Load, rows: int, precision: str, ceilings: Ceilings, seconds: float) -> SizeCost:
    device = next(iter(load.handles.values())).device
    for number in range(8):
        load.tick(number)
    took: list[float] = []
    until_s = time.perf_counter() + (1 - _PART_SHARE) * seconds
    while len(took) < _LEAST_TICKS or (time.perf_counter() < until_s and len(took) < _MOST_TICKS):
        start_s = time.perf_counter()
        load.tick(len(took))
        took.append(time.perf_counter() - start_s)
    names = list(load.handles)
    networks = {name: load.cost(name, ceilings, _PART_SHARE * seconds / len(names)) for name in names}
    total = {part: sum(getattr(cost, f"{part}_us") for cost in networks.values()) for part in _PARTS}
    p50, p99 = np.percentile(took, [50, 99]) * 1e3
    return SizeCost(
        rows=rows,
        precision=precision,
        ticks=len(took),
        p50_ms=float(p50),
        p99_ms=float(p99),
        worst_ms=max(took) * 1e3,
        holds=bool(p99 < HOP_S * 1e3),
        device_mib=torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None,
        networks=networks,
        shares={part: value / sum(total.values()) for part, value in total.items()},
    )


def _parts(step: TorchStep, given: Mapping[str, Any], numbers: Any) -> list[tuple[str, Any]]:
    return [
        ("stage", lambda: step.stage(given, numbers)),
        ("copy_in", step.copy_in),
        ("work", step.work),
        ("copy_out", step.copy_out),
    ]


def _repeated(values: Any, rows: int) -> Any:
    return np.ascontiguousarray(np.resize(values, (rows, *values.shape[1:])))


def _row_bytes(card: ModelCard) -> int:
    return sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in card.states.values())


def _share(reached: float, ceiling: float | None) -> float | None:
    return None if not ceiling or not reached else round(reached / ceiling, 4)
