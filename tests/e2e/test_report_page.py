"""The report in a real browser: what fits, and what plays."""

import numpy as np
import pytest

browsers = pytest.importorskip("tests.fakes.browser")

from tests.fakes.program import call  # noqa: E402
from tests.fakes.report_calls import write_events  # noqa: E402
from tests.fakes.sounds import tone, write_sound  # noqa: E402

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(browsers.PATH is None, reason="there is no chromium here: apt-get install chromium"),
]


@pytest.fixture
def browser():
    """A browser that lets sound play without a click, on a report that is still to come."""
    opened = browsers.Browser("about:blank", 390, 844)
    yield opened
    opened.close()


def show(browser, path):
    browser.do("Page.navigate", url=path.as_uri())
    browser.wait_for("document.querySelector('footer') !== null")


def test_an_excerpt_plays_and_the_page_offends_no_policy_of_its_own(browser, tmp_path, capsys):
    both = np.stack([tone(100.0, 8_000), tone(100.0, 8_000)], axis=1)
    sound = write_sound(tmp_path / "call.wav", both, 8_000)
    out = tmp_path / "report.html"
    assert call(capsys, "report", write_events(tmp_path / "e.jsonl"), "--audio", sound, "--out", out).code == 0
    show(browser, out)
    browser.wait_for("document.querySelector('audio').duration > 19")
    press = "document.querySelector('audio').play().then(() => 1)"
    answer = browser.do("Runtime.evaluate", expression=press, awaitPromise=True, userGesture=True)
    assert answer["result"].get("value") == 1, answer
    browser.wait_for("document.querySelector('audio').currentTime > 0.3")
    assert not browser.complaints
