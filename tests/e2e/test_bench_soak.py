"""`rtemo bench soak`, for seconds instead of hours."""

import json

import pytest

from tests.fakes.program import call

pytestmark = [pytest.mark.e2e, pytest.mark.timed]


def test_calls_come_and_go_at_a_server_whose_memory_is_watched(capsys):
    words = ("--minutes", "0.05", "--calls", "2", "--opens", "9", "--chain", "level,vad", "--json")
    done = call(capsys, "bench", "soak", *words)
    assert done.code == 0
    opened, live = (json.loads(line) for line in done.out.splitlines())
    assert (opened["what"], opened["calls"]) == ("opens", 9)
    assert live["what"] == "live"
    assert live["calls"] in (2, 3, 4), "who is through before the end calls again"
    assert 1.0 < live["sent_hours"] * 3600 < 6.5, "two parties, three seconds each, less what opening takes"
    assert 50 < live["memory_first_mib"] <= live["memory_peak_mib"] < 2000
    assert int(live["threads"].partition("-")[0]) > 1
    assert int(live["descriptors"].partition("-")[0]) > 3
    assert live["memory_slope_mib_per_hour"] is None, "three seconds tell no slope"
    assert live["lost_events"] == 0
    assert live["events"] > 0
    assert live["machine"]["processors"] >= 1


def test_freewheel_counts_the_calls_that_it_has_ended(capsys):
    words = ("--freewheel", "--minutes", "1.6", "--calls", "2", "--chain", "level", "--json")
    done = call(capsys, "bench", "soak", *words)
    assert done.code == 0
    (told,) = (json.loads(line) for line in done.out.splitlines())
    assert told["engine_hours"] == pytest.approx(96 / 3600, abs=1e-3)
    assert told["calls"] == 2, "calls of 90 s"
    assert told["memory_slope_mib_per_hour"] is not None
    assert told["counters"] == dict.fromkeys(told["counters"], 0)
    assert told["events"] > 100


def test_soak_is_lines_for_a_person(capsys):
    done = call(capsys, "bench", "soak", "--freewheel", "--minutes", "0.1", "--calls", "1", "--chain", "level")
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line)
    assert lines["what"] == "freewheel"
    assert "too short a run to tell" in done.out
    assert "counters" in lines


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--freewheel", "--opens", "3"], "--opens is for a server, which --freewheel has none of"),
        (["--minutes", "0"], "--minutes 0 leaves nothing to do"),
        (["--calls", "0"], "0 is not in the range"),
        (["--minutes", "0.1", "--chain", "level,nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_soaked_is_said_in_one_line(capsys, words, problem):
    done = call(capsys, "bench", "soak", *words)
    assert done.code == 2
    assert problem in done.complaint
