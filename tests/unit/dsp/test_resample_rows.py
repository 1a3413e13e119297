import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtemo.dsp.resample import PolyphaseResampler, resample
from rtemo.dsp.resample_rows import RowResampler

pytestmark = pytest.mark.unit

RATES = [(8_000, 16_000), (48_000, 16_000), (44_100, 16_000), (11_025, 16_000), (96_000, 16_000), (16_000, 16_000)]


def noise(count_samples: int, seed: int) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(count_samples) * 0.2).astype(np.float32)


def convert(rows: RowResampler, row: int, sound: NDArray[np.float32], cut: int) -> NDArray[np.float32]:
    found = []
    for begin in range(0, sound.size, cut):
        out, counts = rows.process(np.array([row]), sound[None, begin : begin + cut])
        found.append(out[0, : counts[0]])
    return np.concatenate([*found, rows.flush(row)])


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_row_gives_what_the_single_resampler_gives(from_hz: int, to_hz: int) -> None:
    sound = noise(from_hz // 3, 0)
    rows = RowResampler(from_hz, to_hz, 4)
    assert rows.latency_samples == PolyphaseResampler(from_hz, to_hz).latency_samples
    for cut in (from_hz // 50, 77):
        np.testing.assert_array_equal(convert(rows, 2, sound, cut), resample(sound, from_hz, to_hz))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=25), st.sampled_from(RATES))
def test_company_changes_nothing(turns: list[set[int]], rates: tuple[int, int]) -> None:
    """Streams share calls in any combination; each hears its own audio."""
    from_hz, to_hz = rates
    count = from_hz // 50
    sounds = [noise(count * len(turns), seed) for seed in range(6)]
    table = RowResampler(from_hz, to_hz, 8)
    found: list[list[NDArray[np.float32]]] = [[] for _ in range(6)]
    heard = [0] * 6
    for turn in turns:
        members = sorted(turn, reverse=True)
        packets = np.stack([sounds[i][heard[i] * count : (heard[i] + 1) * count] for i in members])
        out, counts = table.process(np.array(members) + 1, packets)
        for index, member in enumerate(members):
            heard[member] += 1
            found[member].append(out[index, : counts[index]].copy())
    for member in range(6):
        got = np.concatenate([*found[member], table.flush(member + 1)])
        np.testing.assert_array_equal(got, resample(sounds[member][: heard[member] * count], from_hz, to_hz))


def test_row_that_is_used_again_knows_nothing_of_before() -> None:
    table = RowResampler(8_000, 16_000, 2)
    convert(table, 1, noise(4_000, 0), 160)
    np.testing.assert_array_equal(convert(table, 1, noise(4_000, 1), 160), resample(noise(4_000, 1), 8_000, 16_000))
    table.process(np.array([0]), noise(160, 2)[None, :])
    table.reset(0)
    np.testing.assert_array_equal(convert(table, 0, noise(800, 3), 160), resample(noise(800, 3), 8_000, 16_000))
