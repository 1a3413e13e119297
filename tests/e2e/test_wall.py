"""The wall in a real browser: what stands where, and what happens when the connection goes."""

import json
import os
import signal
import urllib.request

import numpy as np
import pytest

from rtemo.api import Counters, Spoof, StreamEnd, StreamStart
from rtemo.client import AudioSender

for needed in ("starlette", "uvicorn", "websockets", "prometheus_client"):
    pytest.importorskip(needed, reason="the extra `web` is not installed")
browsers = pytest.importorskip("tests.fakes.browser")

from tests.fakes.served import WebServer  # noqa: E402
from tests.fakes.web_events import Served, alert, board, call_events, emotion, event, query_score, trouble  # noqa: E402

pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.skipif(browsers.PATH is None, reason="there is no chromium here: apt-get install chromium"),
]

SHOWN = "[...document.querySelectorAll('.row:not([hidden])')]"
NAMES = SHOWN + ".sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map(row => row.dataset.call)"


@pytest.fixture(scope="module")
def served():
    made = Served()
    made.say(*call_events("quiet", label="calm", arousal=-0.5, valence=0.4))
    made.say(*call_events("unclear", label="unsure", confidence=0.2, arousal=0.0, valence=0.0))
    made.say(*call_events("cross"), board(cross=2.0, quiet=-1.0))
    for number in range(500):
        made.say(*call_events(f"other-{number}", label="neutral", arousal=0.0, valence=0.0))
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(served):
    browser = browsers.Browser(served.url + "/")
    browser.wait_for(SHOWN + ".length > 5 && document.querySelector('#facts').innerText.includes('503')")
    yield browser
    browser.close()


def test_calls_that_need_a_person_stand_first_and_only_visible_rows_are_drawn(page):
    assert page.tell(NAMES)[:2] == ["cross", "quiet"]  # the board places two, and the others come after it
    assert page.tell("document.querySelectorAll('.row').length") < 20
    assert page.tell("document.querySelector('[data-call=cross]').ariaSetSize") == "503"
    assert not page.complaints  # nothing offends the content security policy, nothing throws


def test_an_alert_lifts_a_call_and_is_acknowledged_from_the_keyboard(page, served):
    served.say(alert("other-499", "heated"))
    page.wait_for('document.querySelector(\'[data-call="other-499"][aria-posinset="1"]\') !== null')
    assert page.tell("document.querySelector('#said').textContent") == "Alert heated on call other-499"
    page.tell("document.querySelector('#calls').focus(), 1")
    for key in ("Home", "a"):  # the first call, and its alerts
        page.do("Input.dispatchKeyEvent", type="keyDown", key=key)
        page.do("Input.dispatchKeyEvent", type="keyUp", key=key)
    page.wait_for("document.querySelector('#alerts').hidden")
    assert page.tell("document.querySelector('#detail h2').textContent") == "other-499"
    served.say(alert("other-499", "too loud"))
    page.wait_for("!document.querySelector('#alerts').hidden")
    page.do("Input.dispatchKeyEvent", type="keyDown", key="w")
    page.do("Input.dispatchKeyEvent", type="keyUp", key="w")
    page.wait_for("document.querySelector('.detail-alerts .done')?.textContent.includes('too loud (wrong)')")
    with urllib.request.urlopen(served.url + "/v1/calls?prefix=other-499") as answer:
        marks = [one["mark"] for one in json.loads(answer.read())["calls"][0]["alerts"]]
    assert marks == ["acknowledged", "wrong"]  # on the server, for every other wall


def test_unsure_has_a_look_and_a_word_of_its_own(page):
    page.tell(
        "(f => { f.value = 'unclear'; f.dispatchEvent(new Event('input')); return 1 })(document.querySelector('#find'))"
    )
    page.wait_for("document.querySelectorAll('.row:not([hidden])').length === 1")
    assert page.tell("document.querySelector('.row:not([hidden]) .mood b').textContent") == "unsure"
    style = page.tell("getComputedStyle(document.querySelector('.row:not([hidden]) .mood i')).borderStyle")
    assert style == "dashed"


