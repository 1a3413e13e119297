import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.filters import Biquads, Section, butterworth_high_pass, butterworth_low_pass

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
SECTIONS = {
    "low_pass": Section.low_pass(1_000.0, RATE_HZ),
    "high_pass": Section.high_pass(20.0, RATE_HZ),
    "band_pass": Section.band_pass(1_000.0, RATE_HZ, 2.0),
    "notch": Section.notch(50.0, RATE_HZ, 10.0),
    "peaking": Section.peaking(2_000.0, RATE_HZ, 1.0, 6.0),
    "low_shelf": Section.low_shelf(300.0, RATE_HZ, -6.0),
    "high_shelf": Section.high_shelf(3_000.0, RATE_HZ, 9.0),
    "dc_blocker": Section.dc_blocker(20.0, RATE_HZ),
    "pre_emphasis": Section.pre_emphasis(),
    "de_emphasis": Section.de_emphasis(),
}


def noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) * 0.1).astype(np.float32)


def stream(filters: Biquads, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    hop = filters.hop_samples
    hops = [filters.process(samples[:, k : k + hop]).copy() for k in range(0, samples.shape[1], hop)]
    return np.concatenate(hops, axis=1)


def gain_db(section: Section, hz: float) -> float:
    _, response = signal.sosfreqz([section.sos()], worN=[hz], fs=RATE_HZ)
    return float(20.0 * np.log10(np.abs(response[0]) + 1e-15))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_agrees_with_scipy_in_float64(name: str) -> None:
    samples = noise(0, (11, 160 * 20))
    expected = signal.sosfilt([SECTIONS[name].sos()], samples.astype(np.float64), axis=1)
    got = stream(Biquads(11, [SECTIONS[name]]), samples)
    assert np.abs(got - expected).max() < 2e-7 * max(1.0, np.abs(expected).max())


def test_a_cascade_agrees_with_scipy_in_float64() -> None:
    sections = (*butterworth_low_pass(6, 900.0, RATE_HZ), *butterworth_high_pass(4, 60.0, RATE_HZ))
    samples = noise(1, (3, 1_600))
    expected = signal.sosfilt([s.sos() for s in sections], samples.astype(np.float64), axis=1)
    assert np.abs(stream(Biquads(3, sections), samples) - expected).max() < 1e-7


def test_designs_have_the_gains_they_are_named_after() -> None:
    assert gain_db(SECTIONS["low_pass"], 1_000.0) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(SECTIONS["high_pass"], 20.0) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(SECTIONS["band_pass"], 1_000.0) == pytest.approx(0.0, abs=1e-9)
    assert gain_db(SECTIONS["notch"], 50.0) < -120.0
    assert gain_db(SECTIONS["peaking"], 2_000.0) == pytest.approx(6.0, abs=1e-9)
    assert gain_db(SECTIONS["low_shelf"], 1.0) == pytest.approx(-6.0, abs=0.01)
    assert gain_db(SECTIONS["low_shelf"], 7_999.0) == pytest.approx(0.0, abs=0.01)
    assert gain_db(SECTIONS["high_shelf"], 1.0) == pytest.approx(0.0, abs=0.01)
    assert gain_db(SECTIONS["high_shelf"], 7_999.0) == pytest.approx(9.0, abs=0.01)
    assert gain_db(SECTIONS["dc_blocker"], 20.0) == pytest.approx(-3.01, abs=0.01)
    assert gain_db(SECTIONS["dc_blocker"], 8_000.0) == pytest.approx(0.0, abs=1e-9)
    assert gain_db(SECTIONS["dc_blocker"], 0.0) < -200.0


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_butterworth_cascades_agree_with_scipy(order: int) -> None:
    for design, kind in ((butterworth_low_pass, "lowpass"), (butterworth_high_pass, "highpass")):
        sections = design(order, 1_000.0, RATE_HZ)
        hz, expected = signal.sosfreqz(signal.butter(order, 1_000.0, kind, fs=RATE_HZ, output="sos"), fs=RATE_HZ)
        _, got = signal.sosfreqz([s.sos() for s in sections], worN=hz, fs=RATE_HZ)
        assert np.abs(np.abs(got) - np.abs(expected)).max() < 1e-9


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    samples = noise(2, (21, 1_600))
    sections = [SECTIONS["dc_blocker"], SECTIONS["peaking"]]
    together = stream(Biquads(21, sections), samples)
    for row in range(21):
        assert np.array_equal(stream(Biquads(1, sections), samples[row : row + 1])[0], together[row])


def test_hop_size_does_not_change_the_samples() -> None:
    samples = noise(3, (2, 960))
    sections = [SECTIONS["high_pass"]]
    assert np.array_equal(
        stream(Biquads(2, sections, hop_samples=160), samples), stream(Biquads(2, sections, hop_samples=320), samples)
    )


def test_filtering_in_place_gives_the_same_samples() -> None:
    samples = noise(4, (9, 160))
    expected = Biquads(9, [SECTIONS["notch"]]).process(samples).copy()
    assert Biquads(9, [SECTIONS["notch"]]).process(samples, out=samples) is samples
    assert np.array_equal(samples, expected)


def test_a_constant_offset_disappears() -> None:
    blocked = stream(Biquads(1, [SECTIONS["dc_blocker"]]), np.full((1, 16_000), 0.5, np.float32))
    assert np.abs(blocked[0, -160:]).max() < 1e-6


def test_state_ends_at_zero_after_long_silence_instead_of_subnormal_numbers() -> None:
    filters = Biquads(1, [SECTIONS["dc_blocker"], SECTIONS["low_pass"]])
    filters.process(noise(5, (1, 160)))
    for _ in range(400):
        filters.process(np.zeros((1, 160), np.float32))
    assert not filters.state["carried"].any()


def test_retire_moves_the_last_row() -> None:
    samples = noise(6, (3, 1_600))
    sections = [SECTIONS["low_pass"]]
    expected = stream(Biquads(3, sections), samples)
    filters = Biquads(3, sections)
    stream(filters, samples[:, :800])
    filters.retire(0, 2)
    assert np.array_equal(stream(filters, samples[[2, 1], 800:]), expected[[2, 1], 800:])


def test_designs_outside_the_band_are_refused() -> None:
    with pytest.raises(ValueError, match="must lie within"):
        Section.low_pass(9_000.0, RATE_HZ)
    with pytest.raises(ValueError, match="even order"):
        butterworth_low_pass(3, 1_000.0, RATE_HZ)
    with pytest.raises(ValueError, match="without sections"):
        Biquads(1, [])


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected C-contiguous float32 \[2, 160\]"):
        Biquads(2, [SECTIONS["notch"]]).process(np.zeros((2, 160), np.float32), out=np.zeros((3, 160), np.float32))
