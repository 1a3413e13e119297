"""Edges that a program makes of other things than options, as entry points make them: of options alone."""

from typing import ClassVar

from rtemo.api import ConfigError
from rtemo.io.publishers.console import ConsolePublisher
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.publishers.options import ConsoleOptions, JsonlOptions
from rtemo.io.sources.file import FileSource
from rtemo.io.sources.options import FileOptions, StdinOptions
from rtemo.io.sources.stdin import StdinSource


class ConfiguredFile(FileSource):
    """A sound file, each channel a stream."""

    options_type: ClassVar[type[FileOptions]] = FileOptions

    def __init__(self, options: FileOptions) -> None:
        if not options.path:
            raise ConfigError("the source 'file' has no file", "set sources.file.path")
        super().__init__(options.path, options.call, channel_names=options.channel_names, roles=options.roles)


class ConfiguredStdin(StdinSource):
    """Raw PCM on standard input, each channel a stream."""

    options_type: ClassVar[type[StdinOptions]] = StdinOptions

    def __init__(self, options: StdinOptions) -> None:
        super().__init__(
            None,
            options.sample_rate_hz,
            options.channels,
            options.sample_type,
            call=options.call,
            channel_names=options.channel_names,
            roles=options.roles,
        )


class ConfiguredJsonl(JsonlPublisher):
    """Every event as one line of JSON, in a file or on standard output."""

    options_type: ClassVar[type[JsonlOptions]] = JsonlOptions

    def __init__(self, options: JsonlOptions, *, purpose: str = "") -> None:
        super().__init__(options.path, append=options.append, purpose=purpose)


class ConfiguredConsole(ConsolePublisher):
    """Every event as one line of text on standard output."""

    options_type: ClassVar[type[ConsoleOptions]] = ConsoleOptions

    def __init__(self, options: ConsoleOptions) -> None:
        super().__init__(kinds=options.kinds)
