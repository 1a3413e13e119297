"""Systems: the chains and bundles that are compared, and results of earlier runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from rtemo.api import ConfigError, ModelError
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.evaluation.hearing import Answer, Heard
from rtemo.config import Config

_BUNDLE = "bundle"


class Saved(msgspec.Struct, kw_only=True):
    """What is read back of the file that --json wrote."""

    answers: dict[str, dict[str, Answer]]


def read_saved(path: Path, clips: Sequence[Clip]) -> dict[str, dict[str, Answer]]:
    """Read system → path → answer of an earlier run.

    Raises:
        ConfigError: The file cannot be read, is none that `rtemo eval --json` wrote, or knows none of the clips.
    """
    try:
        answers = msgspec.json.decode(path.read_bytes(), type=Saved).answers
    except OSError as error:
        raise ConfigError(f"--against {path} cannot be read ({error.strerror})", "correct the path") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(
            f"--against {path} was not written by rtemo eval ({error})", "make it with rtemo eval CLIPS --json FILE"
        ) from None
    keys = {clip.key for clip in clips}
    if not any(keys & given.keys() for given in answers.values()):
        raise ConfigError(
            f"--against {path} knows none of these clips",
            "name the clips as in the run that wrote it, by the same path",
        )
    return answers


def varied(config: Config, text: str, config_path: str | None, settings: tuple[str, ...], chain: str | None) -> Config:
    """Make the configuration that --against names.

    Args:
        config: That of the system itself.
        text: Settings `key=value` with `;` between them, plugin names with commas between them, or a bundle, which
            takes the place of the one for the same task.
        config_path: The file that `config` was loaded from.
        settings: What --set gave.
        chain: What --chain gave.

    Raises:
        RtemoError: It is none of these, or does not fit.
    """
    from rtemo.cli.options import load, names
    from rtemo.engine import registry

    if "=" in text:
        return load(config_path, (*settings, *(part.strip() for part in text.split(";") if part.strip())), chain)
    parts = names(text)
    if parts and all(part in registry.installed() for part in parts):
        return load(config_path, settings, text)
    options = _with_bundle(config, text)
    return msgspec.structs.replace(config, plugins={**config.plugins, **options})


def _with_bundle(config: Config, text: str) -> dict[str, dict[str, object]]:
    from rtemo.runtime.store import find

    try:
        task = find(text).card.task
    except ModelError as error:
        raise ConfigError(
            f"--against {text!r} is no chain of installed plugins, no setting, no file of rtemo eval --json and "
            f"no bundle ({error.problem})",
            "as --against NAME,NAME or --against plugins.NAME.OPTION=VALUE",
        ) from None
    places = []
    for plugin in config.chain:
        for option, present in _bundles(config, plugin).items():
            if present and _task(present) == task:
                places.append((plugin, option))
    if len(places) != 1:
        known = ", ".join(f"plugins.{plugin}.{option}" for plugin, option in places) or "no option names one"
        raise ConfigError(
            f"--against {text!r}: which bundle for {task!r} of the chain it replaces is not clear ({known})",
            f"say it, as --against plugins.NAME.OPTION={text}",
        )
    ((plugin, option),) = places
    return {plugin: {**config.plugin_options(plugin), option: text}}


def _bundles(config: Config, plugin: str) -> Mapping[str, str]:
    """Options of a plugin that name a bundle, and what they name."""
    from rtemo.engine import registry

    options_type = registry.load(plugin).options_type
    options = msgspec.convert(config.plugin_options(plugin), options_type)
    return {name: str(getattr(options, name)) for name in options_type.__struct_fields__ if name.endswith(_BUNDLE)}


def _task(bundle: str) -> str:
    from rtemo.runtime.store import find

    try:
        return find(bundle).card.task
    except ModelError:
        return ""


def named(title: str, heard: Heard) -> dict[str, dict[str, Answer]]:
    """Name the systems of one run: by its title, and by plugin where several told emotions."""
    if len(heard.answers) < 2:
        return {title: next(iter(heard.answers.values()), {})}
    return {f"{title}:{plugin}": answers for plugin, answers in heard.answers.items()}
