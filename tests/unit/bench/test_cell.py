"""The simulated cell: nothing appears from nowhere, nothing goes missing, and chance comes from the seed alone."""

import math
import statistics

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.capacity.cell.__main__ import main
from bench.capacity.cell.outcome import CAUSES
from bench.capacity.cell.settings import Settings
from bench.capacity.cell.simulation import Simulation
from bench.capacity.cell.traffic import DAY, share_of_peak

pytestmark = pytest.mark.unit

NEVER = math.inf
SMALL = Settings(
    hours=2.0,
    peak_calls=60.0,
    is_flat=True,
    call_s=120.0,
    nodes=2,
    workers_per_node=2,
    fronts=2,
    streams_per_worker=48,
    updates_per_day=0.0,
)
CALM = msgspec.structs.replace(SMALL, worker_days=NEVER, node_days=NEVER, front_days=NEVER)
ROUGH = msgspec.structs.replace(SMALL, faster=2_000.0, node_back_s=60.0, updates_per_day=24.0)


def run(cell: Settings, **changes: object) -> Simulation:
    simulation = Simulation(msgspec.structs.replace(cell, **changes))
    simulation.run()
    return simulation


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    peak_calls=st.floats(1.0, 200.0),
    fronts=st.integers(1, 3),
    streams_per_call=st.integers(1, 3),
    faster=st.sampled_from([1.0, 500.0, 5_000.0]),
    updates_per_day=st.sampled_from([0.0, 24.0]),
)
def test_every_call_that_came_has_ended_was_refused_was_lost_or_is_live(**changes: object) -> None:
    simulation = run(ROUGH, hours=0.5, nodes=3, **changes)
    told = simulation.outcome
    assert told.arrivals == told.ended + told.refused + told.lost + told.live
    assert told.refused_in_trouble <= told.refused
    assert set(told.lost_audio_s) <= set(CAUSES)
    assert all(lost_s >= 0 for lost_s in told.lost_audio_s.values())
    # What the project's own ledger of places holds is what the cell says is live, stream by stream.
    placed = sum(front.calls.streams.total() for front in simulation._fronts)
    held = sum(len(calls) for front in simulation._fronts for calls in front.held.values())
    assert placed == held * simulation.settings.streams_per_call


def test_with_room_for_all_and_nothing_that_dies_nothing_is_refused_or_lost() -> None:
    told = run(CALM).outcome
    assert told.arrivals > 2_000
    assert (told.refused, told.lost, sum(told.lost_audio_s.values()), told.incidents) == (0, 0, 0, [])


def test_the_same_seed_gives_the_same_outcome_and_another_one_does_not() -> None:
    def told(seed: int) -> tuple[object, ...]:
        outcome = run(ROUGH, seed=seed).outcome
        return outcome.arrivals, outcome.ended, outcome.lost, outcome.call_s, outcome.lost_audio_s, outcome.cut_off

    assert told(1) == told(1) != told(2)


def test_a_cell_without_failures_refuses_what_is_beyond_its_room_and_no_worker_is_ever_overfull() -> None:
    simulation = run(CALM, peak_calls=200.0, hours=1.0)
    told, cell = simulation.outcome, simulation.settings
    assert told.refused > 0.3 * told.arrivals
    assert told.refused_in_trouble == told.lost == 0
    assert 0.9 * cell.capacity_calls < told.most_live <= cell.capacity_calls


def test_offered_load_is_what_was_asked_for_and_follows_the_day() -> None:
    outcome = run(CALM, hours=20.0).outcome
    assert outcome.call_s / (20.0 * 3600.0) == pytest.approx(60.0, rel=0.08)
    assert [share_of_peak(3600.0 * hour) for hour in range(24)] == [share / 100.0 for share in DAY]
    assert share_of_peak(9.5 * 3600.0) == pytest.approx(0.95)
    assert max(share_of_peak(60.0 * minute) for minute in range(1440)) == 1.0


def test_what_dies_is_what_was_asked_for_and_costs_what_it_takes_to_see_it() -> None:
    cell = msgspec.structs.replace(CALM, node_days=0.05, hours=24.0, peak_calls=20.0)
    outcome = run(cell).outcome
    assert {one.cause for one in outcome.incidents} == {"node"}
    # Each of two nodes dies twenty times a day, less the time that it is away.
    assert len(outcome.incidents) == pytest.approx(2 * 20 / (1 + cell.node_back_s / (0.05 * 86_400)), abs=15)
    over = outcome.recovery_s()
    seen_s = cell.options.hang_s + cell.reopen_s
    assert over[0] == pytest.approx(seen_s)
    assert statistics.median(over) == pytest.approx(seen_s)


def test_a_call_moves_in_a_rolling_update_once_for_each_worker_and_no_call_is_lost() -> None:
    told = run(CALM, updates_per_day=12.0, peak_calls=20.0).outcome
    assert len(told.incidents) == SMALL.workers
    assert told.cut_off["update"] > 10
    assert told.lost == told.refused == 0
    assert told.lost_audio_s["update"] == pytest.approx(SMALL.move_gap_s * told.cut_off["update"])


def test_rarer_failures_told_as_often_as_they_are_cost_less_in_proportion() -> None:
    told = run(ROUGH).outcome
    often, seldom = told.lost_s_per_million_hours(1.0), told.lost_s_per_million_hours(100.0)
    assert seldom["worker"] == pytest.approx(often["worker"] / 100.0)
    assert seldom["update"] == often["update"]


def test_the_sweep_names_the_least_share_that_keeps_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--days 0.1 --flat --call-s 60 --fronts 2 --nodes 4 --workers-per-node 1 --streams-per-worker 60"
    words += " --worker-days inf --node-days inf --front-days inf --updates-per-day 0 --sweep 0.02,0.5,0.7"
    main(words.split())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["0.02", "0.50", "0.70"]
    assert float(lines[2].split()[2]) > 1e-4
    assert lines[5].endswith(": 0.50")


def test_a_front_without_a_worker_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--fronts", "3", "--nodes", "2"])
    assert "there are 3 fronts and 2 nodes" in capsys.readouterr().err
