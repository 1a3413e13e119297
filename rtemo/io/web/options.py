"""Options of the web publisher, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta


class WebOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the web publisher: where it listens, who may read, and what it holds for them."""

    address: Annotated[
        str, Meta(min_length=1, description="Address to listen at; beyond 127.0.0.1 it wants tokens.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 lets the system choose.")] = 8765
    tokens: Annotated[
        str, Meta(description="TOML file of the bearer tokens that may read, see docs/web.md; empty for none.")
    ] = ""
    certificate: Annotated[str, Meta(description="Certificate (PEM) for HTTPS; empty for plain HTTP.")] = ""
    certificate_key: Annotated[str, Meta(description="Key of the certificate (PEM).")] = ""
    insecure_plaintext: Annotated[
        bool, Meta(description="Allow addresses beyond this machine without HTTPS, as behind a proxy that has it.")
    ] = False
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Names under which browsers may reach it without tokens, besides those of loopback."),
    ] = ()
    marks: Annotated[
        str,
        Meta(description="Store in which marks on alerts are kept, as events.db of the publisher 'store'; or empty."),
    ] = ""
    requests_per_s: Annotated[
        float, Meta(gt=0, le=10_000, description="Requests of one token, or one address without, in the long run.")
    ] = 20.0
    request_burst: Annotated[int, Meta(ge=1, le=100_000, description="Requests of one at once.")] = 100
    max_clients: Annotated[int, Meta(ge=1, le=10_000, description="Connections at once.")] = 256
    client_events: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Events queued for one client; beyond it gets a snapshot in their place."),
    ] = 2000
    update_s: Annotated[
        float, Meta(ge=0.05, le=10, description="Time between two updates of the rows of the wall, in s.")
    ] = 0.25
    replay_bytes: Annotated[
        int, Meta(ge=0, le=1 << 36, description="Events kept for /v1/events, in bytes; the oldest go first.")
    ] = 64 << 20
    max_calls: Annotated[
        int, Meta(ge=1, le=1 << 20, description="Calls remembered; of those that ended the oldest goes first.")
    ] = 4096
    keep_ended_s: Annotated[
        float, Meta(ge=0, le=86_400, description="How long a call that has ended is still shown, in s.")
    ] = 120.0
