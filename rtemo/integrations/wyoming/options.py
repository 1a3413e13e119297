"""WyomingOptions, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

from msgspec import Meta

from rtemo.io.gateways.options import GatewayOptions, Role


class WyomingOptions(GatewayOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the Wyoming server."""

    endpoint: Annotated[str, Meta(description="Where Wyoming clients connect to, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:10700"
    )
    role: Annotated[Role, Meta(description="Who speaks into the microphones of the clients.")] = "user"
    words: Annotated[
        bool,
        Meta(
            description="Offer speech recognition; the chain must write words down (`--words` and policy.words = "
            '"always").'
        ),
    ] = False
    enhanced: Annotated[bool, Meta(description="Send the audio back as the chain makes it, its noise taken off.")] = (
        False
    )
    findings: Annotated[
        tuple[str, ...],
        Meta(description="Kinds of events that are sent besides voice-started and voice-stopped, as rtemo-<kind>."),
    ] = ("emotion", "rank", "spoof", "end_of_turn")
    idle_s: Annotated[
        float, Meta(gt=0, le=86_400, description="Time without any message after which a connection is closed, in s.")
    ] = 3600.0
