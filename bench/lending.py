"""Lending: what the engine would lend a plugin, for plugins that are run without it."""

from rtemo.api import AudioDemand, StreamFormat
from rtemo.runtime import ModelStore


class Lending:
    """The format of all audio, and the bundles that are installed.

    Args:
        audio_demand: Whether anybody wants the audio that the plugin hands on.
    """

    format = StreamFormat()

    def __init__(self, audio_demand: AudioDemand = "always") -> None:
        self.audio_demand = audio_demand
        self.model = ModelStore().load
