"""`rtemo bench latency` and `capacity`, run for real for a moment."""

import importlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from rtemo.cli.bench.capacity_search import search
from rtemo.cli.bench.group import BENCHES
from rtemo.cli.bench.streams_option import in_words
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.unit

_SVG = "{http://www.w3.org/2000/svg}"


def words_of(path):
    """Every text of a picture, its title first."""
    root = ET.parse(path).getroot()
    assert root.tag == f"{_SVG}svg"
    return [part.text for part in root.iter() if part.tag in (f"{_SVG}title", f"{_SVG}text")]


def test_latency_tells_the_ticks_and_events_that_the_engine_counted(capsys, tmp_path):
    svg = tmp_path / "latency.svg"
    words = ("--streams", "1,3", "--minutes", "0.02", "--chain", "level,vad", "--json", "--svg", svg)
    done = call(capsys, "bench", "latency", *words)
    assert done.code == 0
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [one["streams"] for one in told] == [1, 3]
    for one in told:
        assert one["bench"] == "latency"
        assert one["machine"]["processors"] >= 1
        for times in (one["tick"], one["late"], one["event_age"], *one["events"].values()):
            assert sum(count for _, _, count in times["bins"]) == times["count"]
            assert times["p50_us"] <= times["p99_us"] <= times["p999_us"] <= times["max_us"]
        assert one["tick"]["count"] == pytest.approx(100 * one["seconds"], abs=10), "a tick for each hop"
        assert one["xruns"] <= one["tick"]["count"] + 1
        assert sum(ages["count"] for ages in one["events"].values()) == one["event_age"]["count"]
        levels = one["streams"] * one["seconds"]
        assert 0 < one["events"]["level"]["count"] <= levels + one["streams"], "one a second and stream"
        assert 0 < one["events"]["level"]["p50_us"] < 1e6
    words = words_of(svg)
    assert words[0] == "Latency of live streams"
    assert {"time, ms", "share of ticks, %", "share of events, %", "10 ms: a hop", "chain level, vad"} <= set(words)
    assert any(word.startswith("3 streams: p50 ") for word in words)


def test_latency_is_a_table_for_a_person(capsys):
    out = call(capsys, "bench", "latency", "--streams", "2", "--minutes", "0.01", "--chain", "level").out
    for words in ("audio in to event out", "p99.9", "2 streams", "skipped hops"):
        assert words in out


def test_capacity_tries_more_streams_until_there_are_as_many_as_were_asked_for(capsys, tmp_path):
    svg = tmp_path / "capacity.svg"
    words = ("--seconds", "1", "--fewest", "1", "--most", "2", "--chain", "level", "--json", "--svg", svg)
    done = call(capsys, "bench", "capacity", *words)
    found = json.loads(done.out)
    assert [one["streams"] for one in found["curve"]] in ([1], [1, 2]), "a machine that is busy may not carry one"
    for one in found["curve"]:
        assert one["failed"] == [
            name
            for name, is_so in (
                ("tick p99", one["tick_p99_us"] >= found["hop_us"]),
                ("skipped", one["skipped_hops"] > 0),
                ("overrun", one["overrun_samples"] > 0),
                ("given up", bool(one["given_up"])),
            )
            if is_so
        ]
        assert one["late_share"] == pytest.approx(one["xruns"] / (100 * one["seconds"]), rel=0.2)
        assert f"{in_words(one['streams'])}: {'too many' if one['failed'] else 'carried'}" in done.err
    carried = [one["streams"] for one in found["curve"] if not one["failed"]]
    assert found["streams"] == max(carried, default=0)
    assert found["is_most"] is (len(carried) < len(found["curve"]))
    assert done.code == (0 if carried else 1)
    assert {"live streams", "time, ms", "share, %", "a hop", "rtemo bench capacity --seconds 1"} <= set(words_of(svg))


@pytest.mark.parametrize("truth", [0, 1, 15, 16, 47, 64, 100, 700, 1024, 5000])
def test_search_ends_within_the_share_of_the_most_that_are_carried(truth):
    tried = list(search(lambda count: count <= truth, 16, 1024, 0.05))
    assert len(tried) == len(set(tried)) < 16
    best = max((count for count in tried if count <= truth), default=0)
    assert best <= min(truth, 1024)
    assert min(truth, 1024) - best <= max(0, 0.05 * best)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["latency", "--streams", "0"], "--streams got '0', expected numbers from 1 to 4096"),
        (["latency", "--minutes", "nan"], "is not a finite number"),
        (["latency", "--svg", "/nowhere/x.svg"], "--svg /nowhere/x.svg cannot be written"),
        (["capacity", "--fewest", "8", "--most", "4"], "--most got 4, which is less than --fewest (8)"),
        (["capacity", "--svg", "/nowhere/x.svg"], "--svg /nowhere/x.svg cannot be written"),
        (["--streams", "4", "latency"], "--streams stands before 'latency'; options of a command stand after it"),
        (["vad"], "there is no command 'vad'; what is not listed there needs a checkout of rtemo"),
        (["capacities"], "there is no command 'capacities'; did you mean 'capacity'?"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(capsys, words, problem):
    done = call(capsys, "bench", *words)
    assert done.code == 2
    assert problem in done.complaint


@pytest.mark.parametrize("name", BENCHES)
def test_every_command_explains_itself_and_has_json(capsys, name):
    assert importlib.import_module(BENCHES[name].module).command.name == name
    done = call(capsys, "bench", name, "--help")
    assert done.code == 0
    assert "--json" in done.out


def test_help_of_bench_imports_nothing_heavy():
    code = (
        "import sys\nfrom rtemo.cli.main import main\ntry:\n    main(['bench', '--help'])\nexcept SystemExit:\n"
        "    print(sorted({'numpy', 'numba', 'onnxruntime', 'zmq', 'rich', 'msgspec', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout and bench.summary in done.stdout for name, bench in BENCHES.items())
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["latency", "capacity"])
def test_picture_in_the_docs_names_the_command_that_draws_it(name):
    words = words_of(ROOT / "docs" / f"{name}.svg")
    assert any(word.startswith(f"rtemo bench {name}") for word in words)
    assert any("processor" in word for word in words), "and the machine"


def test_trace_is_known_by_both_names_and_tells_its_slowest_ticks(capsys, tmp_path):
    out = tmp_path / "trace.json"
    for verbs in (("trace",), ("bench", "trace")):
        words = (ROOT / "examples" / "call.flac", "--out", out, "--chain", "level", "--freewheel", "--seconds", "1")
        done = call(capsys, *verbs, *words, "--json")
        told = json.loads(done.out)
        spans = json.loads(out.read_text())["traceEvents"]
        assert told["ticks"] == sum(span.get("cat") == "tick" for span in spans) > 100
        assert told["late"] <= told["ticks"]
        assert told["slowest"][0]["us"] == max(span["dur"] for span in spans if span.get("cat") == "tick")