def test_calls_are_ordered_by_words_that_somebody_has_asked_for(page, served):
    words = "a caller losing <b>patience</b>"
    for name, z in (("other-7", 2.5), ("quiet", 1.0), ("cross", -1.0)):
        served.say(query_score(name, words, z))
    page.wait_for("document.querySelector('#by').options.length === 2 && !document.querySelector('#by-label').hidden")
    fill = "(field => { field.%s; field.dispatchEvent(new Event('%s')); return 1 })(document.querySelector('%s'))"
    page.tell(fill % ("value = ''", "input", "#find"))
    page.tell(fill % ("selectedIndex = 1", "change", "#by"))
    page.wait_for(NAMES + ".slice(0, 3).join() === 'other-7,quiet,cross'")
    first = "document.querySelector('[data-call=\"other-7\"]')"
    assert page.tell(first + ".querySelector('[data-kind=like]').textContent") == "≈+2.5 like it"
    assert "+2.5 like it" in page.tell(first + ".ariaLabel")
    assert page.tell("document.querySelector('#by').options[1].text") == words
    assert page.tell("document.querySelector('#board-title').textContent") == "Most like the words"
    for _ in range(5):
        served.say(query_score("cross", words, 4.0))
    page.wait_for(NAMES + "[0] === 'cross'")
    page.tell(fill % ("selectedIndex = 0", "change", "#by"))
    page.wait_for("document.querySelector('.badge[data-kind=like]') === null")
    page.wait_for(NAMES + ".slice(0, 2).join() === 'cross,quiet'")
    assert not page.complaints


@pytest.mark.parametrize("width", [390, 641, 768, 1440])
def test_nothing_sticks_out_to_the_side_at_any_width(page, width):
    page.size(width, 900)
    page.wait_for(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}", 3.0)
    assert page.tell("(facts => facts.scrollWidth <= facts.clientWidth)(document.querySelector('#facts'))")
    page.size(1440, 900)


def three_parties():
    """A caller who grows angry and calms down, a user, and a speaker about whose voice an alarm stands."""
    roles = {"0": "caller", "1": "user", "2": "speaker"}
    yield from (event("three", StreamStart(role=role), 0.0, channel) for channel, role in roles.items())
    yield event("three", emotion("neutral", 0.1, 0.1, 0.9), 3.0, "2")
    yield event("three", Spoof(score=4.0, verdict="spoof", is_alarmed=True), 5.0, "2")
    yield event("three", emotion("sad", -0.3, -0.3), 9.0, "1")
    yield from (event("three", emotion("angry", 0.9, -0.8, 0.9), 20.0 + at_s, "0") for at_s in range(10))
    yield event("three", Spoof(score=-1.0, verdict="unknown"), 30.0, "0")


def end_of_three():
    """The same, all calm, and its end."""
    yield event("three", emotion("calm", -0.6, 0.3), 40.0, "0")
    end = StreamEnd(reason="end", duration_s=41.0, counters=Counters())
    yield from (event("three", end, 41.0, channel) for channel in "012")


@pytest.fixture
def three():
    made = Served()
    made.say(*three_parties())
    browser = browsers.Browser(made.url + "/")
    try:
        browser.wait_for("document.querySelector('[data-call=three] .badge') !== null")
        yield made, browser
        assert not browser.complaints
    finally:
        browser.close()
        made.close()


ROW = "document.querySelector('[data-call=three]')"
BADGES = "[...document.querySelectorAll('[data-call=three] .badge')].map(badge => badge.textContent)"


def test_the_alarm_about_any_party_of_a_call_is_on_its_row_with_its_role_and_is_said(three):
    served, browser = three
    assert browser.tell(ROW + ".querySelector('.who').textContent").startswith("caller")
    assert browser.tell(ROW + ".querySelector('.mood b').textContent") == "angry"
    assert browser.tell(BADGES) == ["⚠speaker · synthetic voice? alarm", "○caller · voice: cannot tell"]
    label = browser.tell(ROW + ".ariaLabel")
    assert "caller angry 90 %" in label
    assert "speaker · synthetic voice? alarm" in label
    assert browser.tell("document.querySelector('#said').textContent") == (
        "synthetic voice? alarm, speaker on call three"
    )
    served.say(trouble("three"), alert("three", "heated"))
    browser.wait_for(BADGES + ".join().includes('caller · heated')")
    assert browser.tell(BADGES) == ["▲caller · heated", "⚠speaker · synthetic voice? alarm", "+2"]
    assert "caller · the voice is very faint" in browser.tell(
        ROW + ".querySelector('.badge[data-kind=more]').title"
    )  # and nothing is left out of what is read aloud
    assert "caller · the voice is very faint" in browser.tell(ROW + ".ariaLabel")


