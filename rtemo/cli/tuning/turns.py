"""Turns: where the chain hears speech in clips, so that a bundle is fitted to what it will be given."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from rtemo.api import ConfigError, Event, Fault, SpeechEnd, SpeechStart, TunedTurn
from rtemo.api.text import shown
from rtemo.config import Config
from rtemo.io.sources.files import FileFailure, FilesSource

_PERIOD_S = 0.1


class FoundTurn(NamedTuple):
    """A turn and the channel of the file that it is in."""

    channel: int
    turn: TunedTurn


class Found(NamedTuple):
    """What a run gave."""

    turns: dict[str, list[FoundTurn]]
    """Path → turns."""
    problems: list[str]
    failed: set[str]
    """Clips that could not be played."""


class _Noting:
    """A publisher that notes where speech begins and ends in each file."""

    name = "noting"

    def __init__(self, source: FilesSource) -> None:
        self.turns: dict[str, list[FoundTurn]] = {}
        self.faults: list[Fault] = []
        self._source = source
        self._known: dict[tuple[str, str, int], int] = {}

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def publish(self, events: Sequence[Event]) -> None:
        """Note the turns that are over."""
        for event in events:
            data = event.data
            if isinstance(data, Fault) and data.action != "closed":
                self.faults.append(data)
            elif isinstance(data, SpeechStart):
                self._known[event.call, event.channel, event.start_sample] = event.end_sample
            elif isinstance(data, SpeechEnd):
                track = self._source.tracks.get((event.call, event.channel))
                known = self._known.pop((event.call, event.channel, event.start_sample), event.start_sample)
                if track is not None:
                    turn = TunedTurn(event.start_sample, known, event.end_sample)
                    self.turns.setdefault(shown(track.path), []).append(FoundTurn(track.channel_index, turn))

    def tick(self) -> None:
        """Do nothing: all is told at the end."""

    def close(self) -> None:
        """Do nothing."""


def chain_before(config: Config, plugin: str) -> tuple[str, ...]:
    """Name what a plugin requires before it in a chain, of the plugins that are installed.

    Raises:
        ConfigError: None provides it.
    """
    import msgspec

    from rtemo.cli.options import specs_of, specs_of_others
    from rtemo.extensions import default_chain

    ours = tuple(dict.fromkeys((*config.chain, *default_chain(), plugin)))
    others = specs_of_others(msgspec.structs.replace(config, chain=ours))
    specs = {spec.name: spec for spec in (*specs_of(config, ours), *others)}
    chain: list[str] = []

    def add(name: str) -> None:
        for need in specs[name].requires:
            maker = next((o for o in specs if any(m.name == need for m in specs[o].provides)), None)
            if maker is None:
                raise ConfigError(f"plugin {name!r} needs {need!r}, which no installed plugin provides", "install one")
            if maker not in chain:
                add(maker)
                chain.append(maker)

    add(plugin)
    return tuple(chain)


def find_turns(config: Config, chain: tuple[str, ...], paths: Sequence[Path], jobs: int, is_quiet: bool) -> Found:
    """Run clips through the plugins that tell speech, as fast as the machine allows.

    Raises:
        RtemoError: The chain cannot be opened.
        KeyboardInterrupt: The user has stopped it.
    """
    from rtemo.cli.starting import StartLine
    from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt
    from rtemo.session import Session

    failures: list[FileFailure] = []
    source = FilesSource(paths, jobs, on_failure=failures.append)
    noting = _Noting(source)
    session = Session(
        msgspec.structs.replace(config, chain=chain),
        sources=[source],
        publishers=[noting],
        mode="freewheel",
        on_progress=None if is_quiet else StartLine(),
    )
    with term_as_interrupt():
        try:
            session.start()
            while not session.wait(_PERIOD_S):
                stop_if_told()
        finally:
            with shielded():
                session.stop("end")
    problems = [str(failure.error) for failure in failures]
    problems += [f"{fault.where} {fault.action}: {fault.problem}" for fault in noting.faults]
    return Found(noting.turns, problems, {shown(f.path) for f in failures if not f.is_partial})
