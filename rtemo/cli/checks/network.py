"""The network: libzmq, encryption, and whether the endpoints of the configuration can be bound."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rtemo.cli.checks.finding import Finding
from rtemo.config import Config

if TYPE_CHECKING:
    from rtemo.io.endpoints import Endpoint
    from rtemo.io.zmq_options import AudioOutOptions, IngestOptions, PublishOptions

    _Options = AudioOutOptions | IngestOptions | PublishOptions

_ANSWER_S = 1.0  # a program on this machine answers within; a busy one, too


def library() -> Iterator[Finding]:
    """Version of libzmq, and whether it can encrypt."""
    import zmq

    from rtemo.io.sockets import LEAST_LIBZMQ

    least = ".".join(map(str, LEAST_LIBZMQ))
    is_new = zmq.zmq_version_info() >= LEAST_LIBZMQ
    mend = "" if is_new else f"versions before {least} have security holes; run: pip install --upgrade pyzmq"
    yield Finding("libzmq", "pass" if is_new else "fail", f"{zmq.zmq_version()} (pyzmq {zmq.pyzmq_version()})", mend)
    has_curve = bool(zmq.has("curve"))
    yield Finding(
        "CURVE",
        "pass" if has_curve else "note",
        "available" if has_curve else "libzmq was built without it: endpoints cannot be encrypted",
        "" if has_curve else "install pyzmq from a wheel instead of building it",
    )


def endpoints(config: Config) -> Iterator[Finding]:
    """Whether the endpoints of publisher, ingest and audio feed are free and safe, or rtemo serves there already."""
    from rtemo.cli.checks.presence import publishes, takes_audio
    from rtemo.io.zmq_options import AudioOutOptions, IngestOptions, PublishOptions

    publish = config.edge("publishers", "zmq", PublishOptions)
    ingest = config.edge("sources", "zmq", IngestOptions)
    audio_out = config.edge("sinks", "zmq", AudioOutOptions)
    yield from _endpoint(
        "publishers.zmq.events", publish.events, publish, lambda at: publishes(at, publish.heartbeat_s + _ANSWER_S)
    )
    yield from _endpoint("sources.zmq.endpoint", ingest.endpoint, ingest, lambda at: takes_audio(at, _ANSWER_S))
    if audio_out.endpoint:  # off otherwise
        yield from _endpoint(
            "sinks.zmq.endpoint",
            audio_out.endpoint,
            audio_out,
            lambda at: publishes(at, audio_out.heartbeat_s + _ANSWER_S),
        )


def _endpoint(what: str, text: str, options: "_Options", is_ours: "Callable[[Endpoint], bool]") -> Iterator[Finding]:
    """Bind an endpoint; when that fails ask who is there, which needs a key of a client where it is encrypted."""
    import zmq

    from rtemo.api import EndpointError
    from rtemo.io.endpoints import parse_endpoint
    from rtemo.io.sockets import bind, check_exposure, make_socket, open_context

    is_encrypted = bool(options.curve.key_file)
    context = open_context()
    try:
        endpoint = parse_endpoint(text)
        check_exposure(endpoint, options.curve, options.insecure_plaintext, what.rpartition(".")[0])
        try:
            with make_socket(context, zmq.PUB) as socket:
                bind(socket, endpoint, 1024, None, what)
        except EndpointError as error:
            if is_encrypted:
                mend = f"it may be rtemo itself, which tells only clients that it knows; if not: {error.mend}"
                yield Finding(what, "note", error.problem, mend)
            elif is_ours(endpoint):
                yield Finding(what, "pass", f"{endpoint}: rtemo serves there now")
            else:
                yield Finding(what, "note", error.problem, error.mend)
            return
        yield Finding(what, "pass", f"{endpoint} is free{', encrypted' if is_encrypted else ''}")
    except EndpointError as error:
        yield Finding(what, "note", error.problem, error.mend)
    finally:
        context.destroy(linger=0)
