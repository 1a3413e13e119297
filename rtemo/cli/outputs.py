"""Checks on where results go, before anything is overwritten."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def check_outputs(inputs: Iterable[Path], outputs: Mapping[str, Path | None]) -> None:
    """Refuse to write over what is to be read, and two results into one file.

    Args:
        inputs: Files and folders that are read.
        outputs: Option → file that it names; None where it was not given.

    Raises:
        ConfigError: An output is an input, or a sound file in a folder that is read, two outputs are the same file, or
            one cannot be written: that is worth saying before the work of which it is the result.
    """
    from rtemo.api import ConfigError
    from rtemo.api.text import shown
    from rtemo.io.sources.audio_file import SUFFIXES

    places = {option: path for option, path in outputs.items() if path is not None and str(path) != "-"}
    roots = list(inputs)
    seen: dict[str, str] = {}
    for option, path in places.items():
        if path.exists() and not path.is_file() and not path.is_dir():
            continue  # /dev/null, a pipe: nothing there is lost
        problem = _obstacle(path)
        if problem:
            raise ConfigError(f"{option} {shown(path)} cannot be written ({problem})", "choose another place")
        real = os.path.realpath(path)
        if real in seen:
            raise ConfigError(f"{option} and {seen[real]} name the same file {shown(path)}", "give each its own")
        seen[real] = option
        is_sound = path.exists() and path.suffix.lower() in SUFFIXES
        for root in roots:
            if real == os.path.realpath(root) or (is_sound and Path(real).is_relative_to(os.path.realpath(root))):
                raise ConfigError(
                    f"{option} {shown(path)} would write over a file that is to be read", "choose another"
                )


def _obstacle(path: Path) -> str:
    """Say why a file cannot be written, or nothing."""
    try:
        if path.exists():
            with path.open("ab"):
                pass
        else:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        return error.strerror or str(error)
    return ""
