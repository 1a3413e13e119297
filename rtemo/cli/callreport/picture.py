"""Picture: a report as PNG, drawn by a Chromium that is on the machine."""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Any

from rtemo.api import ConfigError
from rtemo.cli.stopping import put_off

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "brave-browser")
_APPLICATION = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"  # which is on no path
_FLAGS = (
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_WIDTH = 1028  # of the page at its widest
_MOST_HEIGHT = 16_384  # beyond which no browser draws
_PATIENCE_S = 60.0
_DYING_S = 3.0
_LONGEST_FOLDER = 55  # with more before it the name of the browser's socket is longer than one may be
_ORDERS_FD, _ANSWERS_FD = 3, 4  # where a browser with a pipe reads and writes


def browser_path() -> str:
    """Find a browser.

    Raises:
        ConfigError: There is none.
    """
    for name in (*_BROWSERS, _APPLICATION):
        found = shutil.which(name)
        if found:
            return found
    raise ConfigError(
        "a picture is drawn by Chromium or Chrome, and there is none on the path",
        "install one, as apt install chromium",
    )


def picture(page: str, browser: str) -> bytes:
    """Draw a page from its top to its end, in its light colours.

    Args:
        page: HTML that needs nothing else.
        browser: As `browser_path` says.

    Returns:
        PNG, of two pixels per CSS pixel where that is not too high; a page that is still too high is cut at its end.

    Raises:
        ConfigError: The browser does not do it.
    """
    try:
        with _Tab(browser) as tab:
            return _drawn(tab, page)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{browser} drew no picture ({error})", "write the page as .html instead") from None


def is_cut(png: bytes) -> bool:
    """Tell whether a picture is as high as one can be, so that the page goes on where it ends."""
    (height,) = struct.unpack(">I", png[20:24])  # of the header, which comes first
    return bool(height >= _MOST_HEIGHT)


def _drawn(tab: "_Tab", page: str) -> bytes:
    light = {"name": "prefers-color-scheme", "value": "light"}
    tab.do("Emulation.setEmulatedMedia", features=[light])
    tab.do("Emulation.setDeviceMetricsOverride", width=_WIDTH, height=800, deviceScaleFactor=1, mobile=False)
    frame = tab.do("Page.getFrameTree")["frameTree"]["frame"]["id"]
    tab.do("Page.setDocumentContent", frameId=frame, html=page)
    height = min(int(tab.do("Page.getLayoutMetrics")["cssContentSize"]["height"]), _MOST_HEIGHT)
    scale = 2 if 2 * height <= _MOST_HEIGHT else 1
    tab.do("Emulation.setDeviceMetricsOverride", width=_WIDTH, height=height, deviceScaleFactor=scale, mobile=False)
    return base64.b64decode(tab.do("Page.captureScreenshot", format="png")["data"])


class _Tab:
    """A page of a browser that listens to nobody but us: its orders come over a pipe, not over a port."""

    def __init__(self, browser: str) -> None:
        self._browser = browser
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._heard = b""
        self._session = ""

    def __enter__(self) -> "_Tab":
        with contextlib.ExitStack() as stack:
            with put_off():
                folder = tempfile.mkdtemp(prefix="rtemo-picture-")
                stack.callback(_remove, folder)
            orders, self._orders = os.pipe()
            stack.callback(os.close, self._orders)
            self._answers, answers = os.pipe()
            stack.callback(os.close, self._answers)
            try:
                self._start(folder, orders, answers, stack)
            finally:
                os.close(orders)
                os.close(answers)
            target = self.do("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def do(self, method: str, **parameters: Any) -> Any:
        """Give an order.

        Raises:
            OSError: The browser has gone, or takes too long.
            ValueError: It refuses.
        """
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        message = json.dumps({**order, "sessionId": self._session} if self._session else order).encode() + b"\0"
        while message:
            message = message[os.write(self._orders, message) :]
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            answer = json.loads(self._message(until_s))
            if answer.get("id") == number:
                if "error" in answer:
                    raise ValueError(answer["error"].get("message", "refused"))
                return answer["result"]

    def _start(self, folder: str, orders: int, answers: int, stack: contextlib.ExitStack) -> None:
        # A shell puts the pipes where the browser looks for them: between fork and exec Python may run little code.
        script = f'exec "$@" {_ORDERS_FD}<"/dev/fd/$ORDERS" {_ANSWERS_FD}>"/dev/fd/$ANSWERS"'
        # Its sandbox refuses root; the page has no script, and may load nothing.
        flags = (*_FLAGS, "--no-sandbox") if os.geteuid() == 0 else _FLAGS
        # What it puts into the folder for temporary files is left there when it is killed, so that is in ours, too.
        own = {"TMPDIR": folder} if len(folder) <= _LONGEST_FOLDER else {}
        with put_off():  # an interrupt between start and note would leave it running
            process = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", self._browser, *flags, f"--user-data-dir={folder}"],
                env={**os.environ, **own, "ORDERS": str(orders), "ANSWERS": str(answers)},
                pass_fds=(orders, answers),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(_end, process.pid)

    def _message(self, until_s: float) -> bytes:
        while b"\0" not in self._heard:
            if not select.select([self._answers], [], [], max(0.0, until_s - time.monotonic()))[0]:
                raise TimeoutError(f"no answer within {_PATIENCE_S:.0f} s")
            more = os.read(self._answers, 1 << 20)
            if not more:
                raise ConnectionError("it ended")
            self._heard += more
        message, _, self._heard = self._heard.partition(b"\0")
        return message


def _end(session: int) -> None:
    """Kill a browser and all that it has started: one that outlives it writes into the folder that is being removed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)


def _remove(folder: str) -> None:
    """Remove the folder of a browser, of which some processes take a moment to die."""
    until_s = time.monotonic() + _DYING_S
    while os.path.exists(folder) and time.monotonic() < until_s:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)
