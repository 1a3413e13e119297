"""The plan for many calls: what stands in the docs is what the command prints, and it holds together."""

from pathlib import Path

import msgspec
import pytest

from bench.capacity.plan.__main__ import BASELINE, lines
from bench.capacity.plan.measured import ROOT, Measured, carried_live
from bench.capacity.plan.sizes import Assumed, calls_per_front, chain_size, front_cores, gbit_per_s
from rtemo.config.workers import WorkersOptions

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def measured() -> Measured:
    return msgspec.json.decode(BASELINE.read_bytes(), type=Measured)


def test_the_docs_say_what_the_command_prints(measured: Measured) -> None:
    page = Path(ROOT, "docs", "scale.md").read_text()
    assert "\n".join(lines(measured, Assumed(), carried_live())) in page


def test_twice_the_calls_take_twice_as_much(measured: Measured) -> None:
    one, two = Assumed(calls=1e5), Assumed(calls=2e5)
    assert front_cores(measured, two) == pytest.approx(2 * front_cores(measured, one))
    assert gbit_per_s(measured, two) == pytest.approx([2 * rate for rate in gbit_per_s(measured, one)])
    assert calls_per_front(measured, two) == pytest.approx(calls_per_front(measured, one))
    for chain in measured.chains:
        less, more = (chain_size(chain, measured, assumed) for assumed in (one, two))
        assert more.worker_cores == pytest.approx(2 * less.worker_cores)
        assert more.core_hours == pytest.approx(less.core_hours)


def test_what_is_kept_free_costs_workers_and_nothing_else(measured: Measured) -> None:
    full, half = (chain_size("small", measured, Assumed(free=free)) for free in (0.0, 0.5))
    assert half.worker_cores == pytest.approx(2 * full.worker_cores)
    assert half.front_cores == full.front_cores


def test_the_load_of_a_worker_is_that_of_the_server() -> None:
    assert Assumed().worker_load == WorkersOptions().max_load


def test_the_live_bound_is_read_from_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "capacity.svg"
    picture.write_text("<svg><text x='1'>8 processors Someone, load 0.1 before</text><text>120 streams</text></svg>")
    assert carried_live(picture) == (120, 8)
    assert all(carried_live())
