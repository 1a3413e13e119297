"""AudioHookDoor: who may bring calls: the API key, and the signature of the request where there is a secret."""

import base64
import binascii
import datetime
import hmac
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtemo.api import ConfigError
from rtemo.io.gateways.gateway import need
from rtemo.io.gateways.options import AudioHookOptions

if TYPE_CHECKING:
    from websockets.http11 import Request

_MAX_AGE_S = 10
_MEMORY_S = 60.0  # longer than a signature is taken: its nonce is not taken twice
_MOST_NONCES = 65_536
_LEAST_NONCE_CHARS = 22
_SIGNED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)


class AudioHookDoor:
    """Checks handshakes.

    The signature is that of HTTP Message Signatures (RFC 9421), with HMAC-SHA256 over the request target, the host, the
    ids of organization, session and correlation, and the API key.

    Args:
        options: Where the key and the secret are.

    Raises:
        ConfigError: One cannot be read, there is no key, or the package that checks signatures is missing.
    """

    def __init__(self, options: AudioHookOptions) -> None:
        self._key = _secret(options.api_key_file, "AUDIOHOOK_API_KEY", "api_key_file")
        if not self._key:
            raise ConfigError(
                "there is no API key to tell Genesys by",
                "set sources.audiohook.api_key_file or AUDIOHOOK_API_KEY, or try out with "
                "sources.audiohook.unsigned = true",
            )
        secret = _secret(options.client_secret_file, "AUDIOHOOK_CLIENT_SECRET", "client_secret_file")
        self._verifier: Any = _verifier(self._key, secret) if secret else None
        self._nonces: OrderedDict[str, float] = OrderedDict()

    def refusal(self, request: "Request") -> str:
        """Say why a handshake is turned away, or nothing."""
        key = request.headers.get("X-API-KEY", "")
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return "came without the API key" if not key else "came with another API key"
        return "" if self._verifier is None else self._unsigned(request)

    def _unsigned(self, request: "Request") -> str:
        from http_message_signatures import HTTPMessageSignaturesException

        try:
            (result,) = self._verifier.verify(
                _Signed(request), max_age=datetime.timedelta(seconds=_MAX_AGE_S), require_components=_SIGNED
            )
        except (HTTPMessageSignaturesException, ValueError) as error:
            return f"came with a signature that does not hold ({error})"[:200]
        nonce = str(result.parameters.get("nonce", ""))
        now_s = time.monotonic()
        while self._nonces and (
            now_s - next(iter(self._nonces.values())) > _MEMORY_S or len(self._nonces) >= _MOST_NONCES
        ):
            self._nonces.popitem(last=False)
        if len(nonce) < _LEAST_NONCE_CHARS or nonce in self._nonces:
            return "came with a signature whose nonce is too short or was used before"
        self._nonces[nonce] = now_s
        return ""


class _Signed:
    """A handshake, as the verifier wants it."""

    method = "GET"

    def __init__(self, request: "Request") -> None:
        self.headers = request.headers
        self.request_target = request.path
        self.url = f"https://{request.headers.get('Host', '')}{request.path}"


class _Keys:
    """The one secret, as the verifier asks for it."""

    def __init__(self, key: str, shared: bytes) -> None:
        self._shared = {key: shared}

    def resolve_public_key(self, key_id: str) -> bytes | None:
        return self._shared.get(key_id)


def _verifier(key: str, secret: str) -> Any:
    need("http_message_signatures", "audiohook", "checking the signature of AudioHook")
    from http_message_signatures import HTTPMessageVerifier, algorithms

    try:
        shared = base64.b64decode(secret, validate=True)
    except binascii.Error:
        raise ConfigError("the client secret of AudioHook is no base64", "copy it as Genesys shows it") from None

    keys: Any = _Keys(key, shared)
    return HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)


def _secret(path: str, variable: str, option: str) -> str:
    if not path:
        return os.environ.get(variable, "").strip()
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"sources.audiohook.{option} cannot be read ({error})", "name a file of text") from None
