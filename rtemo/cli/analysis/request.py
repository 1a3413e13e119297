"""Request: what is to be analysed and where the results go."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rtemo.cli.enhanced import Targets
from rtemo.config import Config


class Request(NamedTuple):
    """What is asked for; of a batch, however many processes work on it."""

    config: Config
    jobs: int
    """Channels worked on at once in a process."""
    channel_names: tuple[str, ...]
    roles: tuple[str, ...]
    write: Callable[[bytes], None]
    """Takes lines of results; raises `OSError`."""
    events: Path | None
    targets: Targets | None
    """Where processed audio goes, if anywhere."""
    is_quiet: bool
    has_bar: bool
