"""A batch in this process: one engine for all files."""

from contextlib import nullcontext

from rtemo.api import AudioSink, Publisher
from rtemo.cli.analysis.outcome import Outcome
from rtemo.cli.analysis.request import Request
from rtemo.cli.enhanced import EnhancedFiles
from rtemo.cli.reports import Reports
from rtemo.cli.starting import StartLine
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.sources.files import FilesSource
from rtemo.session import Session

_PERIOD_S = 0.1


def run_alone(request: Request, source: FilesSource) -> Outcome:
    """Work on the files of `source`.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    outcome = Outcome(failures=source.failures)
    targets = request.targets
    sink = None if targets is None else EnhancedFiles(targets.targets, source.tracks)
    reports = Reports(source.tracks, lambda call, lines: request.write(lines), targets and targets.targets)
    publishers: list[Publisher] = [reports]
    if request.events is not None:
        publishers.append(JsonlPublisher(request.events, purpose=request.config.policy.purpose))
    sinks: list[AudioSink] = [] if sink is None else [sink]
    session = Session(
        request.config,
        sources=[source],
        publishers=publishers,
        mode="freewheel",
        sinks=sinks,
        on_progress=None if request.is_quiet else StartLine(),
    )
    outcome.is_whole = _run(session, source, reports, request.has_bar)
    outcome.faults = reports.faults
    outcome.publisher_faults = list(session.publisher_faults)
    outcome.lost = reports.lost
    outcome.output_failure = reports.failure
    if sink is not None and targets is not None:
        outcome.sink_failure = sink.failure
        outcome.unwritten = [*targets.failures.values(), *sink.failures.values()]
    return outcome


def _run(session: Session, source: FilesSource, reports: Reports, has_bar: bool) -> bool:
    """Run to the end, or until results can no longer be written; False when interrupted."""
    with term_as_interrupt():
        reason = "interrupted"
        try:
            session.start()
            _wait(session, source, reports, has_bar)
            reason = "end"
        except KeyboardInterrupt:
            return False
        finally:
            with shielded():
                session.stop(reason)
    return True


def _wait(session: Session, source: FilesSource, reports: Reports, has_bar: bool) -> None:
    from rtemo.cli.progress import progress_bar

    with progress_bar() if has_bar else nullcontext(lambda progress: None) as show:
        while reports.failure is None and not session.wait(_PERIOD_S):
            stop_if_told()
            show(source.progress)
        show(source.progress)
