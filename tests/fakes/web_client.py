"""What asks a web publisher as its clients do."""

import json
import time
import urllib.error
import urllib.request

from websockets.sync.client import connect


def get(served, path, token=None, **headers):
    """Status and body, decoded where it is JSON."""
    request = urllib.request.Request(served.url + path, headers=headers)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, body, kind = answer.status, answer.read(), answer.headers["content-type"]
    except urllib.error.HTTPError as error:
        status, body, kind = error.code, error.read(), error.headers["content-type"]
    return status, json.loads(body) if "json" in (kind or "") else body.decode()


def post(served, alert_id, body, token=None, **headers):
    request = urllib.request.Request(
        f"{served.url}/v1/alerts/{alert_id}", data=json.dumps(body).encode(), method="POST"
    )
    for name, value in {"content-type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def wait_until(is_so, patience_s=15.0):
    until_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not come about"
        time.sleep(0.05)


def web_socket(served, query="", token=None, **options):
    protocols = ["rtemo.v1", *([f"bearer.{token}"] if token else [])]
    url = served.url.replace("http://", "ws://") + "/v1/ws" + query
    return connect(url, subprotocols=protocols, open_timeout=10, max_size=1 << 24, compression=None, **options)
