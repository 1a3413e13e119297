"""Outcome: how a batch went, in whichever way it was worked on, and what is said about it."""

from pathlib import Path

import msgspec

from rtemo.api import AudioInputError, Counters, Fault
from rtemo.cli.view.numbers import counted
from rtemo.io.sources.files import FileFailure


class Outcome(msgspec.Struct, kw_only=True):
    """How a batch went.

    Attributes:
        is_whole: False when it was interrupted.
        failures: Files that could not be played, or only in part; all have been named on standard error.
        faults: What broke in the engines.
        publisher_faults: What could not be published.
        lost: What was lost on the way, all streams together.
        unwritten: Why processed audio of single files could not be written.
        sink_failure: Why no processed audio could be written any more; empty while all is well.
        output_failure: Why no results could be written any more.
    """

    is_whole: bool = False
    failures: list[FileFailure] = []
    faults: list[Fault] = []
    publisher_faults: list[Fault] = []
    lost: Counters = Counters()
    unwritten: list[str] = []
    sink_failure: str = ""
    output_failure: OSError | None = None


def conclude(outcome: Outcome, out: Path | None) -> int:
    """Say what went wrong, and give the exit status.

    Args:
        outcome: How it went.
        out: File of the results; None for standard output.

    Raises:
        OSError: Results could not be written.
        AudioInputError: Processed audio could not be written.
    """
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say

    if outcome.output_failure is not None:
        outcome.output_failure.filename = None if out is None else str(out)
        raise outcome.output_failure
    if outcome.sink_failure:
        raise AudioInputError(outcome.sink_failure, "free some space or choose another folder, and run again")
    said = {str(failure.error) for failure in outcome.failures}
    # A file that breaks off has had its remark, and is closed.
    broken = [fault for fault in outcome.faults if fault.problem not in said and fault.action != "closed"]
    for fault in dict.fromkeys((*broken, *outcome.publisher_faults)):
        say(f"! {fault.where} {fault.action}: {fault.problem}")
    for problem in outcome.unwritten:
        say(f"! {problem}")
    trouble = counted(outcome.lost)
    if trouble:
        say(f"! {trouble}; the results rest on less than the whole audio")
    if not outcome.is_whole:
        return EXIT_INTERRUPTED
    went_wrong = outcome.failures, outcome.faults, outcome.publisher_faults, outcome.unwritten, trouble
    return EXIT_FAILED if any(went_wrong) else 0
