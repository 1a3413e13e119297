"""Recognisers: what each plugin that tells emotions, or scores queries, says of turns, through the engine."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rtemo.api import Emotion, Event, Fault, QueryScore, RtemoError
from rtemo.cli.options import own_process, specs_of, with_queries
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt
from rtemo.corpus import stages
from rtemo.corpus.retrieval import QUERIES
from rtemo.corpus.stages import Books, Opinion
from rtemo.engine import registry

if TYPE_CHECKING:
    from rtemo.api import PluginSpec
    from rtemo.config import Config

_BATCH = 128
_JOBS = 32
_PERIOD_S = 0.1


def recognisers(config: "Config", wanted: Sequence[str]) -> "dict[str, Config]":
    """Make a chain for each recogniser: itself and what it needs, in the order of the configured chain.

    Args:
        config: Of the user.
        wanted: Names of plugins; all that tell emotions or score queries when empty.

    Raises:
        PluginError: One that was named is not installed.
    """
    specs: dict[str, PluginSpec] = {}
    for name in dict.fromkeys((*wanted, *config.chain, *registry.installed())):
        try:
            specs.update({spec.name: spec for spec in specs_of(config, [name])})
        except RtemoError:
            if name in wanted:
                raise
    telling = [name for name, spec in specs.items() if Emotion in spec.emits or QueryScore in spec.emits]
    names = wanted or [name for name in telling if _has_model(config, name)]
    found = {}
    for name in names:
        needed = _needed(specs[name], specs)
        chain = [*(one for one in config.chain if one in needed), *(n for n in needed if n not in config.chain)]
        one = msgspec.structs.replace(config, chain=(*chain, name))
        found[name] = with_queries(one, tuple(QUERIES.values())) if QueryScore in specs[name].emits else one
    return found


def _has_model(config: "Config", name: str) -> bool:
    """Tell whether a bundle is named, where a plugin leaves that to the user."""
    options = registry.load(name).options_type()
    return bool(config.plugins.get(name, {}).get("bundle", getattr(options, "bundle", "its own")))


def _needed(spec: "PluginSpec", specs: "Mapping[str, PluginSpec]") -> list[str]:
    """Name the plugins whose marks one requires, and those that these require."""
    found: list[str] = []
    for mark in spec.requires:
        provider = next(
            (s for s in specs.values() if s.name != spec.name and mark in {one.name for one in s.provides}), None
        )
        if provider is not None and provider.name not in found:
            found += [name for name in (*_needed(provider, specs), provider.name) if name not in found]
    return found


def ask_all(
    books: Books,
    chains: "Mapping[str, Config]",
    on_progress: Callable[[str, int, int], None],
    say: Callable[[str], None],
) -> None:
    """Have each recogniser speak of the turns that it has not heard yet; one that cannot be opened is left out.

    Raises:
        KeyboardInterrupt: The user has stopped it; what is done is kept.
    """
    units = [turn.unit for turn in books.turns]
    for name, config in chains.items():
        ledger = books.opinions_of(name)
        left = [unit for unit in units if unit not in ledger]
        for first in range(0, len(left), _BATCH):
            on_progress(f"recognise: {name}", len(units) - len(left) + first, len(units))
            batch = left[first : first + _BATCH]
            try:
                said = _ask(config, [books.clip_path(unit) for unit in batch])
            except RtemoError as error:
                say(f"the recogniser {name!r} is left out: {error.problem}")
                break
            ledger.add(*(said.get(unit, Opinion(unit=unit, dropped=stages.NOT_RATED)) for unit in batch))
        on_progress(f"recognise: {name}", len(units), len(units))


class _Tally:
    """What is said of one turn: means over its stretches of speech, weighted by their length."""

    def __init__(self) -> None:
        self._weight_s = 0.0
        self._sums: dict[str, float] = {}
        self._arousal = self._valence = 0.0
        self._queries: dict[str, tuple[float, float]] = {}

    def add(self, data: Emotion | QueryScore) -> None:
        weight_s = max(data.speech_s, 1e-3)
        if isinstance(data, QueryScore):
            total, weights_s = self._queries.get(data.query, (0.0, 0.0))
            self._queries[data.query] = total + weight_s * data.score, weights_s + weight_s
            return
        self._weight_s += weight_s
        self._arousal += weight_s * data.arousal
        self._valence += weight_s * data.valence
        for label, probability in data.probabilities.items():
            self._sums[label] = self._sums.get(label, 0.0) + weight_s * probability

    def opinion(self, unit: str) -> Opinion:
        weight_s = max(self._weight_s, 1e-9)
        return Opinion(
            unit=unit,
            probabilities={label: round(total / weight_s, 5) for label, total in self._sums.items()},
            arousal=round(self._arousal / weight_s, 4),
            valence=round(self._valence / weight_s, 4),
            queries={query: round(total / weights_s, 5) for query, (total, weights_s) in self._queries.items()},
        )


class _Listening:
    """A publisher that adds up what is said of each file."""

    name = "listening"

    def __init__(self, unit_of: Callable[[Event], str]) -> None:
        self.tallies: dict[str, _Tally] = {}
        self.faults: list[str] = []
        self._unit_of = unit_of

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def publish(self, events: Sequence[Event]) -> None:
        """Add up what is final."""
        for event in events:
            data = event.data
            if isinstance(data, Fault) and data.action != "closed":
                self.faults.append(f"{data.where} {data.action}: {data.problem}")
            elif isinstance(data, Emotion | QueryScore) and data.is_final:
                self.tallies.setdefault(self._unit_of(event), _Tally()).add(data)

    def tick(self) -> None:
        """Do nothing: all is told at the end."""

    def close(self) -> None:
        """Do nothing."""


def _ask(config: "Config", paths: Sequence[Path]) -> dict[str, Opinion]:
    from rtemo.cli.starting import StartLine
    from rtemo.io.sources.files import FilesSource
    from rtemo.session import Session

    source = FilesSource(paths, _JOBS)

    def unit_of(event: Event) -> str:
        track = source.tracks.get((event.call, event.channel))
        return track.path.stem if track else event.call

    listening = _Listening(unit_of)
    config = own_process(config, capacity=max(_JOBS, config.engine.capacity))
    session = Session(config, sources=[source], publishers=[listening], mode="freewheel", on_progress=StartLine())
    with term_as_interrupt():
        try:
            session.start()
            while not session.wait(_PERIOD_S):
                stop_if_told()
        finally:
            with shielded():
                session.stop("end")
    if listening.faults and not listening.tallies:
        raise RtemoError(listening.faults[0])
    return {unit: tally.opinion(unit) for unit, tally in listening.tallies.items()}
