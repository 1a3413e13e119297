"""Options that several verbs share, and how they become a configuration."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rtemo.api import PluginSpec
    from rtemo.config import Config


class NamedPath(click.Path):
    """A path that is not empty: pathlib takes an empty text, as of a variable that is not set, for the folder here."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty name."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range, which NaN is not in, nor infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no finite number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


Command = TypeVar("Command", bound=Callable[..., Any])


def configuring(command: Command) -> Command:
    """Give a command `--config`, `--set` and `--chain` as they were written, for `load`."""
    for option in (
        click.option(
            "--chain",
            "chain",
            metavar="NAMES",
            help="Plugins in order, commas between, or a chain by name, as small (see rtemo plugins).",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one key, as engine.capacity=128."
        ),
        click.option("--config", "config_path", metavar="FILE", help="Configuration file (see rtemo config)."),
    ):
        command = option(command)
    return command


def configured(command: Command) -> Command:
    """Give a command `--config`, `--set` and `--chain`; it receives the loaded `config`."""

    @configuring
    @functools.wraps(command)
    def wrapped(
        *args: Any, config_path: str | None, settings: tuple[str, ...], chain: str | None, **kwargs: Any
    ) -> Any:
        return command(*args, config=load(config_path, settings, chain), **kwargs)

    return wrapped  # type: ignore[return-value]


def enhancing(command: Command) -> Command:
    """Give a command, under `configured`, the options of the plugin that enhances speech."""

    @click.option("--wet", type=Number(0.0, 1.0), help="Share of enhanced in the audio; the rest is as it came in.")
    @click.option("--attenuation-limit-db", type=Number(min=0.0), metavar="DB", help="Lower nothing by more than this.")
    @functools.wraps(command)
    def wrapped(
        *args: Any, config: "Config", wet: float | None, attenuation_limit_db: float | None, **kwargs: Any
    ) -> Any:
        return command(*args, config=_enhanced(config, wet, attenuation_limit_db), **kwargs)

    return wrapped  # type: ignore[return-value]


def writing(command: Command) -> Command:
    """Give a command, under `configured`, the option that has what is said written down."""

    @click.option("--words", is_flag=True, help="Write down what is said, too (needs the extra rtemo[words]).")
    @functools.wraps(command)
    def wrapped(*args: Any, config: "Config", words: bool, **kwargs: Any) -> Any:
        return command(*args, config=_with_words(config) if words else config, **kwargs)

    return wrapped  # type: ignore[return-value]


def _with_words(config: "Config") -> "Config":
    """Put a plugin that writes down what is said at the end of the chain, unless one is in it.

    Raises:
        ConfigError: None is installed.
        PluginError: A plugin cannot be made.
    """
    import msgspec

    from rtemo.api import ConfigError

    if any(spec.is_verbatim for spec in specs_of(config, config.chain)):
        return config
    found = next((spec.name for spec in specs_of_others(config) if spec.is_verbatim), None)
    if found is None:
        raise ConfigError("--words is for a plugin that writes down what is said, of which none is installed")
    return msgspec.structs.replace(config, chain=(*config.chain, found))


def querying(command: Command) -> Command:
    """Give a command, under `configured`, the option that asks for voices by description."""

    @click.option(
        "--text", "texts", multiple=True, metavar="QUERY", help="Score voices by a description, as 'in tears'."
    )
    @functools.wraps(command)
    def wrapped(*args: Any, config: "Config", texts: tuple[str, ...], **kwargs: Any) -> Any:
        return command(*args, config=with_queries(config, texts) if texts else config, **kwargs)

    return wrapped  # type: ignore[return-value]


def with_queries(config: "Config", texts: tuple[str, ...]) -> "Config":
    """Have a plugin that scores voices by descriptions look for these, too; put it into the chain if none is in it.

    Raises:
        ConfigError: None is installed.
        PluginError: A plugin cannot be made.
    """
    import msgspec

    from rtemo.api import ConfigError, QueryScore

    candidates = itertools.chain(specs_of(config, config.chain), specs_of_others(config))
    name = next((spec.name for spec in candidates if QueryScore in spec.emits), None)
    if name is None:
        raise ConfigError("text queries are for a plugin that scores voices by them, of which none is installed")
    options = config.plugin_options(name)
    asked = dict.fromkeys((*texts, *options.get("queries", ())))
    chain = config.chain if name in config.chain else (*config.chain, name)
    return msgspec.structs.replace(
        config, chain=chain, plugins={**config.plugins, name: {**options, "queries": list(asked)}}
    )


