"""The web publisher over real sockets: what each route tells, to whom, and what happens to whoever is slow."""

import hashlib
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request

import jsonschema
import pytest

from rtemo.api import EndpointError, Level, StreamEnd
from rtemo.api.events import Counters
from rtemo.io.schema import documents
from rtemo.io.web.options import WebOptions
from rtemo.io.web.publisher import WebPublisher
from tests.fakes.program import start as start_program
from tests.fakes.web_events import Served, alert, board, call_events, event

pytestmark = pytest.mark.e2e

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="the extra `web` is not installed")
pytest.importorskip("websockets.sync.client", reason="the extra `web` is not installed")
faults = pytest.importorskip("websockets.exceptions")

from tests.fakes.web_client import get, post, wait_until, web_socket  # noqa: E402

JUDGE = "judge-token-0123456789abcdef"
ACME, OTHER, SCRAPER = "acme-token-0123456789abcdef", "other-token-0123456789abcdef", "scraper-token-0123456789abcd"
TOKENS = f"""
[[token]]
name = "acme"
token = "{ACME}"
calls = "acme-"

[[token]]
name = "other"
sha256 = "{hashlib.sha256(OTHER.encode()).hexdigest()}"
calls = "other-"

[[token]]
name = "prometheus"
token = "{SCRAPER}"
scopes = ["metrics"]

[[token]]
name = "judge"
token = "{JUDGE}"
calls = "other-"
scopes = ["read", "mark"]
"""


@pytest.fixture(scope="module")
def open_server():
    served = Served()
    served.say(*call_events("call/1"), *call_events("call-2", valence=0.4, label="happy"), board(**{"call-2": 1.1}))
    wait_until(lambda: get(served, "/v1/calls")[1].get("pub_seq", 0) >= 16)
    yield served
    served.close()


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(token_file):
    served = Served(tokens=str(token_file), requests_per_s=500.0)
    served.say(
        *call_events("acme-1"), *call_events("other-1"), alert("acme-1"), board(**{"acme-1": 1.0, "other-1": 2.0})
    )
    wait_until(lambda: get(served, "/v1/calls", ACME)[1].get("pub_seq", 0) >= 17)
    yield served
    served.close()


def described(name, message):
    """Check a message against the description that is published of it."""
    document = json.loads(documents()["asyncapi"])
    schema = {**document, **document["components"]["messages"][name]["payload"]}
    jsonschema.Draft202012Validator(schema).validate(message)


def test_calls_are_listed_with_what_is_known_of_each_party(open_server):
    status, answer = get(open_server, "/v1/calls")
    assert status == 200
    assert {call["call"] for call in answer["calls"]} == {"call/1", "call-2"}
    (row,) = (call for call in answer["calls"] if call["call"] == "call-2")
    (party,) = row["channels"]
    assert (party["role"], party["emotion"]["label"], party["words"]) == (
        "customer",
        "happy",
        "this is the third time I call",
    )
    assert party["spoof"]["verdict"] == "unknown"
    assert row["urgency"] == 1.1


def test_a_call_with_a_slash_in_its_name_tells_its_last_events(open_server):
    status, state = get(open_server, "/v1/calls/call/1")
    assert status == 200
    latest = state["channels"]["0"]["latest"]
    assert latest["emotion"]["data"]["label"] == "angry"
    assert latest["rank.arousal"]["data"]["score"] == 0.8
    assert get(open_server, "/v1/calls/nobody")[0] == 404


def test_events_after_a_number_come_in_order_and_filtered(open_server):
    _, answer = get(open_server, "/v1/events?after_seq=0&limit=3")
    assert [item["pub_seq"] for item in answer["events"]] == [1, 2, 3]
    assert answer["is_complete"]
    assert answer["next_after_seq"] == 3
    _, answer = get(open_server, "/v1/events?kind=emotion,rank&call=call-2")
    assert {(item["call"], item["kind"]) for item in answer["events"]} == {("call-2", "emotion"), ("call-2", "rank")}
    assert get(open_server, "/v1/events?after_seq=x")[0] == 400
    assert get(open_server, "/v1/events?limit=0")[0] == 400


