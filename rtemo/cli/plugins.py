"""`rtemo plugins`: what is installed: plugins with what each needs and gives, sources, publishers, sinks, bundles."""

import shutil
import textwrap
from typing import TYPE_CHECKING, NamedTuple

import click

from rtemo.cli.options import configured

_NARROWEST_CELLS = 30

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from rtemo.api import Payload, PluginSpec
    from rtemo.config import Config


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line for each.")
@configured
def command(config: "Config", as_json: bool) -> int:
    """List the installed plugins with their latency and what they provide and require, and the other extensions.

    The first column tells the place in the chain of the present configuration. Below stand the chains that have a name,
    sources, publishers and sinks, as serve knows them by name, and the bundles of models, with the package that each
    comes from.
    """
    import msgspec

    from rtemo import extensions
    from rtemo.api import RtemoError
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.engine import registry

    specs: list[PluginSpec] = []
    failed = 0
    for name in registry.installed():
        try:
            specs.append(registry.make(name, config.plugin_options(name)).spec)
        except RtemoError as error:
            failed += 1
            say(str(error))
    specs.sort(key=lambda spec: (_place(config, spec.name) or 1_000, spec.name))
    others = [
        _Other(extensions.CHAINS, name, " → ".join(chain), _package(extensions.installed(extensions.CHAINS)[name]))
        for name, chain in sorted(extensions.chains().items())
    ]
    for group in (extensions.SOURCES, extensions.PUBLISHERS, extensions.SINKS, extensions.BUNDLES):
        for name, point in extensions.installed(group).items():
            try:
                others.append(_Other(group, name, _summary(group, name), _package(point)))
            except RtemoError as error:
                failed += 1
                say(str(error))
    if as_json:
        for spec in specs:
            facts = {"group": extensions.PLUGINS, **msgspec.to_builtins(spec, enc_hook=_kind)}
            click.echo(msgspec.json.encode(facts))
        for other in others:
            click.echo(msgspec.json.encode(other._asdict()))
    else:
        _print(config, specs)
        _print_others(others)
    return EXIT_FAILED if failed else 0


class _Other(NamedTuple):
    """An extension besides the plugins."""

    group: str
    name: str
    summary: str
    package: str


def _summary(group: str, name: str) -> str:
    from rtemo import extensions

    if group == extensions.BUNDLES:
        return ""  # the card tells: rtemo card NAME
    return (extensions.load(group, name).__doc__ or "").strip().partition("\n")[0]


def _package(point: "EntryPoint") -> str:
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _print_others(others: "list[_Other]") -> None:
    width = max(_NARROWEST_CELLS, shutil.get_terminal_size().columns)
    name_cells = max((len(other.name) for other in others), default=0)
    group = ""
    for other in others:
        if other.group != group:
            group = other.group
            click.echo(f"\n{click.style(group.partition('.')[2], bold=True)}")
        text = "  ".join(filter(None, (other.summary, f"({other.package})")))
        indent = " " * (name_cells + 6)
        head = f"    {other.name:<{name_cells}}  "
        for line in textwrap.wrap(text, width, initial_indent=head, subsequent_indent=indent):
            click.echo(line)


def _kind(payload_type: "type[Payload]") -> str:
    from rtemo.api import kind_of

    return kind_of(payload_type)


def _print(config: "Config", specs: "list[PluginSpec]") -> None:
    from rtemo.api import StreamFormat
    from rtemo.api.units import samples_to_ms

    rate_hz = StreamFormat().sample_rate_hz
    name_cells = max((len(spec.name) for spec in specs), default=0)
    for spec in specs:
        times = (
            f"latency {samples_to_ms(spec.latency_samples, rate_hz):.0f} ms, "
            f"look-ahead {samples_to_ms(spec.lookahead_samples, rate_hz):.0f} ms"
        )
        facts = {
            "": times,
            "provides": ", ".join(mark.name for mark in spec.provides),
            "requires": ", ".join(spec.requires),
            "says": ", ".join(map(_kind, spec.emits)),
            "hears": ", ".join(spec.hears),
            "gives way in": ", ".join(spec.gives_way),
        }
        lines = [spec.summary, *(f"{title} {fact}".strip() for title, fact in facts.items() if fact)]
        width = max(_NARROWEST_CELLS, shutil.get_terminal_size().columns - name_cells - 7)
        padding = " " * (name_cells - len(spec.name))
        head = f"{_place(config, spec.name) or '':>2}  {click.style(spec.name, bold=True)}{padding}"
        for line in (part for text in lines for part in textwrap.wrap(text, width)):
            click.echo(f"{head}  {line}")
            head = " " * (4 + name_cells)


def _place(config: "Config", name: str) -> int:
    """Place in the chain from 1; 0 when it is not in it."""
    return config.chain.index(name) + 1 if name in config.chain else 0