def _enhanced(config: "Config", wet: float | None, attenuation_limit_db: float | None) -> "Config":
    """Set what was given of the options of the plugin that enhances.

    Raises:
        ConfigError: The chain enhances nothing.
        PluginError: A plugin of it cannot be made.
    """
    given = {"wet": wet, "attenuation_limit_db": attenuation_limit_db}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return config
    import msgspec

    from rtemo.api import ConfigError

    enhancer = next((spec.name for spec in specs_of(config, config.chain) if spec.enhances), None)
    if enhancer is None:
        option = "--" + next(iter(given)).replace("_", "-")
        others = [spec.name for spec in specs_of_others(config) if spec.enhances]
        raise ConfigError(
            f"{option} is for a plugin that enhances speech, of which none is in the chain ({', '.join(config.chain)})",
            f"add one, as --chain {','.join((*config.chain, *others[:1]))}" if others else "install one",
        )
    options = {**config.plugin_options(enhancer), **given}
    return msgspec.structs.replace(config, plugins={**config.plugins, enhancer: options})


def specs_of(config: "Config", plugins: "Iterable[str]") -> "Iterator[PluginSpec]":
    """Give the facts of plugins as they are configured.

    Raises:
        PluginError: One cannot be made.
    """
    from rtemo.engine import registry

    for name in plugins:
        yield registry.make(name, config.plugin_options(name)).spec


def specs_of_others(config: "Config") -> "Iterator[PluginSpec]":
    """Give the facts of installed plugins outside the chain; one that cannot be made is named and passed over."""
    from rtemo.api import PluginError
    from rtemo.cli.main import say
    from rtemo.engine import registry

    for name in registry.installed():
        if name not in config.chain:
            try:
                (spec,) = specs_of(config, [name])
            except PluginError as error:
                say(f"! {error.problem}")
            else:
                yield spec


def load(path: str | None, settings: tuple[str, ...] = (), chain: str | None = None) -> "Config":
    """Load the configuration and apply what the command line says on top.

    Args:
        path: File, or None for the search order.
        settings: Texts `key.path=value`.
        chain: Plugin names with commas between them.
    """
    from rtemo.config import load_config

    plugins = None if chain is None else [name.strip() for name in chain.split(",") if name.strip()]
    return load_config(path, settings, plugins)


def names(text: str | None) -> tuple[str, ...]:
    """Split names given with commas between them."""
    return tuple(part.strip() for part in (text or "").split(",")) if text else ()


def are_all_missing(paths: "Iterable[Path]") -> bool:
    """Say which paths do not exist if none does: that is worth saying before the seconds of warming up."""
    import os

    from rtemo.api import AudioInputError
    from rtemo.cli.main import say
    from rtemo.io.sources.audio_file import AudioFile

    if any(str(path) == "-" or os.path.lexists(path) for path in paths):
        return False
    for path in paths:
        try:
            AudioFile(path).close()
        except AudioInputError as error:
            say(str(error))
    return True


def note_misspelt_roles(config: "Config", text: str | None) -> None:
    """Say of a role that is nearly one of those analysed that it is not: its results would lack moods, without a word.

    Args:
        config: Whose policy decides.
        text: What --roles names.
    """
    from difflib import get_close_matches

    from rtemo.cli.main import say

    for role in dict.fromkeys(names(text)):
        near = get_close_matches(role.casefold(), config.policy.analysed_roles, n=1, cutoff=0.75)
        if near and config.policy.rule(role, is_local=True).analysis != "person":
            say(f"! --roles: {role!r} is not analysed, so only its speech is timed; did you mean {near[0]!r}?")


def roles_for(roles: "tuple[str, ...]", channels: int, what: str) -> "tuple[str, ...]":
    """Refuse roles that are not one for each channel: nobody should be analysed because of a word too few or too many.

    Args:
        roles: What --roles names; empty when it was not given.
        channels: How many channels there are.
        what: What has them.

    Raises:
        AudioInputError: There are more channels than roles, or more roles than channels.
    """
    from rtemo.api import AudioInputError

    if roles and len(roles) < channels:
        wanted = ",".join((*roles, *["ROLE"] * (channels - len(roles))))
        raise AudioInputError(
            f"--roles names {len(roles)} of the {channels} channels of {what}",
            f"name one for each, as {wanted}; nothing between the commas says that it is unknown",
        )
    if len(roles) > channels:
        what_there_is = "one channel" if channels == 1 else f"{channels} channels"
        raise AudioInputError(
            f"--roles names {len(roles)} roles and {what} has {what_there_is}",
            "name one for each channel; who speaks together on one channel cannot be told apart",
        )
    return roles


def own_process(config: "Config", **engine: Any) -> "Config":
    """Tell the engine that the process is its own, and change other engine settings as needed.

    A process that holds what people say leaves no copy of its memory behind when it crashes, unless that is asked for.
    """
    import msgspec

    if not config.engine.core_dumps:
        _forbid_core_dumps()
    changed = msgspec.structs.replace(config.engine, owns_process=True, **engine)
    return msgspec.structs.replace(config, engine=changed)


def _forbid_core_dumps() -> None:
    try:
        import resource
    except ImportError:  # Windows writes none unless somebody has set that up
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