def test_an_sse_stream_begins_with_a_snapshot_and_goes_on_after_the_last_event_id(open_server):
    def read(headers, words):
        request = urllib.request.Request(open_server.url + "/v1/events/stream?kind=level", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as stream:
            lines = []
            while not any(words in line for line in lines):
                lines.append(stream.readline().decode())
            return lines

    lines = read({}, '"call-2"')
    assert lines[0] == "event: snapshot\n"
    epoch, _, number = lines[1].removeprefix("id: ").strip().rpartition("-")
    open_server.say(event("call-2", Level(rms_dbfs=-3.0, peak_dbfs=0.0, clipped_ratio=0.0), 7.0))
    lines = read({"Last-Event-ID": f"{epoch}-{number}"}, '"rms_dbfs":-3.0')
    assert lines[0] == "event: event\n"


def test_a_web_socket_tells_events_as_they_come(open_server):
    with web_socket(open_server, "?kind=alert") as client:
        assert client.subprotocol == "rtemo.v1"
        first = json.loads(client.recv(10))
        assert first["type"] == "snapshot"
        described("eventSnapshot", first)
        open_server.say(alert("call-2"))
        told = json.loads(client.recv(10))
        described("event", told)
        assert (told["type"], told["event"]["data"]["rule"]) == ("event", "heated")


def test_rows_are_told_a_few_times_a_second_and_silence_is_told_too(open_server):
    with web_socket(open_server, "?view=calls") as client:
        first = json.loads(client.recv(10))
        described("rowSnapshot", first)
        assert first["type"] == "snapshot"
        assert first["calls"][0]["trend"]["0"][0][1:3] == [0.6, -0.5]
        start_s = time.monotonic()
        told = [json.loads(client.recv(10)) for _ in range(4)]
        assert time.monotonic() - start_s < 4
        assert all(message["engine"]["is_fed"] for message in told)
        described("rowUpdate", told[-1])


def test_only_a_token_of_the_tenant_that_may_judge_marks_an_alert(guarded):
    (row,) = get(guarded, "/v1/calls", ACME)[1]["calls"]
    mark = {"call": "acme-1", "mark": "wrong"}
    assert post(guarded, row["alerts"][0]["id"], mark)[0] == 401
    assert post(guarded, row["alerts"][0]["id"], mark, ACME)[0] == 403
    assert post(guarded, row["alerts"][0]["id"], mark, JUDGE)[0] == 404  # of another tenant


def test_health_readiness_and_metrics(open_server):
    assert get(open_server, "/healthz")[0] == 200
    assert get(open_server, "/readyz")[0] == 200
    _, text = get(open_server, "/metrics")
    assert 'rtemo_events_total{kind="emotion"} 2.0' in text
    assert "rtemo_up 1.0" in text
    assert 'rtemo_event_age_seconds_count{kind="level"}' in text
    assert "call-2" not in text


def test_every_answer_has_the_headers_of_safety_and_none_opens_it_to_other_origins(open_server):
    for path in ("/", "/v1/calls", "/nowhere", "/wall/wall.js"):
        try:
            answer = urllib.request.urlopen(open_server.url + path, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] is None
        answer.close()


def test_the_description_names_every_route_and_resolves_every_reference(open_server):
    _, document = get(open_server, "/v1/openapi.json")
    assert {"/v1/calls", "/v1/calls/{call}", "/v1/events", "/v1/events/stream", "/v1/ws"} <= document["paths"].keys()
    schemas = document["components"]["schemas"]
    references = set()

    def walk(part):
        if isinstance(part, dict):
            references.add(part.get("$ref", ""))
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(document)
    missing = {name for name in references if name and name.removeprefix("#/components/schemas/") not in schemas}
    assert not missing
    assert document == json.loads(documents()["openapi"])
    assert get(open_server, "/v1/asyncapi.json")[1] == json.loads(documents()["asyncapi"])
    assert {"Emotion", "CallRow", "WireEvent"} <= schemas.keys()


def test_a_page_under_another_name_or_of_another_origin_gets_nothing(open_server):
    assert get(open_server, "/v1/calls", Host="evil.example")[0] == 403
    with pytest.raises(faults.InvalidStatus) as refused:
        web_socket(open_server, origin="http://evil.example")
    assert refused.value.response.status_code == 403


ROUTES = ("/v1/calls", "/v1/events", "/v1/calls/other-1", "/v1/calls/acme-1", "/metrics")


@pytest.mark.parametrize("path", ROUTES)
def test_nothing_is_told_without_a_token(guarded, path):
    assert get(guarded, path)[0] == 401


def test_a_token_of_one_tenant_sees_nothing_of_another_on_any_route(guarded):
    for path in ROUTES:
        assert "other-1" not in json.dumps(get(guarded, path, ACME)), path
    assert get(guarded, "/v1/calls/other-1", ACME)[0] == 404
    assert get(guarded, "/v1/calls/acme-1", ACME)[0] == 200
    assert get(guarded, "/v1/calls/other-1", OTHER)[0] == 200
    assert get(guarded, "/metrics", ACME)[0] == 403
    assert get(guarded, "/metrics", SCRAPER)[0] == 200
    assert get(guarded, "/v1/calls", SCRAPER)[0] == 403
    for query in ("?view=calls", "?view=events"):
        with web_socket(guarded, query, ACME) as client:
            guarded.say(*call_events("other-1"), *call_events("acme-1"))
            told = ""
            while told.count("acme-1") < 2:
                told += client.recv(10)
            assert "other-1" not in told
    request = urllib.request.Request(guarded.url + "/v1/events/stream", headers={"Authorization": f"Bearer {ACME}"})
    with urllib.request.urlopen(request, timeout=10) as stream:
        assert "other-1" not in "".join(stream.readline().decode() for _ in range(3))


def test_a_web_socket_without_a_token_is_refused(guarded):
    with pytest.raises(faults.InvalidStatus) as refused:
        web_socket(guarded)
    assert refused.value.response.status_code == 401


def test_who_guesses_tokens_is_slowed_down(token_file):
    served = Served(tokens=str(token_file))
    try:
        wait_until(lambda: get(served, "/healthz")[0] == 200)
        seen = {get(served, "/v1/calls", f"guess-{number}")[0] for number in range(30)}
        assert seen == {401, 429}
    finally:
        served.close()


def test_a_client_that_reads_nothing_loses_its_queue_and_nobody_else_waits():
    served = Served(client_events=50, requests_per_s=1000.0)
    try:
        served.say(*call_events("a"))
        wait_until(lambda: get(served, "/v1/calls")[1].get("calls"))
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", int(served.url.rpartition(":")[2])))
        with (
            web_socket(served, sock=narrow, max_queue=1, close_timeout=0.1) as stalled,
            web_socket(served, "?kind=alert") as other,
        ):
            assert json.loads(stalled.recv(10))["type"] == "snapshot"
            assert json.loads(other.recv(10))["type"] == "snapshot"
            for number in range(40):  # until the sockets are full
                served.say(*(alert("a", f"{number:8}" * 1000) for _ in range(40)))
                said = ""
                while f"{number:8}" not in said:  # the one that reads is never behind for long
                    said = other.recv(10)
                if "rtemo_web_evictions_total 0.0" not in get(served, "/metrics")[1]:
                    return
            raise AssertionError("nothing was ever given up for the one that does not read")
    finally:
        served.close()


def test_too_many_requests_are_refused_and_the_next_ones_are_not():
    served = Served(requests_per_s=5.0, request_burst=10)
    try:
        wait_until(lambda: get(served, "/healthz")[0] == 200)
        time.sleep(1.0)
        seen = [get(served, "/v1/calls")[0] for _ in range(20)]
        assert 429 in seen
        time.sleep(0.5)
        assert get(served, "/v1/calls")[0] == 200
    finally:
        served.close()


def test_malformed_requests_leave_no_trace_and_the_server_answers_on(open_server):
    port = int(open_server.url.rpartition(":")[2])
    for junk in (
        b"\x00" * 300,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"A" * 40_000,
        b"\x16\x03\x01\x02",
    ):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
                try:
                    raw.sendall(junk)
                except OSError:
                    continue
    assert get(open_server, "/healthz")[0] == 200


def test_the_server_ends_with_its_engine_and_a_dead_server_is_told():
    served = Served()
    wait_until(lambda: get_or_none(served, "/healthz"))
    with web_socket(served, "?view=calls") as client:
        start_s = time.monotonic()
        served.close()
        with pytest.raises(faults.ConnectionClosed):
            read_to_the_end(client)
        assert time.monotonic() - start_s < 2
    publisher = WebPublisher(WebOptions(port=0))
    publisher.open()
    os.kill(publisher.process_id, signal.SIGKILL)
    with pytest.raises(Exception, match="web server has died"):
        publish_for(publisher, 4.0)
    publisher.close()


def publish_for(publisher, duration_s):
    until_s = time.monotonic() + duration_s
    while time.monotonic() < until_s:
        publisher.publish([event("a", StreamEnd(reason="end", duration_s=1.0, counters=Counters()))])
        time.sleep(0.02)


def read_to_the_end(client):
    while True:
        client.recv(10)


def get_or_none(served, path):
    try:
        return get(served, path)[0] == 200
    except OSError:
        return None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"address": "0.0.0.0"}, "would tell anybody"),
        ({"tokens": "/no/such/file"}, "cannot be read"),
        ({"certificate": "x.pem"}, "without its key"),
    ],
)
def test_what_would_be_open_to_anybody_is_refused_with_a_word(options, words):
    with pytest.raises(EndpointError, match=words):
        WebPublisher(WebOptions(port=0, **options)).open()


