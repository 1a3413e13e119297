"""`rtemo serve` with a wall, as a process that can be killed and started again on the same port."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.program import ROOT, command
from tests.fakes.zmq_ends import free_ports_anywhere

_PATIENCE_S = 60.0


class WebServer:
    """A server with a cheap chain, on a port of its own.

    Attributes:
        port: Where the web is.
        ingest: Where audio goes.
        log: What the server says, on both of its outputs; of all its lives.
        process: The server.
    """

    def __init__(self, log: Path, *arguments: str) -> None:
        self.port = free_ports_anywhere(2)
        self.ingest = f"tcp://127.0.0.1:{self.port + 1}"
        self.log = log
        self._arguments = arguments
        self.process: subprocess.Popen[bytes]
        self.start()

    @property
    def url(self) -> str:
        """Where the wall is, without the last slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        words = ("serve", "--chain", "level,vad", "--capacity", "4", "--publish", "web", "--ingest", self.ingest)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command(*words, "--set", f"publishers.web.port={self.port}", *self._arguments),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until_s = time.monotonic() + _PATIENCE_S
        while not self._is_ready():
            assert time.monotonic() < until_s, self.log.read_text()
            time.sleep(0.05)

    def web_process(self) -> list[int]:
        """Numbers of the processes that the server has started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(number) for number in path.read_text().split()]

    def kill(self) -> None:
        """End it with SIGKILL, as a machine without memory does."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=5) as answer:
                return bool(json.loads(answer.read())["status"] == "ready")
        except OSError:
            return False
