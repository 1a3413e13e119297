"""What is to be proved: everything installed under the names in `RTEMO_TEST`, with the options of the configuration."""

import os
from typing import Any, NamedTuple

import msgspec

from rtemo.config import load_config
from rtemo.config.edges import TABLES
from rtemo.extensions import PLUGINS, installed

VARIABLE = "RTEMO_TEST"


class Chosen(NamedTuple):
    """One extension and its options."""

    group: str
    name: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def chosen(group: str) -> list[Chosen]:
    """Give what is to be proved of a group; nothing where the variable is not set."""
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    if not names:
        return []
    config = load_config()
    table = next((table for table, other in TABLES.items() if other == group), "plugins")
    options = config.plugins if group == PLUGINS else getattr(config, table)
    known = installed(group)
    return [Chosen(group, name, msgspec.to_builtins(options.get(name, {}))) for name in names if name in known]
