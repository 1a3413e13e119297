from typing import Any

import numpy as np
import pytest
from numba import njit

from rtemo.dsp import lanes
from rtemo.dsp.lanes import LANES

pytestmark = pytest.mark.unit

load, store, splat = lanes.load, lanes.store, lanes.splat


def spread(seed: int, *shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@njit
def _arithmetic(a: Any, b: Any, c: Any, out: Any) -> None:
    x, y, z = load(a, 0), load(b, 0), load(c, 0)
    store(out, 0, x + y)
    store(out, 1, x - y)
    store(out, 2, x * y)
    store(out, 3, x / y)
    store(out, 4, lanes.fma(x, y, z))
    store(out, 5, lanes.fms(x, y, z))
    store(out, 6, lanes.root(lanes.magnitude(x)))
    store(out, 7, lanes.where_less(x, y, z, x))
    store(out, 8, lanes.largest(x, y))
    store(out, 9, lanes.smallest(x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operations_round_as_numpy_does(dtype: Any) -> None:
    a, b, c = (spread(seed, LANES, dtype=dtype) for seed in range(3))
    out = np.zeros((10, LANES), dtype)
    _arithmetic(a, b, c, out)
    exact = a.astype(np.longdouble) * b
    expected = [
        a + b,
        a - b,
        a * b,
        a / b,
        (exact + c).astype(dtype),
        (exact - c).astype(dtype),
        np.sqrt(np.abs(a)),
        np.where(a < b, c, a),
        np.maximum(a, b),
        np.minimum(a, b),
    ]
    for got, wanted in zip(out, expected, strict=True):
        assert np.array_equal(got, wanted)


@njit
def _logarithms(values: Any, out: Any) -> None:
    for k in range(values.shape[0]):
        store(out, k, lanes.natural_log(load(values, k)))


def test_logarithm_is_right_to_the_last_place_or_the_next() -> None:
    tiny = np.finfo(np.float32).tiny
    values = np.exp(np.random.default_rng(0).uniform(np.log(tiny), 88.0, (50_000, LANES))).astype(np.float32)
    values[:100] = np.random.default_rng(1).uniform(0.7, 1.4, (100, LANES))
    values[100] = [
        tiny,
        1.0,
        2.0,
        0.5,
        np.finfo(np.float32).max,
        1e-10,
        1e10,
        np.nextafter(np.float32(1), np.float32(0)),
    ]
    out = np.zeros_like(values)
    _logarithms(values, out)
    exact = np.log(values.astype(np.float64))
    assert np.abs((out - exact) / np.spacing(np.abs(exact).astype(np.float32))).max() <= 1.0
    assert out[100, 1] == 0.0


@njit
def _total(values: Any) -> Any:
    return lanes.total(load(values, 0))


def test_total_adds_neighbours_first() -> None:
    v = spread(3, LANES)
    assert _total(v) == ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 21])
@pytest.mark.parametrize("k", [1, 8, 13, 160])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiles_return_to_the_rows_they_came_from(n: int, k: int, dtype: Any) -> None:
    rows = spread(4, n, k)
    back = np.zeros_like(rows)
    registers = np.full((k + 3, LANES), np.nan, dtype)
    for tile in range(0, n, LANES):
        live = lanes.gather_tile(rows, tile, registers)
        assert live == min(LANES, n - tile)
        assert np.array_equal(registers[:k, :live], rows[tile : tile + live].T)
        assert not registers[:, live:].any()
        assert not registers[k:].any()
        lanes.scatter_tile(registers, tile, back)
    assert np.array_equal(back, rows)


@njit
def _shift(values: Any, out: Any) -> None:
    lanes.store_unaligned(out, 2, lanes.load_unaligned(values, 3))


def test_unaligned_access_addresses_single_elements() -> None:
    values = spread(5, 20)
    out = np.zeros(20, np.float32)
    _shift(values, out)
    assert np.array_equal(out[2 : 2 + LANES], values[3 : 3 + LANES])
    assert not out[:2].any()
    assert not out[2 + LANES :].any()
