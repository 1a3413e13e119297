"""The edges that ship with rtemo keep the contract that strangers' do, and one that breaks it is found."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract

BAD = '''
import time
import msgspec

class Options(msgspec.Struct, forbid_unknown_fields=True): ...

class Edge:
    """Breaks the contract."""
    options_type = Options
    name = "bad"
    overrun_samples = underrun_samples = 0
    def __init__(self, options): self.is_closed = False
    def open(self, *_): ...
    def pump(self):
        time.sleep(1.2)
        return -1.0
    def publish(self, events): [event.data.rms_dbfs for event in events]
    def write(self, block): block.samples[:] = 0
    def tick(self): ...
    def close(self):
        assert not self.is_closed
        self.is_closed = True
'''


def prove(names: str, folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    secret = folder / "secret"
    secret.write_text("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    secret.chmod(0o600)
    (folder / "rtemo.toml").write_text(
        'chain = []\n[sources.zmq]\nendpoint = "tcp://127.0.0.1:*"\n[sinks.zmq]\nendpoint = "tcp://127.0.0.1:*"\n'
        '[publishers.zmq]\nevents = "tcp://127.0.0.1:*"\nstate = "tcp://127.0.0.1:*"\nquery = "tcp://127.0.0.1:*"\n'
        "[publishers.web]\nport = 0\n"
        f'[[publishers.webhook.targets]]\nurl = "http://127.0.0.1:9/"\nkinds = ["level"]\nsecret_file = "{secret}"\n'
    )
    command = [sys.executable, "-m", "pytest", "--pyargs", "rtemo.testing.test_edges", "-q", "--import-mode=importlib"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:benchmark"],
        env={**os.environ, "RTEMO_TEST": names, "PYTHONPATH": path, "RTEMO_CONFIG": str(folder / "rtemo.toml")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_edges_that_ship_keep_the_contract(tmp_path: Path) -> None:
    is_web = all(map(find_spec, ("starlette", "uvicorn", "websockets", "prometheus_client")))
    done = prove("zmq,jsonl,console,store,webhook" + ",web" * is_web, tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "events.jsonl").read_text().count("strange_and_new") == 40  # the kind, twice in every event


def test_edges_that_break_the_contract_are_found(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    info = tmp_path / "bad-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    groups = ("sources", "publishers", "sinks")
    (info / "entry_points.txt").write_text("".join(f"[rtemo.{group}]\nbad = bad:Edge\n" for group in groups))
    done = prove("bad", tmp_path, str(tmp_path))
    assert done.returncode == 1, done.stdout
    for test in (
        "test_source_runs_in_a_session_and_stops_in_time_without_a_fault",
        "test_source_that_is_refused_says_so_or_goes_on_and_can_be_closed",
        "test_publisher_takes_every_kind_and_name_and_is_closed_in_time",
        "test_sink_takes_streams_that_jump_and_end_and_is_closed_in_time",
    ):
        assert f"{test}[bad]" in done.stdout.split("short test summary")[1]
