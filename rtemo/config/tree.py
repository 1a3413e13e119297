"""Config: the whole configuration as one tree of option structs, one per table of the TOML file."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from rtemo.config.policy import Policy
from rtemo.config.workers import WorkersOptions
from rtemo.engine.options import EngineOptions
from rtemo.extensions import default_chain, spelt_out
from rtemo.runtime.options import RuntimeOptions

Options = TypeVar("Options", bound=msgspec.Struct)


class ListenOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the live view."""

    refresh_hz: Annotated[float, Meta(ge=1, le=30, description="How often the view is drawn, per second.")] = 8.0
    meter_s: Annotated[
        float,
        Meta(ge=0.02, le=5, description="Time between two levels, in s, unless their plugin's `interval_s` is set."),
    ] = 0.1
    trend_s: Annotated[float, Meta(ge=5, le=600, description="Span of the arousal and valence trend, in s.")] = 30.0


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set; `rtemo config` prints it with the descriptions as comments."""

    chain: Annotated[
        tuple[str, ...],
        Meta(
            description="Plugins in the order in which audio passes them; the name of a chain (see rtemo plugins) "
            "stands for all of its own."
        ),
    ] = msgspec.field(default_factory=default_chain)
    runtime: Annotated[RuntimeOptions, Meta(description="What runs the models, and where.")] = RuntimeOptions()
    engine: Annotated[EngineOptions, Meta(description="The engine: streams, buffers, overload.")] = EngineOptions()
    sources: Annotated[
        dict[str, dict[str, Any]], Meta(description="Where audio comes from, one table each: [sources.<name>].")
    ] = msgspec.field(default_factory=dict)
    publishers: Annotated[
        dict[str, dict[str, Any]], Meta(description="Where events go, one table each: [publishers.<name>].")
    ] = msgspec.field(default_factory=dict)
    sinks: Annotated[
        dict[str, dict[str, Any]], Meta(description="Where processed audio goes, one table each: [sinks.<name>].")
    ] = msgspec.field(default_factory=dict)
    listen: Annotated[ListenOptions, Meta(description="The live view of `rtemo listen`.")] = ListenOptions()
    policy: Annotated[Policy, Meta(description="Whose voice may be analysed, and for what purpose.")] = Policy()
    workers: Annotated[
        WorkersOptions, Meta(description="Processes that share the calls of `rtemo serve --workers`.")
    ] = WorkersOptions()
    plugins: Annotated[
        dict[str, dict[str, Any]], Meta(description="Options of the plugins, one table each: [plugins.<name>].")
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put plugins in the place of the names of chains."""
        chain = spelt_out(self.chain)
        if chain != self.chain:
            msgspec.structs.force_setattr(self, "chain", chain)

    def plugin_options(self, name: str) -> dict[str, Any]:
        """Tell what the configuration says about a plugin; empty means its defaults."""
        return self.plugins.get(name, {})

    def edge(self, table: Literal["sources", "publishers", "sinks"], name: str, options_type: type[Options]) -> Options:
        """Give the options of a source, publisher or sink, defaults filled in."""
        return msgspec.convert(getattr(self, table).get(name, {}), options_type)
