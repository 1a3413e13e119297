"""The report in a real browser: what fits, and what plays."""

import io
import os
import stat
import tempfile
import time

import numpy as np
import pytest
from PIL import Image

from rtemo.api import Alert, StreamStart

browsers = pytest.importorskip("tests.fakes.browser")

from tests.fakes.program import call, start  # noqa: E402
from tests.fakes.report_calls import a_call, an_hour, mood, told, write_events  # noqa: E402
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


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("is_long", [False, True])
def test_nothing_sticks_out_to_the_side_at_any_width(browser, tmp_path, capsys, width, is_long):
    name = "x" * 120
    long = [
        told("1", StreamStart(role=name), 0, 0),
        told("1", mood(name, 0.9, -0.9), 30, 50),
        told("1", Alert(rule=name, values={name: 1.0}), 30, 50),
    ]
    events = [*a_call(), *(long if is_long else [])]
    out = tmp_path / "report.html"
    assert call(capsys, "report", write_events(tmp_path / "e.jsonl", events), "--out", out).code == 0
    browser.size(width, 844)
    show(browser, out)
    browser.wait_for(f"innerWidth === {width}", 3.0)
    assert browser.tell("document.documentElement.scrollWidth") <= width
    assert browser.tell("[...document.querySelectorAll('.axis span')].every(span => span.clientHeight < 24)")


def test_a_picture_shows_the_whole_page_and_only_its_owner_reads_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out = tmp_path / "report.png"
    assert call(capsys, "report", write_events(tmp_path / "e.jsonl"), "--out", out).code == 0
    content = out.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    picture = Image.open(io.BytesIO(content)).convert("L")
    assert picture.width == 2056
    assert 2 * 800 < picture.height < 2 * 4000
    last = np.asarray(picture)[-400:]  # where the footer stands
    assert last.min() < 140
    assert last[-80:].min() > 230
    assert not list(tmp_path.glob("rtemo-*"))  # what the browser wrote is gone


def test_a_picture_leaves_nothing_of_the_browser_in_the_folder_for_temporary_files(tmp_path, capsys, monkeypatch):
    events, out = write_events(tmp_path / "e.jsonl"), tmp_path / "report.png"
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:  # a browser takes no long names there
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        assert call(capsys, "report", events, "--out", out).code == 0
        assert os.listdir(folder) == []


def test_a_page_that_is_too_long_for_a_picture_is_cut_where_browsers_end(tmp_path, capsys):
    out = tmp_path / "report.png"
    done = call(capsys, "report", write_events(tmp_path / "e.jsonl", an_hour()), "--out", out)
    assert done.code == 0
    assert "too long for a picture" in done.err
    assert Image.open(out).size == (1028, 16_384)


def test_a_picture_that_is_stopped_leaves_no_folder_of_the_browser(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    events, out = write_events(tmp_path / "events.jsonl"), tmp_path / "x.png"
    process = start("report", events, "--out", out, environment={"TMPDIR": str(folder)})
    while not list(folder.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err.strip()) == (143, "rtemo: stopped")
    assert not list(folder.iterdir())
    assert not out.exists()


def test_a_picture_without_a_browser_says_what_to_install(tmp_path, capsys, monkeypatch):
    events = write_events(tmp_path / "e.jsonl")
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "report.png"
    assert "apt install chromium" in call(capsys, "report", events, "--out", out).complaint
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert "drew no picture" in call(capsys, "report", events, "--out", out).complaint
    assert not out.exists()
