"""AuthenticatorOptions: the settings of the authenticator plugin."""

from typing import Annotated, Literal

from msgspec import Meta

from rtemo_plugins.listener.options import ListenerOptions


class AuthenticatorOptions(ListenerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sure to be, when to say so, and whether the emotion is told too; the rest is as of the listener."""

    false_alarms_per_hour: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="False alarms to put up with, per hour of genuine speech: the operating point."
        ),
    ] = 1.0
    policy: Annotated[
        Literal["warn", "tag"],
        Meta(
            description="What follows: 'warn' (events only) or 'tag' (emotion events of a voice judged synthetic are "
            "tagged untrusted)."
        ),
    ] = "warn"
    heard_s: Annotated[float, Meta(ge=0.5, le=30, description="Speech heard before the first verdict, in s.")] = 2.0
    refresh_s: Annotated[float, Meta(gt=0, le=60, description="Speech between two events, in s.")] = 1.0
    cool_down_s: Annotated[
        float, Meta(ge=0, le=3600, description="Speech without new evidence after which an alarm is over, in s.")
    ] = 30.0
    emotion: Annotated[
        bool,
        Meta(
            description="Whether the emotion is told too, from the same pass of the encoder; the listener is not "
            "needed in the chain then."
        ),
    ] = False
    bundle: Annotated[str, Meta(description="Name of the bundle that holds encoder and experts.")] = "gem-large"
