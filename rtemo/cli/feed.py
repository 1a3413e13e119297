"""What `subscribe`, `top` and `board` share: connecting to a publisher, and its events as the engine made them."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtemo.cli.options import Number
from rtemo.cli.stopping import stop_if_told

if TYPE_CHECKING:
    from rtemo.api import Event
    from rtemo.client import Subscriber
    from rtemo.config import Config
    from rtemo.io.wire import WireEvent

Command = TypeVar("Command", bound=Callable[..., Any])
Item = TypeVar("Item")

_TURN_S = 0.05

_LATEST_MS = 1e13  # the year 2286
_FARTHEST_SAMPLE = 1 << 62


def heard(receive: Callable[[float], list[Item]]) -> Iterator[Item]:
    """Iterate over what comes until the user stops it, inside `term_as_interrupt`; a quiet feed can be stopped, too.

    Args:
        receive: Of a subscriber or a receiver of audio: what is there, at the latest after so many seconds.

    Raises:
        EndpointError: Nobody was heard in time.
        KeyboardInterrupt: The user has stopped it.
    """
    while True:
        stop_if_told()
        yield from receive(_TURN_S)


def connected(command: Command) -> Command:
    """Give a command the options of a connection; it receives them as keyword arguments for `connect`."""
    for option in (
        click.option("--tenant", help="Tenant of the feed.  [publishers.zmq.tenant]"),
        click.option("--server-key", default="", metavar="KEY", help="Public CURVE key of the publisher, or its file."),
        click.option("--key-file", default="", metavar="FILE", help="Secret CURVE key file of this client."),
        click.option(
            "--wait",
            "wait_s",
            type=Number(min=0.0, min_open=True),
            default=5.0,
            show_default=True,
            metavar="SECONDS",
            help="How long the publisher may take to appear.",
        ),
    ):
        command = option(command)
    return command


def connect(
    config: "Config",
    endpoint: str | None,
    tenant: str | None,
    server_key: str,
    key_file: str,
    wait_s: float,
    **wanted: Any,
) -> "Subscriber":
    """Connect to a publisher.

    Args:
        config: Where the publisher of this machine would be.
        endpoint: Its event endpoint; that of the configuration when None.
        tenant: Tenant; that of the configuration when None.
        server_key: Public CURVE key of the publisher.
        key_file: Secret CURVE key file of this client.
        wait_s: How long to wait for its first sign of life.
        wanted: `calls`, `kinds`, `snapshot`, `on_notice` of the subscriber.
    """
    from rtemo.client import Subscriber
    from rtemo.io.zmq_options import PublishOptions

    here = config.edge("publishers", "zmq", PublishOptions)
    return Subscriber(
        endpoint or here.events,
        query="" if endpoint else here.query,
        tenant=tenant or here.tenant,
        connect_timeout_s=wait_s,
        server_key=server_key,
        key_file=key_file,
        **wanted,
    )


def as_event(wire: "WireEvent[Any]") -> "Event | None":
    """Turn a received event into the one the engine made, its texts cleaned; None when it is of no kind known here."""
    import msgspec

    from rtemo.api import Event
    from rtemo.api.text import plain, plain_struct

    if not isinstance(wire.data, msgspec.Struct) or not _is_sane(wire):
        return None
    return Event(
        call=plain(wire.call),
        channel=plain(wire.channel),
        plugin=plain(wire.plugin),
        seq=wire.stream_seq,
        start_sample=wire.start_sample,
        end_sample=wire.end_sample,
        capture_ns=round((wire.t_capture_ms or 0.0) * 1e6),
        emit_ns=round(wire.t_pub_ms * 1e6),
        data=plain_struct(wire.data),
    )


def _is_sane(wire: "WireEvent[Any]") -> bool:
    """Tell whether numbers that everything is divided by or printed as are what a publisher of ours sends."""
    from rtemo.api import SessionStart

    times_ms = (wire.t_pub_ms, wire.t_capture_ms or 0.0)
    is_timed = all(math.isfinite(time_ms) and 0.0 <= time_ms < _LATEST_MS for time_ms in times_ms)
    positions = (wire.start_sample, wire.end_sample)
    is_placed = all(-_FARTHEST_SAMPLE < position < _FARTHEST_SAMPLE for position in positions)
    if isinstance(wire.data, SessionStart):
        is_placed = is_placed and wire.data.sample_rate_hz > 0 and wire.data.hop_samples > 0
    return is_timed and is_placed
