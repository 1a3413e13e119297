import doctest
import importlib
import pkgutil
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtemo.api
import rtemo.engine
from rtemo.api import Block, HopFlag, PerStreamProcessor, ResetReason, RtemoError, StreamFormat
from rtemo.api.units import samples_to_ms, samples_to_seconds, seconds_to_hops, seconds_to_samples

pytestmark = pytest.mark.unit


def modules(package: ModuleType) -> list[str]:
    return [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]


@pytest.mark.parametrize("name", [*modules(rtemo.api), *modules(rtemo.engine)])
def test_examples_in_docstrings_are_true(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@given(count=st.integers(0, 2**50), rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000]))
def test_samples_to_seconds_and_back_is_the_same_sample(count: int, rate_hz: int) -> None:
    duration_s = samples_to_seconds(count, rate_hz)
    assert abs(seconds_to_samples(duration_s, rate_hz) - count) <= duration_s * rate_hz * 2**-51
    assert samples_to_ms(count, rate_hz) == pytest.approx(1e3 * duration_s)


def test_half_a_sample_rounds_up() -> None:
    assert [seconds_to_samples(k / 32_000, 16_000) for k in range(4)] == [0, 1, 1, 2]


@given(duration_s=st.floats(0, 1e5))
def test_hops_cover_the_duration_with_less_than_one_to_spare(duration_s: float) -> None:
    samples = seconds_to_samples(duration_s, 16_000)
    hops = seconds_to_hops(duration_s, 16_000, 160)
    assert 0 <= hops * 160 - samples < 160


def test_hop_of_the_default_format_is_ten_milliseconds() -> None:
    assert (StreamFormat().hop_s, StreamFormat().hop_ns) == (0.01, 10_000_000)


def test_error_reads_as_one_line_with_what_to_do() -> None:
    assert str(RtemoError("the port is in use", "choose another")) == "the port is in use; choose another"
    assert str(RtemoError("the disk is full")) == "the disk is full"


def block_of(samples: np.ndarray, start: int = 0) -> Block:
    n = samples.shape[0]
    return Block(
        0,
        samples,
        np.arange(n),
        np.full(n, start, np.int64),
        np.zeros(n, np.uint8),
        {"speech": np.arange(n, dtype=np.float32)},
    )


class Counting:
    """A worker for one stream that writes how many hops it has seen over the audio."""

    def __init__(self) -> None:
        self.hops = 0

    def process(self, samples, start_sample, flags, marks, emit) -> None:  # type: ignore[no-untyped-def]
        self.hops += 1
        samples[:] = self.hops
        emit((self.hops, int(marks["speech"][0]), flags), start_sample, start_sample + samples.shape[0])
        marks["speech"][:] = -1.0


def test_adapter_runs_one_worker_per_stream_and_keeps_them_apart_when_rows_move() -> None:
    processor = PerStreamProcessor(Counting)
    told: list[tuple[int, object, int, int]] = []

    def tick(n: int) -> list[float]:
        block = block_of(np.zeros((n, 4), np.float32), start=40)
        processor.process(block, lambda row, data, start, end: told.append((row, data, start, end)))
        assert (block.marks["speech"] == -1.0).all()
        return block.samples[:, 0].tolist()

    processor.admit(0)
    assert tick(1) == [1]
    processor.admit(1)
    processor.admit(2)
    assert tick(3) == [2, 1, 1]
    processor.retire(0, last=2)
    assert tick(2) == [2, 2]
    processor.reset(np.array([1]), ResetReason.REQUEST)
    assert tick(2) == [3, 1]
    assert told[:2] == [(0, (1, 0, HopFlag.NONE), 40, 44), (0, (2, 0, HopFlag.NONE), 40, 44)]
    assert [row for row, *_ in told] == [0, 0, 1, 2, 0, 1, 0, 1]
    with pytest.raises(ValueError, match="rows are admitted in order; got 5, expected 2"):
        processor.admit(5)
    processor.close()
    processor.close()
    assert tick(0) == []


def test_block_tells_how_many_streams_it_holds() -> None:
    assert block_of(np.zeros((3, 4), np.float32)).n == 3