def test_beyond_this_machine_tokens_alone_are_not_enough(token_file):
    options = WebOptions(port=0, address="0.0.0.0", tokens=str(token_file))
    with pytest.raises(EndpointError, match="plain text"):
        WebPublisher(options).open()


def test_a_token_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    path.chmod(0o644)
    with pytest.raises(EndpointError, match="chmod 600"):
        WebPublisher(WebOptions(port=0, tokens=str(path))).open()


def test_a_token_that_is_taken_out_of_the_file_loses_its_connection(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    served = Served(tokens=str(path))
    try:
        wait_until(lambda: get_or_none(served, "/healthz"))
        with web_socket(served, "?view=calls", ACME) as client:
            client.recv(10)
            path.write_text(TOKENS.replace(ACME, ACME + "-new"))
            with pytest.raises(faults.ConnectionClosed):
                read_to_the_end(client)
        assert get(served, "/v1/calls", ACME)[0] == 401
        assert get(served, "/v1/calls", ACME + "-new")[0] == 200
    finally:
        served.close()


def test_serve_publishes_to_the_web_and_takes_the_web_server_along_when_it_is_killed():
    server = start_program(
        *("serve", "--chain", "level,vad", "--capacity", "4", "--publish", "web", "--ingest", "tcp://127.0.0.1:*"),
        *("--set", "publishers.web.port=0"),
    )
    try:
        line = next(line for line in server.stdout if line.startswith("web "))
        url = line.split()[1].rstrip("/")
        assert url.startswith("http://127.0.0.1:")

        def is_ready():
            try:
                with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False

        wait_until(is_ready)
        server.kill()
        start_s = time.monotonic()
        wait_until(lambda: not is_ready())
        assert time.monotonic() - start_s < 2
    finally:
        server.kill()
        server.communicate()
