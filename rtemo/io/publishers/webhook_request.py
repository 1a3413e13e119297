"""One signed request as Standard Webhooks 1.0.0 describes it: headers, signature, and what its answer means.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import os
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from rtemo.api.errors import EndpointError
from rtemo.io.web.access import is_loopback

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64
_SECRET_MEND = "make one: python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
_LONGEST_WAIT_S = 3600.0


class Answer(NamedTuple):
    """What came of a request."""

    status: int
    """0 when nobody answered."""
    what: str
    """For a person."""
    wait_s: float = 0.0
    """How long the target asks to be left alone."""

    @property
    def is_taken(self) -> bool:
        """Whether the target has the event."""
        return 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the target wants nothing any more."""
        return self.status == 410

    @property
    def is_refused(self) -> bool:
        """Whether it is the event that the target does not want, so that another try is of no use."""
        return self.status in (400, 413, 415, 422)


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """Read the secrets of a target, the newest first.

    Raises:
        EndpointError: The file cannot be read, is open to other users, or holds none.
    """
    try:
        lines = path.read_text().split()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise EndpointError(f"secret file {path} cannot be read ({error})", "set secret_file of the target") from None
    if os.name == "posix" and mode & 0o077:
        raise EndpointError(f"secret file {path} can be read by other users", f"run: chmod 600 {path}")
    secrets = []
    for line in lines:
        try:
            secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            secret = b""
        if not line.startswith(_PREFIX) or not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
            raise EndpointError(
                f"secret file {path}: a line is not {_PREFIX} and base64 of 24 to 64 bytes", _SECRET_MEND
            )
        secrets.append(secret)
    if not secrets:
        raise EndpointError(f"secret file {path} holds no secret", _SECRET_MEND)
    return tuple(secrets)


def read_url(url: str, insecure_plaintext: bool) -> SplitResult:
    """Take the URL of a target apart.

    Raises:
        EndpointError: It is none, holds a password, or would carry plain text over the network.
    """
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = SplitResult("", "", "", "", ""), False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine or not is_plain:
        raise EndpointError(f"{url!r} is no URL of a webhook", "write it as https://example.org/rtemo")
    if parts.username is not None or parts.fragment:
        raise EndpointError(
            f"the URL of the webhook at {parts.hostname} holds a name, a password or a fragment",
            "take it out: requests are signed with the secret",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not insecure_plaintext:
        raise EndpointError(
            f"{url} would carry plain text", "use https, or set insecure_plaintext = true at the target"
        )
    return parts


def sign(secrets: Sequence[bytes], message_id: str, t_s: int, body: bytes) -> str:
    """Sign a message: `v1,` and base64 of HMAC-SHA256 over id, time and body, one for each secret."""
    signed = b"%s.%d.%s" % (message_id.encode(), t_s, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets
    )


class Sender:
    """Sends requests to one URL, a connection each; follows no redirect and uses no proxy.

    Args:
        url: Where to.
        secrets: What to sign with.
        ca_file: Certificates to trust instead of the system's.
        timeout_s: Longest wait for one step of the network; who calls `abort` bounds the whole.

    Raises:
        EndpointError: The certificates cannot be read.
    """

    def __init__(self, url: SplitResult, secrets: Sequence[bytes], ca_file: str, timeout_s: float) -> None:
        self._url = url
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._trust: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None
        if url.scheme == "https":
            try:
                self._trust = ssl.create_default_context(cafile=ca_file or None)
            except (OSError, ssl.SSLError) as error:
                raise EndpointError(f"ca_file {ca_file} cannot be read ({error})", "correct the path") from None

    def send(self, message_id: str, body: bytes) -> Answer:
        """Send one message and wait for the answer."""
        now_s = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "rtemo",
            "webhook-id": message_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": sign(self._secrets, message_id, now_s, body),
        }
        host, port, timeout_s = str(self._url.hostname), self._url.port, self._timeout_s
        connection: http.client.HTTPConnection
        if self._trust is None:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._trust)
        self._connection = connection
        try:
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            return Answer(
                response.status, f"answers {response.status}", _wait_of(response.getheader("retry-after", ""))
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(0, f"does not answer ({type(error).__name__}: {error})"[:200])
        finally:
            self._connection = None
            connection.close()

    def abort(self) -> None:
        """End the request that is on its way, from another thread."""
        connection = self._connection
        line = None if connection is None else connection.sock
        if line is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(line, socket.SHUT_RDWR)


def _wait_of(text: str) -> float:
    """Read a Retry-After header: seconds, or a date."""
    if text.isascii() and text.isdigit():
        return min(float(text[:6]), _LONGEST_WAIT_S)
    try:
        wait_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(0.0, wait_s), _LONGEST_WAIT_S)
