"""The microphone, step by step along the way of its audio."""

from collections.abc import Iterator

from rtemo.cli.checks.finding import Finding, Verdict
from rtemo.config import Config


def microphone(config: Config, is_needed: bool) -> Iterator[Finding]:
    """Library, devices, opening, first audio, rate, loss and signal.

    Args:
        config: Which device.
        is_needed: Whether a missing microphone is a failure; files and calls need none.
    """
    from rtemo.io.sources.options import MicrophoneOptions
    from rtemo.io.sources.probe import probe_microphone

    for found in probe_microphone(config.edge("sources", "microphone", MicrophoneOptions)):
        verdict: Verdict = "pass" if found.ok else "fail" if is_needed else "note"
        yield Finding(found.what, verdict, found.detail, found.mend)
