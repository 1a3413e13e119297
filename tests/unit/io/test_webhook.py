"""Webhooks over real sockets: what is sent, how it is signed, and who is held up by a target that is down or slow."""

import base64
import hashlib
import hmac
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from rtemo.api import EndpointError, RtemoError
from rtemo.io.publishers.webhook import WebhookPublisher
from rtemo.io.publishers.webhook_options import WebhookOptions, WebhookTarget
from rtemo.io.publishers.webhook_request import sign
from tests.fakes.web_events import alert, call_events

pytestmark = pytest.mark.unit

SECRET = b"0123456789abcdef0123456789abcdef"


class Receiver:
    """A target that answers what it is told to, 204 when the list is at its end."""

    def __init__(self, *answers, headers=(), certificate=None):
        self.taken, self.tries = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.tries.append((self.path, dict(self.headers), body, time.monotonic()))
                status = answers[len(outer.tries) - 1] if len(outer.tries) <= len(answers) else 204
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if status < 300:
                    outer.taken.append(json.loads(body))

            def log_message(self, *args): ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trust.load_cert_chain(*certificate)
            self.server.socket = trust.wrap_socket(self.server.socket, server_side=True)
            self.server.handle_error = lambda request, address: None  # a client that does not trust it hangs up
        self.url = f"http{'s' * (certificate is not None)}://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def hook(secret):
    made = []

    def make(*targets, **options):
        publisher = WebhookPublisher(
            WebhookOptions(
                targets=tuple(WebhookTarget(secret_file=secret, **target) for target in targets),
                **{"first_wait_s": 0.02, **options},
            ),
            purpose="testing",
        )
        made.append(publisher)
        publisher.open()
        return publisher

    yield make
    for publisher in made:
        publisher.close()


def wait_until(is_so, patience_s=5.0):
    until_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not come about"
        time.sleep(0.01)


def test_the_signature_is_that_of_the_specification():
    # The example of the Standard Webhooks libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_is_sent_signed_and_nothing_else_is(hook):
    with Receiver() as receiver:
        publisher = hook({"url": receiver.url})
        publisher.publish([*call_events("a"), alert("a")])
        wait_until(lambda: receiver.taken)
        path, headers, body, _ = receiver.tries[0]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        assert path == "/hook?x=1"
        assert headers["webhook-signature"] == "v1," + right
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
        (message,) = receiver.taken
        assert message["type"] == "rtemo.alert"
        assert (message["data"]["call"], message["data"]["data"]["rule"]) == ("a", "heated")
        assert message["data"]["policy"] == {"purpose": "testing"}


def test_a_failure_is_tried_again_under_the_same_id_with_growing_waits(hook):
    with Receiver(500, 302, 503, headers=[("location", "http://127.0.0.1:1/")]) as receiver:
        publisher = hook({"url": receiver.url})
        publisher.publish([alert("a")])
        wait_until(lambda: receiver.taken)
        assert len({headers["webhook-id"] for _, headers, _, _ in receiver.tries}) == 1
        times_s = [at_s for *_, at_s in receiver.tries]
        assert len(times_s) == 4  # the redirect was a failure as any other, and was not followed
        assert times_s[3] - times_s[2] > 0.035  # 80 ms less jitter
        wait_until(lambda: publisher.deliveries[0].delivered == 1)  # counted once the answer is in


def test_what_a_target_refuses_or_never_takes_is_given_up_and_the_next_goes_on(hook):
    with Receiver(422, 500, 500) as receiver:
        publisher = hook({"url": receiver.url}, attempts=2)
        publisher.publish([alert("a"), alert("b"), alert("c")])
        wait_until(lambda: receiver.taken)
        assert [message["data"]["call"] for message in receiver.taken] == ["c"]
        assert publisher.deliveries[0].dropped == 2


def test_a_target_that_is_gone_gets_nothing_more(hook):
    with Receiver(410) as receiver:
        publisher = hook({"url": receiver.url})
        publisher.publish([alert("a"), alert("b")])
        wait_until(lambda: publisher.deliveries[0].is_gone)
        publisher.publish([alert("c")])
        time.sleep(0.1)
        assert len(receiver.tries) == 1


def test_targets_that_are_down_or_trickle_hold_up_neither_the_engine_nor_others(hook):
    with socket.create_server(("127.0.0.1", 0)) as slow, Receiver() as receiver:

        def trickle():
            line, _ = slow.accept()
            with line:
                for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 1000:
                    time.sleep(0.05)
                    try:
                        line.send(bytes([byte]))
                    except OSError:
                        return

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        publisher = hook(
            {"url": f"http://127.0.0.1:{slow.getsockname()[1]}/", "name": "slow"},
            {"url": "http://127.0.0.1:9/", "name": "down"},
            {"url": receiver.url},
            queue_events=10,
            timeout_s=0.4,
        )
        start_s = time.monotonic()
        publisher.publish([alert(f"call-{number}") for number in range(40)])
        assert time.monotonic() - start_s < 0.5
        wait_until(lambda: len(receiver.taken) >= 10)
        wait_until(lambda: publisher.tick() or not thread.is_alive())  # the whole request is bounded, not a step of it
        down = publisher.deliveries[1]
        assert down.dropped >= 29
        start_s = time.monotonic()
        publisher.close()
        assert time.monotonic() - start_s < 0.9


def test_a_target_gets_only_its_rules_and_calls(hook):
    with Receiver() as receiver:
        publisher = hook({"url": receiver.url, "rules": ("heated",), "calls": "acme-"})
        publisher.publish([alert("acme-1"), alert("other"), alert("acme-2", "sad"), alert("acme-3")])
        wait_until(lambda: len(receiver.taken) == 2)
        assert [message["data"]["call"] for message in receiver.taken] == ["acme-1", "acme-3"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_https_is_sent_to_whom_the_certificates_vouch_for_and_to_nobody_else(hook, tmp_path):
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True, timeout=30)
    with Receiver(certificate=(certificate, key)) as receiver:
        publisher = hook({"url": receiver.url, "ca_file": str(certificate)}, {"url": receiver.url}, attempts=1)
        publisher.publish([alert("a")])
        trusting, doubting = publisher.deliveries
        wait_until(lambda: trusting.delivered == 1 and doubting.dropped == 1)
        assert len(receiver.taken) == 1


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.org/hook", "plain text"),
        ("ftp://example.org/", "no URL"),
        ("https://", "no URL"),
        ("https://example.org:99999/", "no URL"),
        ("https://example.org/\r\nx: y", "no URL"),
        ("https://me:word@example.org/", "password"),
    ],
)
def test_a_url_that_is_not_safe_is_refused_before_anything_starts(secret, url, problem):
    options = WebhookOptions(targets=(WebhookTarget(url=url, secret_file=secret),))
    with pytest.raises(EndpointError, match=problem):
        WebhookPublisher(options).check()


def test_a_secret_that_is_open_short_or_missing_is_refused(tmp_path):
    path = tmp_path / "secret"

    def check():
        target = WebhookTarget(url="https://example.org/", secret_file=str(path))
        WebhookPublisher(WebhookOptions(targets=(target,))).check()

    with pytest.raises(EndpointError, match="cannot be read"):
        check()
    path.write_text("whsec_c2hvcnQ=\n")
    with pytest.raises(EndpointError, match="other users"):
        check()
    path.chmod(0o600)
    with pytest.raises(EndpointError, match="24 to 64"):
        check()
    path.write_text("")
    with pytest.raises(EndpointError, match="no secret"):
        check()
    with pytest.raises(RtemoError, match="no target"):
        WebhookPublisher().check()
