import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtemo.api import RtemoError
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.wire import decode_event
from tests.fakes.zmq_ends import emotion, event

pytestmark = pytest.mark.unit


def test_every_event_is_one_line_that_can_be_read_back(tmp_path: Path) -> None:
    publisher = JsonlPublisher(tmp_path / "events.jsonl", purpose="research")
    publisher.open()
    publisher.publish([event("a", 1), event("b\nb", 1, emotion("sad"))])
    publisher.publish([event("a", 2)])
    publisher.close()
    wires = [decode_event(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()]
    assert [(wire.call, wire.seq, wire.pub_seq) for wire in wires] == [("a", 1, 1), ("b\nb", 1, 2), ("a", 2, 3)]
    assert wires[1].data == emotion("sad")
    assert wires[0].policy is not None


def test_events_are_in_the_file_as_soon_as_they_are_published(tmp_path: Path) -> None:
    publisher = JsonlPublisher(tmp_path / "events.jsonl")
    publisher.open()
    publisher.publish([event()])
    assert (tmp_path / "events.jsonl").read_bytes().count(b"\n") == 1
    publisher.close()


def test_file_is_begun_anew_unless_it_is_to_be_continued(tmp_path: Path) -> None:
    for append, lines in ((False, 1), (True, 2), (False, 1)):
        publisher = JsonlPublisher(tmp_path / "events.jsonl", append=append)
        publisher.open()
        publisher.publish([event()])
        publisher.close()
        assert (tmp_path / "events.jsonl").read_bytes().count(b"\n") == lines


def test_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RtemoError, match=r"cannot write .*nowhere.*No such file") as caught:
        JsonlPublisher(tmp_path / "nowhere" / "events.jsonl").open()
    assert caught.value.mend


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_clear_error_and_closing_still_works() -> None:
    publisher = JsonlPublisher("/dev/full")
    publisher.open()
    with pytest.raises(RtemoError, match="No space left") as caught:
        publisher.publish([event()])
    assert "disk" in caught.value.mend
    publisher.close()
    publisher.close()


def test_reader_that_goes_away_is_one_clear_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["head", "-n", "1", str(pipe)], stdout=subprocess.PIPE)
    publisher = JsonlPublisher(pipe)
    publisher.open()
    publisher.publish([event()])
    assert reader.communicate(timeout=10)[0].count(b"\n") == 1
    reader.wait()
    with pytest.raises(RtemoError, match=r"reader of .* has gone"):
        publisher.publish([event()])
    publisher.close()


def test_dash_is_standard_output() -> None:
    code = (
        "from rtemo.io.publishers.jsonl import JsonlPublisher; from tests.fakes.zmq_ends import event\n"
        "p = JsonlPublisher('-'); p.open(); p.publish([event('a'), event('b')]); p.close(); print('done')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60).stdout.splitlines()
    assert [decode_event(line).call for line in out[:2]] == ["a", "b"]
    assert out[2] == b"done"
