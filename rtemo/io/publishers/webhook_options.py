"""Options of the webhook publisher, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts are sent, and which."""

    url: Annotated[str, Meta(min_length=1, description="Where to POST; https, or http on this machine.")]
    secret_file: Annotated[
        str,
        Meta(min_length=1, description="File of the secret, `whsec_` and base64, a line each while one is replaced."),
    ]
    name: Annotated[str, Meta(description="For logs; empty for the host of the URL.")] = ""
    kinds: Annotated[tuple[str, ...], Meta(min_length=1, description="Kinds of events that are sent.")] = ("alert",)
    rules: Annotated[tuple[str, ...], Meta(description="Names of the rules whose alerts are sent; empty for all.")] = ()
    calls: Annotated[str, Meta(description="Only of calls whose names begin so; with it nothing of the engine.")] = ""
    ca_file: Annotated[str, Meta(description="Certificates (PEM) to trust instead of the system's.")] = ""
    insecure_plaintext: Annotated[
        bool, Meta(description="Allow http beyond this machine: anybody on the way can read along.")
    ] = False


class WebhookOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of signed HTTP requests for alerts: to whom, and how long they are tried."""

    targets: Annotated[tuple[WebhookTarget, ...], Meta(max_length=32, description="See docs/web.md.")] = ()
    timeout_s: Annotated[float, Meta(gt=0, le=60, description="Longest that one request may take, in s.")] = 10.0
    attempts: Annotated[int, Meta(ge=1, le=50, description="How often one event is tried.")] = 10
    first_wait_s: Annotated[
        float, Meta(gt=0, le=60, description="Wait after the first failure, in s; it doubles with every further one.")
    ] = 1.0
    most_wait_s: Annotated[float, Meta(gt=0, le=3600, description="Longest wait between two tries, in s.")] = 300.0
    max_age_s: Annotated[
        float, Meta(gt=0, le=86_400, description="An event that could not be sent for so long is dropped.")
    ] = 3600.0
    queue_events: Annotated[
        int, Meta(ge=1, le=100_000, description="Events that wait for one target; of more the oldest are dropped.")
    ] = 1000
