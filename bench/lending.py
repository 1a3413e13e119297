"""Lending: what the engine would lend a plugin, for plugins that are run without it."""

from rtemo.api import StreamFormat
from rtemo.runtime import ModelStore


class Lending:
    """The format of all audio, and the bundles that are installed."""

    format = StreamFormat()

    def __init__(self) -> None:
        self.model = ModelStore().load