def test_when_a_call_has_ended_its_row_goes_on_about_the_party_that_sounded_worst(three):
    served, browser = three
    served.say(*end_of_three())
    browser.wait_for(ROW + "?.dataset.state === 'ended'")
    told = f"[...{ROW}.querySelectorAll('.who, .mood b, .mood small')].map(part => part.textContent)"
    assert browser.tell(told) == ["caller · 0:41 · ended", "angry", "at worst, 0:20"]
    assert "⚠speaker · synthetic voice? alarm" in browser.tell(BADGES)
    browser.do("Page.reload")  # a wall that is opened later says the same
    browser.wait_for("document.querySelector('[data-call=three] .badge') !== null")
    assert browser.tell(told) == ["caller · 0:41 · ended", "angry", "at worst, 0:20"]


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_an_alarm_is_not_cut_where_there_is_room_and_has_a_title_everywhere(three, width):
    _, browser = three
    browser.size(width, 900)
    browser.wait_for(f"innerWidth === {width}")
    alarm = "document.querySelector('[data-call=three] .badge[data-kind=alarm]')"
    assert browser.tell(alarm + ".title") == "speaker · synthetic voice? alarm"
    browser.wait_for(
        "(span => span.scrollWidth <= span.clientWidth && span.scrollHeight <= span.clientHeight + 1)"
        f"({alarm}.querySelector('span'))",
        3.0,
    )
    boxes = f"{alarm}.getBoundingClientRect(), {ROW}.getBoundingClientRect()"
    assert browser.tell(f"((mark, row) => mark.top >= row.top && mark.bottom <= row.bottom)({boxes})")


def test_a_lost_connection_is_shown_within_two_seconds_and_comes_back_by_itself():
    first = Served()
    port = int(first.url.rpartition(":")[2])
    first.say(*call_events("before"))
    browser = browsers.Browser(first.url + "/")
    try:
        browser.wait_for("document.querySelector('[data-call=before]') !== null")
        os.kill(first.process_id, signal.SIGKILL)
        took_s = browser.wait_for("document.querySelector('#link').dataset.state === 'lost'", 5.0)
        assert took_s < 2.0
        assert "Connection lost" in browser.tell("document.querySelector('#lost').textContent")
        second = Served(at=port)
        try:
            second.say(*call_events("after"))
            browser.wait_for("document.querySelector('[data-call=after]') !== null")
            assert browser.tell("document.querySelector('#lost').hidden")
        finally:
            second.close()
    finally:
        browser.close()
        first.close()


def test_a_server_that_is_killed_is_missed_within_two_seconds_and_the_same_wall_goes_on_with_the_next(tmp_path):
    with WebServer(tmp_path / "log") as server:
        browser = browsers.Browser(server.url + "/")
        try:
            browser.wait_for("document.querySelector('#link')?.dataset.state === 'live'")
            browser.tell("window.isSamePage = true")
            with AudioSender(server.ingest) as sender:
                sender.open("before", sample_rate_hz=8_000, role="customer").send(np.zeros(8_000, np.int16))
                browser.wait_for("document.querySelector('[data-call=before]') !== null")
                server.kill()
                took_s = browser.wait_for("document.querySelector('#link').dataset.state === 'lost'", 5.0)
            assert took_s < 2.0
            assert not browser.tell("document.querySelector('#lost').hidden")
            server.start()
            browser.wait_for("document.querySelector('#link').dataset.state === 'live'")
            assert browser.tell("document.querySelector('#lost').hidden")
            with AudioSender(server.ingest) as sender:
                sender.open("after", sample_rate_hz=8_000, role="customer").send(np.zeros(8_000, np.int16))
                browser.wait_for("document.querySelector('[data-call=after]') !== null")
            assert browser.tell("document.querySelector('[data-call=before]') === null")  # the next knows nothing of it
            assert browser.tell("window.isSamePage")
        finally:
            browser.close()


def test_a_wall_without_a_token_asks_for_one_and_goes_on_with_it(tmp_path):
    path = tmp_path / "tokens.toml"
    token = "wall-token-0123456789abcdef"
    path.write_text(f'[[token]]\nname = "wall"\ntoken = "{token}"\n')
    path.chmod(0o600)
    guarded = Served(tokens=str(path))
    guarded.say(*call_events("secret"))
    browser = browsers.Browser(guarded.url + "/")
    try:
        browser.wait_for("document.querySelector('#ask')?.open")
        browser.tell(
            f"document.querySelector('#token').value = '{token}', document.querySelector('#ask button').click(), 1"
        )
        browser.wait_for("document.querySelector('[data-call=secret]') !== null")
    finally:
        browser.close()
        guarded.close()
