"""Workers on the nodes of a Ray cluster: real nodes, which are killed, and `rtemo serve` in front of them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from rtemo.cluster.actors.choice import IN_TIME, STAY_ON_LOOPBACK
from tests.fakes.program import call
from tests.fakes.workers import Heard, Served, Talk, serving, strain

os.environ.update({**STAY_ON_LOOPBACK, **IN_TIME})  # before it is imported
pytest.importorskip("ray", reason="needs the extra rtemo[cluster]")

pytestmark = [pytest.mark.e2e, pytest.mark.heavy, pytest.mark.timeout(300)]

CALLS = [f"call-{number}" for number in range(8)]


def wait_until(is_so: Any, timeout_s: float = 90.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def children(process: int) -> list[int]:
    """All processes below one, the nearest first."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found + [below for child in found for below in children(child)]


class Nodes:
    """A cluster whose nodes are programs of this machine: a head without room for workers, and others that have it."""

    def __init__(self, *rooms: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, shutdown_at_exit=False, head_node_args=head)
        self.address = self._cluster.address
        self.nodes = [self._cluster.add_node(num_cpus=room) for room in rooms]

    def raylet(self, index: int) -> int:
        return int(self.nodes[index].all_processes["raylet"][0].process.pid)

    def of(self, server: Served) -> dict[int, int]:
        """Worker → index of its node."""
        below = {index: set(children(self.raylet(index))) for index in range(len(self.nodes)) if self.nodes[index]}
        return {number: index for number, pid in server.processes.items() for index in below if pid in below[index]}

    def kill(self, index: int) -> None:
        """Have a machine go dark: everything on it at once."""
        everything = [self.raylet(index), *children(self.raylet(index))]
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node, self.nodes[index] = self.nodes[index], None
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    made = Nodes(*request.param)
    yield made
    made.close()


def has_events_of(calls: list[str], *kinds: str) -> Any:
    return lambda heard: all(heard.of(name, *kinds) for name in calls)


@pytest.mark.parametrize("nodes", [(1, 1, 1)], indirect=True)
def test_calls_of_a_node_that_is_killed_go_on_elsewhere_within_three_seconds_and_its_worker_too(nodes: Nodes) -> None:
    with (
        serving("--cluster", nodes.address) as server,
        Heard(server.events) as heard,
        Talk(server.ingest, CALLS) as talk,
    ):
        heard.wait_for(has_events_of(CALLS, "speech_start"), 60.0)
        at = nodes.of(server)
        assert len(set(at.values())) == 2  # spread
        lost = next(number for number, one in server.workers.items() if one.streams)
        killed_s = time.monotonic()
        nodes.kill(at[lost])
        heard.wait_for(lambda heard: heard.of("", "fault"))
        moved = [event.call for event in heard.events if event.kind == "fault" and event.call]
        assert moved
        on_s = heard.wait_for(lambda heard: all(len(heard.of(name, "stream_start")) == 2 for name in moved))
        assert on_s - killed_s < 3.0 * strain()
        print(f"{len(moved)} calls go on after {on_s - killed_s:.2f} s")
        # Its worker is started on the node that was free.
        wait_until(lambda: server.workers[lost].state == "running")
        again = nodes.of(server)
        assert again[lost] not in at.values()
        talk.stop()
        heard.wait_for(lambda heard: all(len(heard.of(name, "stream_end")) == 2 for name in moved))
    for name in moved:
        last = heard.of(name, "stream_end")[1].data
        assert heard.of(name, "stream_end")[0].data.reason == "worker lost"
        assert 0 < last.counters.source_lost_samples == talk.streams[name].account.lost_samples
    assert heard.lost_events == heard.restarts == 0


@pytest.mark.parametrize("nodes", [(3,)], indirect=True)
def test_workers_are_renewed_one_after_the_other_and_no_call_is_lost(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        serving("--cluster", nodes.address, "--set", "workers.move_s=1") as server,
        Heard(server.events) as heard,
        Talk(server.ingest, CALLS) as talk,
    ):
        heard.wait_for(has_events_of(CALLS, "level"), 60.0)
        done = call(capsys, "workers", server.control, "renew")
        assert done.code == 0
        assert "127.0.0.1" in done.out
        assert "2 to be renewed" in done.out
        wait_until(lambda: not server.ask().to_renew)
        assert sorted(server.workers) == [3, 4]
        talk.stop()
    assert all(talk.streams[name].account.reason == "end" for name in CALLS)
    assert not [event for event in heard.events if event.kind == "fault"]


def test_a_cluster_of_this_machine_alone_listens_on_loopback_and_ends_with_the_server() -> None:
    with serving("--cluster", "local") as server, Heard(server.events) as heard, Talk(server.ingest, CALLS[:2]):
        heard.wait_for(has_events_of(CALLS[:2], "level"), 60.0)
        below = children(server.process.pid)
        names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in below if os.path.exists(f"/proc/{pid}")}
        dashboards = [name for name in names.values() if b"dashboard.py" in name]
        assert all(b"--disable-frontend" in name for name in dashboards)  # what is left of it counts nodes
        doors = open_doors(set(below))
        assert doors
        assert all(door.is_loopback for door in doors), doors
        pid = server.processes[1]
        os.kill(pid, signal.SIGKILL)
        heard.wait_for(lambda heard: heard.of("", "fault"))
        assert "on 127.0.0.1 died (signal 9)" in heard.of("", "fault")[0].data.problem
        wait_until(lambda: server.workers[1].state == "running")
        below = children(server.process.pid)
        server.stop(timeout_s=30.0)
        assert server.process.returncode == 0
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), 15.0)


def open_doors(processes: set[int]) -> set[IPv4Address | IPv6Address]:
    """Addresses at which any of the processes takes connections."""
    inodes = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            inodes |= {os.readlink(file).strip("socket:[]") for file in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for line in (
        Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    ):
        words = line.split()
        if words[3] == "0A" and words[9] in inodes:
            address = bytes.fromhex(words[1].split(":")[0])
            packed = b"".join(address[at : at + 4][::-1] for at in range(0, len(address), 4))
            door = ip_address(packed)
            found.add(getattr(door, "ipv4_mapped", None) or door)
    return found


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("127.0.0.1:1", "there is no Ray cluster at '127.0.0.1:1': Connection refused; start one with"),
        ("ray://127.0.0.1:10001", "give local, auto, or HOST:PORT of the first node"),
        ("somewhere", "give local, auto, or HOST:PORT of the first node"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_of_in_one_line(
    where: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "serve", "--workers", "1", "--cluster", where, "--chain", "level")
    assert done.code == 2
    assert told in done.complaint


def test_a_worker_for_which_no_node_has_room_is_waited_for_and_that_is_said() -> None:
    from tests.fakes.program import start

    words = ["serve", "--workers", "1", "--cluster", "local", "--chain", "level", "--set", "workers.resources.gold=1"]
    process = start(*words, "--ingest", "ipc:///tmp/rtemo-none", "--publish", "tcp://127.0.0.1:0")
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "waiting for" in line)
        told = "rtemo: waiting for Ray to start worker 1 on a node that has room for it (CPU 1, gold 1)"
        assert line.strip() == told
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30.0)
