"""The network: libzmq, encryption, and whether the endpoints of the configuration can be bound."""

from collections.abc import Iterator

from rtemo.cli.checks.finding import Finding
from rtemo.config import Config


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
    """Whether the endpoints of publisher, ingest and audio feed are free and safe."""
    import zmq

    from rtemo.api import EndpointError
    from rtemo.io.endpoints import parse_endpoint
    from rtemo.io.sockets import bind, check_exposure, make_socket, open_context
    from rtemo.io.zmq_options import AudioOutOptions, IngestOptions, PublishOptions

    publish = config.edge("publishers", "zmq", PublishOptions)
    ingest = config.edge("sources", "zmq", IngestOptions)
    audio_out = config.edge("sinks", "zmq", AudioOutOptions)
    for what, text, options in (
        ("publishers.zmq.events", publish.events, publish),
        ("sources.zmq.endpoint", ingest.endpoint, ingest),
        ("sinks.zmq.endpoint", audio_out.endpoint, audio_out),
    ):
        if not text:
            continue  # off
        context = open_context()
        try:
            endpoint = parse_endpoint(text)
            check_exposure(endpoint, options.curve, options.insecure_plaintext, what.rpartition(".")[0])
            with make_socket(context, zmq.PUB) as socket:
                bind(socket, endpoint, 1024, None, what)
        except EndpointError as error:
            yield Finding(what, "note", error.problem, error.mend)
        else:
            yield Finding(what, "pass", f"{endpoint} is free{', encrypted' if options.curve.key_file else ''}")
        finally:
            context.destroy(linger=0)
