import csv
import json
import sqlite3
import time
from importlib.util import find_spec

import pytest

from rtemo.api import Fault, RtemoError
from rtemo.io.publishers.options import StoreOptions
from rtemo.io.publishers.store import StorePublisher, erase, messages
from rtemo.io.wire import decode_event
from tests.fakes.program import call
from tests.fakes.web_events import call_events, event, start

pytestmark = pytest.mark.unit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.db"


def kept(path, *events, **options):
    store = StorePublisher(StoreOptions(path=str(path), **options))
    store.open()
    store.publish(events)
    return store


def test_events_of_a_call_come_back_as_they_went_in_without_the_kinds_left_out(path):
    kept(path, start(), *call_events("a"), *call_events("b")).close()
    found = [decode_event(message) for message in messages(path, "a")]
    assert [one.kind for one in found] == ["stream_start", "speech_start", "rank", "emotion", "spoof", "transcript"]
    assert found[3].data.label == "angry"
    assert {decode_event(message).call for message in messages(path)} == {"b"}  # the one that began last
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_erased_is_nowhere_in_the_files_any_more_and_the_rest_stays(path, capsys):
    store = kept(path, start(), *call_events("secret-caller"), *call_events("b"))
    store.publish([event("", Fault(where="x", problem='stream "secret-caller" broke', action="closed"))])
    store.tick()
    done = call(capsys, "erase", "secret-caller", "--store", path)  # while the server goes on
    assert (done.code, done.out) == (0, "secret-caller: 7 events erased\n")
    store.publish(call_events("c"))
    store.close()
    assert len(list(messages(path, "b"))) == len(list(messages(path, "c"))) == 6
    for file in path.parent.iterdir():
        assert b"secret-caller" not in file.read_bytes(), file
    assert call(capsys, "erase", "nobody", "--store", path).code == 1
    assert call(capsys, "erase", "a", "--store", path.with_name("none.db")).code == 2
    assert call(capsys, "erase", "b", "", "--store", path).code == 2  # an empty variable of a script
    assert len(list(messages(path, "b"))) == 6


def test_erasing_while_somebody_reads_says_that_the_log_still_holds_it(path):
    store = kept(path, *call_events("secret-caller"), *call_events("b"))
    store.tick()
    reading = messages(path, "b")
    next(reading)
    with pytest.raises(RtemoError, match="log"):
        erase(path, "secret-caller", patience_s=0.1)
    reading.close()
    erase(path, "secret-caller")
    store.close()
    for file in path.parent.iterdir():
        assert b"secret-caller" not in file.read_bytes(), file


def test_events_that_are_too_old_go(path):
    store = kept(path, *call_events("a"), keep_days=0.1 / 86_400)
    store.tick()
    time.sleep(0.2)
    store._pruned_s = 0.0
    store.tick()
    store.close()
    assert list(messages(path, "a")) == []


def test_while_somebody_else_writes_events_wait_and_none_is_lost(path):
    store = kept(path, *call_events("a"))
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    start_s = time.monotonic()
    store.tick()
    assert time.monotonic() - start_s < 1.5
    other.rollback()
    store.publish(call_events("b"))
    store.close()
    assert len(list(messages(path, "a"))) == len(list(messages(path, "b"))) == 6


def test_a_file_that_is_no_store_is_refused_with_a_word(path, tmp_path):
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(RtemoError, match="cannot be used as a store"):
        kept(path)
    with pytest.raises(RtemoError, match="cannot be read"):
        list(messages(path))
    with pytest.raises(RtemoError, match="no store"):
        erase(tmp_path / "none.db", "a")
    with pytest.raises(RtemoError, match="folder"):
        StorePublisher(StoreOptions(path=str(tmp_path / "no" / "x.db"))).check()


def test_a_report_is_written_from_a_store(path, tmp_path, capsys):
    kept(path, *call_events("a")).close()
    out = tmp_path / "a.html"
    assert call(capsys, "report", path, "--out", out).code == 0
    assert "this is the third time" not in out.read_text()  # a transcript that was not final
    assert "customer" in out.read_text()


def test_events_are_exported_as_a_table_with_a_column_for_each_field_of_one_kind(path, tmp_path, capsys):
    kept(path, start(), *call_events("=cmd|'/c calc'!A1"), *call_events("b")).close()
    out = tmp_path / "b.csv"
    assert call(capsys, "export", path, "--out", out, "--kind", "emotion").out == f"{out}: 2 events\n"
    with out.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["call"] == "'=cmd|'/c calc'!A1"  # a spreadsheet must not take it for a formula
    assert (second["call"], second["role"], second["data.label"], second["data.valence"]) == (
        *("b", "customer", "angry", "-0.5"),
    )
    assert json.loads(second["data.probabilities"]) == {"angry": 0.7, "neutral": 0.3}
    assert out.stat().st_mode & 0o077 == 0
    assert call(capsys, "export", path, "--out", out, "--call", "b").code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows][:2] == ["stream_start", "speech_start"]
    assert json.loads(rows[0]["data"])["role"] == "customer"
    assert call(capsys, "export", path, "--out", path).code == 2


def test_events_are_exported_as_parquet_where_its_library_is(path, tmp_path, capsys):
    kept(path, *call_events("a")).close()
    out = tmp_path / "a.parquet"
    if find_spec("pyarrow") is None:
        assert "pip install 'rtemo[parquet]'" in call(capsys, "export", path, "--out", out).complaint
        return
    import pyarrow.parquet

    assert call(capsys, "export", path, "--out", out, "--kind", "rank").code == 0
    (row,) = pyarrow.parquet.read_table(out).to_pylist()
    assert (row["call"], row["data.attribute"], row["data.score"], row["data.change"]) == ("a", "arousal", 0.8, None)


def test_a_day_is_published_again_in_order_at_its_pace_and_says_that_it_is_a_simulation(path, tmp_path, capsys):
    store = kept(path, start(), *call_events("a"))
    store.tick()
    time.sleep(1.0)
    store.publish([*call_events("b"), event("b", Fault(where="x", problem="y", action="z"))])
    store.close()
    out = tmp_path / "again.jsonl"
    setting = f"publishers.jsonl.path={out}"
    start_s = time.monotonic()
    done = call(capsys, "simulate", path, "--publish", "jsonl", "--rate", 4, "--set", setting)
    took_s = time.monotonic() - start_s
    assert (done.code, done.out) == (0, "14 events published\n")
    assert took_s >= 0.25
    events = [decode_event(line) for line in out.read_bytes().splitlines()]
    assert [one.call for one in events] == [""] + ["a"] * 6 + ["b"] * 7
    assert {one.policy.purpose for one in events} == {"simulation"}
    assert [one.pub_seq for one in events] == list(range(1, 15))
    assert 0 <= events[4].age_ms < 1000
    done = call(capsys, "simulate", out, "--publish", "jsonl", "--set", setting)
    assert "into itself" in done.complaint
    assert (
        call(capsys, "simulate", path, "--call", "b", "--publish", "jsonl", "--set", setting, "--rate", 100).code == 0
    )
    assert {decode_event(line).call for line in out.read_bytes().splitlines()} == {"", "b"}
