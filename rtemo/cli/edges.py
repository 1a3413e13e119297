"""Sources, publishers and sinks by name, as the command line and the configuration ask for them."""

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rtemo.api import AudioSink, Publisher, Source
    from rtemo.config import Config

_NETWORK = "zmq"
"""The edge that is meant when an endpoint is given instead of a name."""

_ENDPOINT_KEYS: dict[str, dict[str, str]] = {
    "sources": {"endpoint": "{}"},
    "publishers": {"events": "{}", "state": "", "query": ""},
    "sinks": {"endpoint": "{}"},
}


def chosen(config: "Config", table: str, text: str | None, default: tuple[str, ...]) -> "tuple[Config, list[str]]":
    """Read names, or endpoints in their place, with commas between them.

    Args:
        config: The configuration, which an endpoint changes.
        table: `sources`, `publishers` or `sinks`.
        text: As `zmq,phone` or `tcp://127.0.0.1:5570`; None for the default.
        default: Names meant then.

    Returns:
        The configuration and the names, each once.
    """
    names: list[str] = []
    for part in default if text is None else filter(None, (part.strip() for part in text.split(","))):
        if "://" in part:
            config = with_endpoint(config, table, part)
            part = _NETWORK
        if part not in names:
            names.append(part)
    return config, names


def with_endpoint(config: "Config", table: str, endpoint: str) -> "Config":
    """Set the endpoint of the edge over the network."""
    given = {key: value.format(endpoint) for key, value in _ENDPOINT_KEYS[table].items()}
    return with_options(config, table, _NETWORK, **given)


def with_options(config: "Config", table: str, name: str, **options: Any) -> "Config":
    """Set options of one edge."""
    import msgspec

    sections: dict[str, dict[str, Any]] = getattr(config, table)
    changed = {**sections, name: {**sections.get(name, {}), **options}}
    return msgspec.structs.replace(config, **{table: changed})


def sources(config: "Config", names: list[str]) -> "list[Source]":
    """Make sources, gateways in processes of their own; see `plain_sources`."""
    from rtemo.io.gateways.gateway_keeper import in_own_process

    return cast("list[Source]", [in_own_process(source) for source in plain_sources(config, names)])


def plain_sources(config: "Config", names: list[str]) -> "list[Source]":
    """Make sources, all of them in this process.

    Raises:
        RtemoError: One is unknown, or cannot be made.
    """
    return cast("list[Source]", _made(config, "sources", names))


def publishers(config: "Config", names: list[str]) -> "list[Publisher]":
    """Make publishers; see `plain_sources`."""
    return cast("list[Publisher]", _made(config, "publishers", names))


def sinks(config: "Config", names: list[str]) -> "list[AudioSink]":
    """Make sinks of audio; see `plain_sources`."""
    return cast("list[AudioSink]", _made(config, "sinks", names))


def _made(config: "Config", table: str, names: list[str]) -> list[Any]:
    from rtemo.config.edges import TABLES
    from rtemo.extensions import make

    sections, purpose = getattr(config, table), config.policy.purpose
    return [make(TABLES[table], name, sections.get(name), purpose=purpose, tenant=tenant_of(config)) for name in names]


def tenant_of(config: "Config") -> str:
    """Tell for whom everything is published."""
    from rtemo.io.zmq_options import PublishOptions

    return config.edge("publishers", _NETWORK, PublishOptions).tenant
