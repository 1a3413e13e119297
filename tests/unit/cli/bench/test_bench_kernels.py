"""`rtemo bench kernels`, and whether the jobs that it times beside each other do the same."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from rtemo.cli.bench import timing
from rtemo.cli.bench.timing import cases
from tests.fakes.program import call

pytestmark = pytest.mark.unit


def test_every_job_is_timed_beside_its_reference(capsys):
    done = call(capsys, "bench", "kernels", "--repeats", "1", "--json")
    assert (done.code, done.err) == (0, "")
    told = [json.loads(line) for line in done.out.splitlines()]
    chosen, problem = cases()
    assert not problem
    assert [(one["job"], one["rows"]) for one in told] == [(c.name, rows) for c in chosen for rows in c.row_counts]
    assert len(told) > 25
    for one in told:
        assert one["us"] > 0
        assert one["ratio"] == pytest.approx(one["reference_us"] / one["us"])


@pytest.mark.parametrize("name", ["fft 512", "log-mel hop", "log-mel of 3 s", "biquads", "sort"])
def test_both_sides_of_a_job_give_the_same(name):
    (case,) = cases(name)[0]
    ours, reference = (np.asarray(run()) for run in case.make(case.row_counts[-1]))
    assert ours.shape == reference.shape
    np.testing.assert_allclose(ours, reference, rtol=0.02, atol=0.02)


def test_without_scipy_the_others_are_timed_and_one_line_says_what_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(timing, "find_spec", lambda name: None if name == "scipy" else find_spec(name))
    done = call(capsys, "bench", "kernels", "--job", "hop", "--repeats", "1")
    assert done.code == 0
    assert "log-mel hop" in done.out
    assert "pip install scipy" in done.complaint
    assert all("scipy" not in case.reference and "sosfilt" not in case.reference for case in cases()[0])


def test_job_that_there_is_not_is_refused_in_one_line(capsys):
    done = call(capsys, "bench", "kernels", "--job", "sonnet")
    assert done.code == 2
    assert "--job 'sonnet' is in the name of no job" in done.complaint
