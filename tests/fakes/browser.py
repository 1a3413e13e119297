"""Headless Chromium, driven over its own debugging protocol: what a person would see of a page."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio"),
    "--remote-debugging-port=0",
)


class Browser:
    """One page."""

    def __init__(self, url: str, width: int = 1440, height: int = 900, is_dark: bool = True) -> None:
        assert PATH is not None
        self._folder = tempfile.TemporaryDirectory(prefix="rtemo-browser-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [PATH, *_FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"],
            env={**os.environ, "TMPDIR": self._folder.name},  # where it leaves things when it is killed
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        connection = connect(self._endpoint(), max_size=1 << 26, open_timeout=20, close_timeout=0.2)
        self._socket = self._stack.enter_context(connection)
        page = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")
        self.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])
        self.do("Emulation.setFocusEmulationEnabled", enabled=True)
        self.do("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        """Set the size of the window."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def do(self, method: str, **parameters: Any) -> Any:
        """Give an order to the page."""
        return self._call(method, session=self._session, **parameters)

    def tell(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        answer = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str, patience_s: float = 15.0) -> float:
        """Wait until JavaScript gives something true; tell how long that took."""
        start_s = time.monotonic()
        while not self.tell(expression):
            assert time.monotonic() - start_s < patience_s, f"{expression} never came; {self.complaints}"
            time.sleep(0.03)
        return time.monotonic() - start_s

    def picture(self, path: Path) -> None:
        """Write a picture of what is in the window."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End it."""
        self._stack.close()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _endpoint(self) -> str:
        file = Path(self._folder.name) / "DevToolsActivePort"
        until_s = time.monotonic() + 30
        while not file.exists() or len(file.read_text().splitlines()) < 2:
            assert time.monotonic() < until_s, "the browser did not start"
            time.sleep(0.05)
        port, path = file.read_text().splitlines()[:2]
        return f"ws://127.0.0.1:{port}{path}"

    def _call(self, method: str, session: str = "", **parameters: Any) -> Any:
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps({**order, "sessionId": session} if session else order))
        while True:
            answer = json.loads(self._socket.recv(30))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(answer["params"]["exceptionDetails"])[:600])
            elif answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
                self.complaints.append(answer["params"]["entry"]["text"])
