"""`rtemo doctor`: why is nothing happening?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.options import load

if TYPE_CHECKING:
    from rtemo.cli.checks.finding import Finding

_WHAT_CELLS = 24  # the longest that is installed: model emotion-rank-clap
_SIGNS = {"pass": ("✓", "green"), "note": ("!", "yellow"), "fail": ("✗", "bold red")}


@click.command("doctor")
@click.option("--config", "config_path", metavar="FILE", help="Configuration file (see rtemo config).")
@click.option("--mic/--no-mic", default=None, help="Fail without a working microphone, or leave it alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per check.")
def command(config_path: str | None, mic: bool | None, as_json: bool) -> int:
    """Look at everything rtemo needs, from the interpreter to the microphone, and say what to mend.

    A tick is fine; an exclamation mark matters for some uses only; a cross stops rtemo, and the exit status is 1.
    """
    import json

    from rtemo.cli.main import EXIT_FAILED

    failed = False
    for finding in _findings(config_path, mic):
        failed |= finding.verdict == "fail"
        if as_json:
            click.echo(json.dumps(finding._asdict(), ensure_ascii=False))
            continue
        sign, colour = _SIGNS[finding.verdict]
        click.echo(
            f"{click.style(sign, fg=colour.split()[-1], bold=True)} {finding.what:<{_WHAT_CELLS}} {finding.detail}"
        )
        if finding.mend:
            click.echo(f"{'':<{_WHAT_CELLS + 3}}{click.style('→', dim=True)} {finding.mend}")
    return EXIT_FAILED if failed else 0


def _findings(config_path: str | None, mic: bool | None) -> "Iterator[Finding]":
    from rtemo.cli.checks import machine
    from rtemo.cli.checks.finding import guarded

    yield from guarded("python", machine.interpreter)
    yield from guarded("packages", machine.packages)
    yield from guarded("webrtcvad", machine.voice_activity)
    yield from guarded("processors", machine.threads)
    yield from guarded("timer", machine.sleep)
    yield from guarded("precedence", machine.precedence)
    yield from guarded("kernel cache", machine.kernel_cache)
    yield from guarded("configuration", lambda: _configured(config_path, mic))


def _configured(config_path: str | None, mic: bool | None) -> "Iterator[Finding]":
    """The checks that need the configuration: without a valid one there is nothing to look at."""
    from rtemo.cli.checks import chain, network
    from rtemo.cli.checks.finding import guarded

    config = load(config_path)
    yield from chain.configuration(Path(config_path) if config_path else None)
    yield from guarded("chain", lambda: chain.plugins(config))
    yield from guarded("models", lambda: chain.models(config))
    yield from guarded("sound through", lambda: chain.sound_through(config))
    yield from guarded("libzmq", network.library)
    yield from guarded("endpoints", lambda: network.endpoints(config))
    if mic is not False:
        from rtemo.cli.checks.microphone import microphone

        yield from guarded("microphone", lambda: microphone(config, is_needed=bool(mic)))
