"""Two runs of `rtemo bench` beside each other."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtemo.api import PluginTiming
from rtemo.cli.bench.cost import ChainCost, LaneCost
from tests.fakes.program import call

pytestmark = pytest.mark.unit


def run(path: Path, streams: int = 64, lane_ms: float = 40.0, **figures: Any) -> Path:
    """Write a run as `rtemo bench --json` does."""
    level = PluginTiming(
        name="level", busy_p50_us=50.0, busy_p99_us=90.0, busy_max_us=99.0, wait_p50_us=1.0, load=0.01, xruns=0
    )
    usual: dict[str, Any] = {
        "audio_s": 10.0, "ready_s": 2.0, "latency_ms": 20.0, "tick_p50_us": 1_000.0, "tick_p99_us": 3_000.0,
        "tick_mean_us": 1_100.0, "tick_cpu_us": 900.0, "speech_share": 1.0, "hop_us": 10_000.0,
        "streams_per_core": 500, "keeps_up": True, "peak_memory_mib": 200.0,
    }  # fmt: skip
    cost = ChainCost(streams=streams, plugins=(level,), **(usual | figures))
    lane = LaneCost(lane="listener.encode", ms_per_s=lane_ms, streams_per_core=25)
    path.write_bytes(msgspec.json.encode(cost) + b"\n" + msgspec.json.encode(lane) + b"\n")
    return path


def test_figures_of_two_runs_stand_beside_each_other_with_their_ratio(capsys, tmp_path):
    before, after = run(tmp_path / "before.json"), run(tmp_path / "after.json", tick_p50_us=1_050.0, lane_ms=20.0)
    done = call(capsys, "bench", "compare", before, after)
    assert done.code == 0
    rows = {" ".join(line.split()) for line in done.out.splitlines()}
    assert {
        "before.json after.json ratio",
        "64 streams",
        "tick p50 1,000 µs 1,050 µs 1.05",
        "tick p99 3,000 µs 3,000 µs (1.00)",
        "memory 200 MiB 200 MiB 1.00",
        "level p50 50 µs 50 µs (1.00)",
        "lane listener.encode",
        "work per s of speech 40 ms 20 ms 0.50",
    } <= rows


@pytest.mark.parametrize("worse", [{"tick_p50_us": 1_120.0}, {"tick_cpu_us": 1_000.0}, {"peak_memory_mib": 221.0}])
def test_run_that_is_worse_by_more_than_the_tolerance_is_an_exit_status(capsys, tmp_path, worse):
    before, after = run(tmp_path / "a"), run(tmp_path / "b", **worse)
    done = call(capsys, "bench", "compare", before, after)
    assert done.code == 1
    assert done.out.count("! worse") == 1
    assert call(capsys, "bench", "compare", before, after, "--tolerance", "0.2").code == 0
    assert call(capsys, "bench", "compare", after, before).code == 0, "better is no harm"


def test_ticks_are_judged_by_the_yardstick_that_was_timed_in_turns_with_them(capsys, tmp_path):
    before = run(tmp_path / "a", yardstick_us=50.0)
    slow = {"tick_p50_us": 2_000.0, "tick_cpu_us": 1_800.0}
    whole_machine = run(tmp_path / "b", yardstick_us=100.0, **slow)
    done = call(capsys, "bench", "compare", before, whole_machine)
    assert done.code == 0, "all of the machine was half as fast"
    rows = {" ".join(line.split()) for line in done.out.splitlines()}
    assert {"tick p50 1,000 µs 2,000 µs (2.00)", "tick p50 / yardstick 20 20 1.00"} <= rows
    chain_alone = run(tmp_path / "c", yardstick_us=50.0, **slow)
    done = call(capsys, "bench", "compare", before, chain_alone)
    assert (done.code, done.out.count("! worse")) == (1, 2)
    without = run(tmp_path / "d", **slow)
    for runs in ((before, without), (run(tmp_path / "e"), chain_alone)):
        assert call(capsys, "bench", "compare", *runs).code == 1, "where one has no yardstick, times are judged"


def test_live_runs_kernels_and_soaks_are_compared_with_themselves(capsys, tmp_path):
    path = tmp_path / "all.json"
    written = ""
    for words in (
        ("kernels", "--job", "sort", "--repeats", "1"),
        ("latency", "--streams", "2", "--minutes", "0.01", "--chain", "level"),
        ("capacity", "--seconds", "1", "--fewest", "1", "--most", "1", "--chain", "level"),
        ("soak", "--freewheel", "--minutes", "0.1", "--calls", "1", "--chain", "level"),
    ):
        written += call(capsys, "bench", *words, "--json").out
    path.write_text(written)
    done = call(capsys, "bench", "compare", path, path, "--json")
    told = {(one["of"], one["name"]): one for one in map(json.loads, done.out.splitlines())}
    assert done.code == 0
    assert all(one["ratio"] == 1.0 for one in told.values())
    judged = {key for key, one in told.items() if one["is_judged"]}
    assert judged == {
        ("sort of 1,000 values, 1 rows", "time / numpy.sort"),
        ("2 live streams", "tick p50 / yardstick"),
        ("capacity", "hop per stream carried / yardstick"),
        ("soak, freewheel", "memory"),
    }


def test_what_hangs_on_other_programs_is_shown_and_not_judged(capsys, tmp_path):
    before, after = run(tmp_path / "a"), run(tmp_path / "b", tick_p99_us=9_000.0, ready_s=60.0)
    assert call(capsys, "bench", "compare", before, after).code == 0
    told = [json.loads(line) for line in call(capsys, "bench", "compare", before, after, "--json").out.splitlines()]
    (p99,) = [one for one in told if one["name"] == "tick p99"]
    assert (p99["ratio"], p99["is_judged"], p99["is_worse"]) == (3.0, False, False)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no run"),
        (b"streams 64\n", "line 1 of"),
        (b'{"streams": 64}\n', "is none of `rtemo bench`"),
        (b"\xff\xfe\n", "is none of `rtemo bench`"),
        (b"[1]\n", "is none of `rtemo bench`"),
        (b'{"x":' + b"[" * 100_000 + b"\n", "is none of `rtemo bench`"),
        (b'{"bench": "quality"}\n', "'quality' is not compared"),
    ],
)
def test_file_that_is_no_run_is_refused_in_one_line(capsys, tmp_path, content, problem):
    before, after = run(tmp_path / "a"), tmp_path / "b"
    after.write_bytes(content)
    done = call(capsys, "bench", "compare", before, after)
    assert done.code == 2
    assert problem in done.complaint
    assert "rtemo bench --json > FILE" in done.complaint


def test_runs_of_other_streams_have_nothing_in_common(capsys, tmp_path):
    before, after = tmp_path / "a", run(tmp_path / "b", streams=16)
    before.write_bytes(run(tmp_path / "c").read_bytes().splitlines()[0])
    assert "nothing in common" in call(capsys, "bench", "compare", before, after).complaint
    assert "cannot be read" in call(capsys, "bench", "compare", tmp_path / "gone", after).complaint
