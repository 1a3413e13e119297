import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.dsp.gains import apply_gains, least_factor

pytestmark = pytest.mark.unit


def case(seed: int, n: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    spectra = random.standard_normal((n, 257)) + 1j * random.standard_normal((n, 257))
    return spectra.astype(np.complex64), random.uniform(0, 1, (n, 257)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize(("wet", "limit_db"), [(1.0, None), (0.7, None), (1.0, 12.0), (0.4, 6.0), (0.0, 3.0)])
def test_mix_is_that_of_the_definition(n: int, wet: float, limit_db: float | None) -> None:
    noisy, gain = case(0, n)
    limit = 0.0 if limit_db is None else 10.0 ** (-limit_db / 20.0)
    expected = wet * (limit * noisy + (1 - limit) * gain * noisy) + (1 - wet) * noisy
    got = noisy.copy()
    apply_gains(got, gain, least_factor(wet, limit_db))
    assert np.abs(got - expected).max() < 1e-6


def test_whole_gain_and_no_wet_share_leave_the_spectrum_as_it_is() -> None:
    noisy, gain = case(1, 4)
    for gains, least in ((np.ones_like(gain), 0.0), (gain, least_factor(0.0, None)), (gain, least_factor(1.0, 0.0))):
        got = noisy.copy()
        apply_gains(got, gains, least)
        assert np.array_equal(got, noisy)


def test_no_gain_leaves_silence_or_what_the_limit_allows() -> None:
    noisy, gain = case(2, 3)
    got = noisy.copy()
    apply_gains(got, np.zeros_like(gain))
    assert not got.any()
    got = noisy.copy()
    apply_gains(got, np.zeros_like(gain), least_factor(1.0, 20.0))
    assert np.abs(got - 0.1 * noisy).max() < 1e-6


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    noisy, gain = case(3, 21)
    together = noisy.copy()
    apply_gains(together, gain, 0.25)
    for row in range(21):
        alone = noisy[row : row + 1].copy()
        apply_gains(alone, gain[row : row + 1], 0.25)
        assert np.array_equal(alone[0], together[row])


def test_spectra_that_cannot_be_written_in_place_are_refused() -> None:
    noisy, gain = case(4, 4)
    for wrong in (np.asfortranarray(noisy), noisy[:2], noisy.astype(np.complex128)):
        with pytest.raises(ValueError, match=r"expected C-contiguous complex64 \[4, 257\]"):
            apply_gains(wrong, gain)  # type: ignore[arg-type]
