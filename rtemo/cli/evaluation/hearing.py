"""Hearing: what a chain says of every clip, through the real engine."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from rtemo.api import Emotion, Event, Fault, SessionStart
from rtemo.api.text import shown
from rtemo.cli.tally import Tally
from rtemo.config import Config
from rtemo.io.sources.files import FileFailure, FilesProgress, FilesSource

UNSURE = "unsure"
_PERIOD_S = 0.1


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one plugin says of one clip: the mean of its final estimates, weighted by the speech they rest on."""

    probabilities: dict[str, float] = {}
    arousal: float = 0.0
    valence: float = 0.0
    speech_s: float = 0.0
    is_committed: bool = True
    """Whether most of the speech was given a label other than `unsure`."""

    @property
    def label(self) -> str:
        """Most probable emotion; empty when no emotion was named."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Its probability."""
        return max(self.probabilities.values(), default=0.0)


class Heard(msgspec.Struct, kw_only=True):
    """What a run gave.

    Attributes:
        answers: Plugin → path → answer, of every plugin that told an emotion; a clip without one is missing.
        failed: Clips that could not be played.
        problems: One sentence for each thing that went wrong.
        models: Bundle → sha256.
        is_whole: False when it was interrupted.
    """

    answers: dict[str, dict[str, Answer]]
    failed: set[str]
    problems: list[str]
    models: dict[str, str]
    is_whole: bool = True


class Listening:
    """A publisher that adds up what each plugin says of each file."""

    name = "listening"

    def __init__(self, source: FilesSource) -> None:
        self.faults: list[Fault] = []
        self.models: dict[str, str] = {}
        self._source = source
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._committed_s: dict[tuple[str, str], float] = {}

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def publish(self, events: Sequence[Event]) -> None:
        """Add up the final estimates."""
        for event in events:
            data = event.data
            if isinstance(data, SessionStart):
                self.models = data.models
            elif isinstance(data, Fault) and data.action != "closed":
                self.faults.append(data)
            elif isinstance(data, Emotion) and data.is_final:
                track = self._source.tracks.get((event.call, event.channel))
                if track is not None:
                    key = event.plugin, shown(track.path)
                    self._tallies.setdefault(key, Tally()).add(event)
                    sign = -1.0 if data.label == UNSURE else 1.0
                    self._committed_s[key] = self._committed_s.get(key, 0.0) + sign * data.speech_s

    def tick(self) -> None:
        """Do nothing: all is told at the end."""

    def close(self) -> None:
        """Do nothing."""

    @property
    def answers(self) -> dict[str, dict[str, Answer]]:
        """Plugin → path → answer."""
        found: dict[str, dict[str, Answer]] = {}
        for (plugin, path), tally in self._tallies.items():
            if tally.arousal is not None and tally.valence is not None:
                found.setdefault(plugin, {})[path] = Answer(
                    probabilities=tally.emotion,
                    arousal=tally.arousal,
                    valence=tally.valence,
                    speech_s=tally.rated_s,
                    is_committed=self._committed_s[plugin, path] > 0,
                )
        return found


def hear(config: Config, paths: Sequence[Path], jobs: int, is_quiet: bool) -> Heard:
    """Run clips through the chain as fast as the machine allows.

    Args:
        config: Chain and options.
        paths: Sound files; all channels of one count as one clip.
        jobs: Channels worked on at once.
        is_quiet: No progress bar.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    from rtemo.cli.starting import StartLine
    from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt
    from rtemo.session import Session

    failures: list[FileFailure] = []
    source = FilesSource(paths, jobs, on_failure=failures.append)
    listening = Listening(source)
    session = Session(
        config,
        sources=[source],
        publishers=[listening],
        mode="freewheel",
        on_progress=None if is_quiet else StartLine(),
    )
    is_whole = True
    with term_as_interrupt():
        try:
            session.start()
            with _progress(is_quiet) as show:
                while not session.wait(_PERIOD_S):
                    stop_if_told()
                    show(source.progress)
                show(source.progress)
        except KeyboardInterrupt:
            is_whole = False
        finally:
            with shielded():
                session.stop("end")
    return Heard(
        answers=listening.answers,
        failed={shown(failure.path) for failure in failures if not failure.is_partial},
        problems=[
            *(str(failure.error) for failure in failures),
            *(f"{fault.where} {fault.action}: {fault.problem}" for fault in listening.faults),
            *(f"{fault.where} {fault.action}: {fault.problem}" for fault in session.publisher_faults),
        ],
        models=listening.models,
        is_whole=is_whole,
    )


def _progress(is_quiet: bool) -> AbstractContextManager[Callable[[FilesProgress], None]]:
    if is_quiet or not sys.stderr.isatty():
        return nullcontext(lambda progress: None)
    from rtemo.cli.progress import progress_bar

    return progress_bar()
