"""Ceilings: what copies and products reach on this machine, measured in the same run."""

import time
from collections.abc import Callable

import msgspec
import numpy as np
import torch

_COPY_BYTES = {"cuda": 256 << 20, "cpu": 32 << 20}
_MATRIX = {"cuda": 8192, "cpu": 512}
_TRIES = 7


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """The best of several tries of each; null where there is nothing of the kind."""

    host_copy_gb_per_s: float
    """One thread, NumPy: what brings inputs to where a device can fetch them."""
    to_device_gb_per_s: float | None
    """From pinned memory."""
    from_device_gb_per_s: float | None
    """To pinned memory."""
    device_copy_gb_per_s: float
    """Read and written bytes together, within the memory of the device."""
    matmul_tflop_per_s: float
    """Square matrices of the precision that was measured."""
    launch_us: float
    """One empty operation, started and waited for."""


def measure_ceilings(device: torch.device, is_half: bool) -> Ceilings:
    """Measure copies and products on a device."""
    size = _COPY_BYTES[device.type]
    host, other = np.ones(size, np.uint8), np.empty(size, np.uint8)
    here = torch.ones(size, dtype=torch.uint8, device=device)
    there = torch.empty_like(here)
    to_device = from_device = None
    if device.type == "cuda":
        pinned = torch.ones(size, dtype=torch.uint8).pin_memory()
        to_device = size / _best_s(lambda: here.copy_(pinned, non_blocking=True), device) / 1e9
        from_device = size / _best_s(lambda: pinned.copy_(here, non_blocking=True), device) / 1e9
    order = _MATRIX[device.type]
    matrix = torch.ones((order, order), dtype=torch.float16 if is_half else torch.float32, device=device)
    one = torch.zeros(1, device=device)
    return Ceilings(
        host_copy_gb_per_s=size / _best_s(lambda: np.copyto(other, host), device) / 1e9,
        to_device_gb_per_s=to_device,
        from_device_gb_per_s=from_device,
        device_copy_gb_per_s=2 * size / _best_s(lambda: there.copy_(here), device) / 1e9,
        matmul_tflop_per_s=2 * order**3 / _best_s(lambda: matrix @ matrix, device) / 1e12,
        launch_us=_best_s(lambda: one.add_(1), device) * 1e6,
    )


def _best_s(work: Callable[[], object], device: torch.device) -> float:
    best = float("inf")
    for _ in range(_TRIES):
        wait(device)
        start_s = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - start_s)
    return best


def wait(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
