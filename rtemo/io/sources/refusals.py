"""What clients of an ingest are told when it does not do what they ask, in one place for an engine's and a front's."""

from rtemo.io.audio_wire import Ended, Error, Open, Refused, split_names
from rtemo.io.sources.client_limits import Client
from rtemo.io.zmq_options import IngestOptions


def too_often(request: Open, client: Client, options: IngestOptions) -> Refused:
    """Tell a client that it opens too many streams in too little time."""
    problem = f"this client opens more than {options.opens_per_s:g} streams a second"
    return Refused(request.call, request.channel, "rate", problem, f"try again in {client.opens.wait_s():.1f} s")


def no_new_calls(request: Open) -> Refused:
    """Tell a client that the server is about to stop."""
    problem, mend = "this server is about to stop and takes no new calls", "use another one, or try again later"
    return Refused(request.call, request.channel, "draining", problem, mend)


def too_many(request: Open, client: Client) -> Refused:
    """Tell a client that it has as many streams as it may."""
    problem = f"this client has {client.streams} streams open"
    return Refused(request.call, request.channel, "capacity", problem, "end one of them")


def audio_of_none(names: bytes) -> Error:
    """Tell a client that it sends audio of a stream that is not open."""
    call, channel = split_names(names)
    problem = f"got audio of call {call!r} channel {channel!r}, which is not open"
    return Error("not_open", problem, "send `open` first, or again", call, channel)


def request_of_none(call: str, channel: str) -> Error:
    """Tell a client that what it asks is about a stream that is not open."""
    return Error("not_open", f"call {call!r} channel {channel!r} is not open", "send `open` first", call, channel)


def ended(request: Open, reason: str) -> Ended:
    """Tell a client that its stream has ended, of which nobody is left who could give an account."""
    return Ended(
        call=request.call,
        channel=request.channel,
        reason=reason,
        received_samples=0,
        lost_samples=0,
        late_packets=0,
        duplicate_packets=0,
        over_credit_packets=0,
    )
