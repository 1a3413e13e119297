"""The page on which turns are rated, in a real browser and from the keyboard alone."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

for needed in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(needed, reason="the extra `corpus` is not installed")
browsers = pytest.importorskip("tests.fakes.browser")

from rtemo.corpus.ratings import ratings_of  # noqa: E402
from tests.fakes.corpus_work import chosen_corpus  # noqa: E402
from tests.fakes.program import call, start  # noqa: E402
from tests.fakes.zmq_ends import free_ports  # noqa: E402

pytestmark = pytest.mark.e2e

needs_browser = pytest.mark.skipif(browsers.PATH is None, reason="there is no chromium here: apt-get install chromium")
READY = "document.querySelector('#task') && !document.querySelector('#task').hidden"
HEARD = "document.querySelector('#heard').textContent.startsWith('Heard')"
CURRENT = "(document.querySelector('fieldset[data-current]')?.id ?? 'send')"


class Page:
    """A server of a corpus, as a process."""

    def __init__(self, folder, *arguments, port: int = 0) -> None:
        self.process = start("corpus", "rate", folder, "--port", port, *arguments)
        self.links = {}
        for _ in range(sum(word in ("--rater", "--trusted") for word in arguments) or 1):
            name, link = self.process.stdout.readline().split()
            self.links[name] = link

    def ask(self, path: str, name: str = "anna", body: dict | None = None) -> tuple[int, dict]:
        """Ask the server as a rater; an unknown name has a wrong token."""
        origin, _, token = next(iter(self.links.values())).partition("/#")
        token = self.links[name].partition("#")[2] if name in self.links else "x" * len(token)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(origin + path, data, {"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def close(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return code


def press(browser, *keys: str) -> None:
    for key in keys:
        browser.do("Input.dispatchKeyEvent", type="keyDown", key=key)
        browser.do("Input.dispatchKeyEvent", type="keyUp", key=key)


def listen(browser) -> None:
    """Hear the turn to its end; where it plays by itself, a key would stop it."""
    for _ in range(40):
        if browser.tell(HEARD):
            return
        if browser.tell("document.querySelector('#play-word').textContent") == "Play":
            press(browser, " ")
        time.sleep(0.5)
    pytest.fail(f"the turn never came to its end; {browser.complaints}")


def rating(clip: str, **more) -> dict:
    return {"clip": clip, "primary": "Sad", "valence": 2, "arousal": 3, "dominance": 4, **more}


@needs_browser
def test_a_turn_is_rated_by_keys_alone_and_a_closed_browser_goes_on_where_it_was(tmp_path):
    units = chosen_corpus(tmp_path)
    port = free_ports(1)
    page = Page(tmp_path, "--rater", "anna", port=port)
    browser = browsers.Browser(page.links["anna"])
    try:
        browser.wait_for(READY)
        assert browser.tell("location.hash") == ""  # who looks over a shoulder sees no token
        listen(browser)
        press(browser, "u")
        assert browser.tell(CURRENT) == "secondary"
        press(browser, "a", "c", "Enter", "6", "Backspace", "7", "5", "3")
        assert browser.tell(CURRENT) == "send"
        press(browser, "Enter")
        browser.wait_for("document.querySelector('#count').textContent.startsWith('1 rated')")
        (given,) = ratings_of(tmp_path)
        said = given.rating
        assert (said.primary, said.secondary) == ("Surprise", ("Amused", "Annoyed"))
        assert (said.valence, said.arousal, said.dominance) == (7, 5, 3)
        assert said.played >= 1
        press(browser, "h", "Enter", "4")  # half of the next turn, then everything dies
        browser.wait_for(CURRENT + " === 'arousal'")
        second = browser.tell("localStorage.key(0)")
        page.close(signal.SIGKILL)
        browser.do("Page.navigate", url="about:blank")
        browser.wait_for("location.href === 'about:blank'")
        page = Page(tmp_path, "--rater", "anna", port=port)
        browser.do("Page.navigate", url=page.links["anna"])
        browser.wait_for(READY + f" && localStorage.key(0) === '{second}' && {CURRENT} === 'arousal'")
        assert browser.tell("[...document.querySelectorAll('input:checked')].map(one => one.value)") == ["Happy", "4"]
        listen(browser)
        press(browser, "2", "1", "ArrowLeft")  # and a look at the one before, which can be changed
        browser.wait_for("document.querySelector('input[name=primary]:checked').value === 'Surprise'")
        assert browser.tell(CURRENT) == "send"
        for width in (390, 768, 1440):
            browser.size(width, 900)
            browser.wait_for(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}", 3.0)
        if os.environ.get("RTEMO_PICTURE"):
            browser.size(1100, 1000)
            browser.picture(tmp_path / os.environ["RTEMO_PICTURE"])
        assert not browser.complaints  # nothing offends the content security policy, nothing throws
        assert len(units) == 4
    finally:
        browser.close()
        page.close()


@needs_browser
def test_a_link_without_its_token_says_so_in_the_page(tmp_path):
    chosen_corpus(tmp_path)
    page = Page(tmp_path, "--rater", "anna")
    browser = browsers.Browser(page.links["anna"].partition("#")[0])
    try:
        browser.wait_for("document.querySelector('#lost')?.hidden === false")
        assert "whole link" in browser.tell("document.querySelector('#lost').textContent")
    finally:
        browser.close()
        page.close()


def test_only_raters_who_are_known_hear_turns_and_rate(tmp_path):
    units = chosen_corpus(tmp_path)
    page = Page(tmp_path, "--rater", "anna", "--rater", "ben")
    try:
        for path, body in (("/v1/next", None), (f"/v1/audio/{units[0]}", None), ("/v1/ratings", rating(units[0]))):
            assert page.ask(path, "nobody", body)[0] == 401
        assert page.ask("/v1/form", "ben")[1]["rater"] == "ben"
        assert page.ask("/v1/audio/..%2Fsettings")[0] == 404
        for wrong in ({"valence": 8}, {"primary": "Bored"}, {"clip": "0009_0000"}, {"mood": 1}, {"spent_s": -1}):
            status, told = page.ask("/v1/ratings", "anna", {**rating(units[0]), **wrong})
            assert status == 400, wrong
            assert told["mend"]
        assert page.ask("/v1/ratings", "anna", rating(units[0], secondary=["Sad"] * 5000))[0] == 413
        assert len(ratings_of(tmp_path)) == 0
    finally:
        assert page.close() == 0


def test_a_turn_stays_the_next_one_until_it_is_rated_and_five_raters_are_enough(tmp_path):
    units = chosen_corpus(tmp_path, turns=2)
    names = [f"rater{number}" for number in range(6)]
    page = Page(tmp_path, *(word for name in names for word in ("--rater", name)))
    try:
        for name in names[:5]:
            first = page.ask("/v1/next", name)[1]
            assert page.ask("/v1/next", name)[1] == first
            second = page.ask("/v1/ratings", name, rating(first["clip"]))[1]
            assert {first["clip"], second["clip"]} == set(units)
            assert page.ask("/v1/ratings", name, rating(second["clip"]))[1]["state"] == "done"
        assert page.ask("/v1/next", names[5])[1]["state"] == "done"
    finally:
        page.close()


def test_a_mistake_before_the_page_is_served_is_one_line(capsys, tmp_path):
    assert "there is no corpus" in call(capsys, "corpus", "rate", tmp_path / "none", "--rater", "anna").complaint
    chosen_corpus(tmp_path)
    assert "nobody is named who rates" in call(capsys, "corpus", "rate", tmp_path).complaint
    assert "--rater got" in call(capsys, "corpus", "rate", tmp_path, "--rater", 'a"b').complaint
    page = Page(tmp_path, "--rater", "anna")
    try:
        assert "another program is working" in call(capsys, "corpus", "rate", tmp_path, "--port", 0).complaint
    finally:
        page.close()


def test_a_server_that_is_killed_while_people_rate_loses_no_answer(tmp_path):
    names = ("anna", "ben", "carla")

    def rated(folder, kill_after: int) -> list[tuple[str, str, str]]:
        chosen_corpus(folder, turns=4)
        page, answers = Page(folder, *(word for name in names for word in ("--rater", name))), 0
        for name in names:
            while (task := page.ask("/v1/next", name)[1])["state"] == "rate":
                if (answers := answers + 1) % kill_after:
                    page.ask("/v1/ratings", name, rating(task["clip"]))
                    continue
                origin, _, token = page.links[name].partition("/#")
                with socket.create_connection(("127.0.0.1", int(origin.rpartition(":")[2]))) as client:
                    body = json.dumps(rating(task["clip"])).encode()
                    head = f"POST /v1/ratings HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                    page.close(signal.SIGKILL)  # it may have been written down or not
                with (folder / "ratings.jsonl").open("ab") as file:
                    file.write(b'{"unit":"anna/00')
                page = Page(folder, *(word for name in names for word in ("--rater", name)))
        page.close()
        return [(one.rater, one.rating.clip, one.rating.primary) for one in ratings_of(folder)]

    assert rated(tmp_path / "killed", 3) == rated(tmp_path / "whole", 1_000)
