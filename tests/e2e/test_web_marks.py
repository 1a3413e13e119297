"""Marks on alerts: who may make them, who sees them, and what is kept."""

import json

import pytest

for needed in ("starlette", "uvicorn", "websockets", "prometheus_client"):
    pytest.importorskip(needed, reason="the extra `web` is not installed")

from rtemo.io.publishers.store import erase  # noqa: E402
from rtemo.io.recorded import recorded  # noqa: E402
from tests.fakes.web_client import get, post, wait_until, web_socket  # noqa: E402
from tests.fakes.web_events import Served, alert, call_events  # noqa: E402

pytestmark = pytest.mark.e2e


def test_what_a_person_says_of_an_alert_is_shown_on_every_wall_and_kept_and_erased_with_the_call(tmp_path):
    path = tmp_path / "events.db"
    served = Served(marks=str(path))
    try:
        served.say(*call_events("a"), alert("a"))
        wait_until(lambda: any("alerts" in call for call in get(served, "/v1/calls")[1].get("calls", [])))
        (row,) = get(served, "/v1/calls")[1]["calls"]
        alert_id = row["alerts"][0]["id"]
        with web_socket(served, "?view=calls") as client:
            client.recv(10)
            status, answer = post(served, alert_id, {"call": "a", "mark": "wrong"})
            assert (status, answer["is_kept"], answer["alert"]["mark"]) == (200, True, "wrong")
            wait_until(
                lambda: any(call["alerts"][0]["mark"] == "wrong" for call in json.loads(client.recv(10))["calls"])
            )
        (kept,) = recorded(path)
        assert (kept.call, kept.kind, kept.data["rule"], kept.data["mark"]) == ("a", "alert_mark", "heated", "wrong")
        assert kept.data["values"] == {"arousal.score": 1.4}
        assert post(served, alert_id, {"call": "a", "mark": "open"})[1]["alert"]["mark"] == ""
        assert erase(path, "a") == 2
        for body, wanted in (
            ({"call": "a", "mark": "excellent"}, 400),
            ({"call": "b", "mark": "wrong"}, 404),
            ({"call": "a", "mark": "wrong", "x": "y" * 5000}, 400),
        ):
            assert post(served, alert_id, body)[0] == wanted
        assert post(served, "nothing", {"call": "a", "mark": "wrong"})[0] == 404
        assert post(served, alert_id, {"call": "a", "mark": "wrong"}, content_type="text/plain")[0] == 415
        assert post(served, alert_id, {"call": "a", "mark": "wrong"}, origin="http://evil.example")[0] == 403
        assert list(recorded(path)) == []
    finally:
        served.close()
