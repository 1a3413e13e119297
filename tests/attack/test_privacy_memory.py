"""What people say stays in memory, and memory stays in the process."""

import resource
import signal
import sys
from pathlib import Path

import pytest

from tests.fakes.program import start
from tests.fakes.zmq_ends import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def core_limit(*options: str) -> str:
    """Start a server and tell how large a core file its process may leave."""
    ports = free_ports(4)
    ends = ("--ingest", f"tcp://127.0.0.1:{ports + 3}", "--publish", f"tcp://127.0.0.1:{ports}")
    process = start("serve", *ends, "--chain", "level", *options)
    try:
        assert process.stdout is not None
        assert "audio in" in process.stdout.readline()
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    return line.split()[4]


def test_process_that_holds_audio_leaves_no_core_file_unless_asked_to() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    if before[1] == 0:
        pytest.skip("core files are forbidden here already")
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # what a child inherits
    try:
        assert core_limit() == "0"
        assert core_limit("--set", "engine.core_dumps=true") != "0"
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
