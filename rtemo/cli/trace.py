"""`rtemo trace`: when everything of a run was at work."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, Number, configured, own_process
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.config import Config
    from rtemo.engine.trace import Trace
    from rtemo.session import Session

_PERIOD_S = 0.1
_SHOWN = 5


@click.command("trace")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=NamedPath())
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("trace.json"), show_default=True,
    help="Trace file.",
)  # fmt: skip
@click.option("--seconds", type=Number(min=0.1), help="Stop after this time.")
@click.option("--jobs", type=click.IntRange(1, 4096), default=64, show_default=True, help="Channels at once.")
@click.option("--freewheel", is_flag=True, help="As fast as the machine allows, not at the pace of real time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the summary.")
@click.option("--events", type=click.Path(dir_okay=False, path_type=Path), help="Write every event there, as a load.")
@configured
@without_chatter
def command(
    config: "Config",
    paths: tuple[Path, ...],
    out: Path,
    seconds: float | None,
    jobs: int,
    freewheel: bool,
    as_json: bool,
    events: Path | None,
) -> int:
    """Play files and folders side by side and record when every part was at work, to find the cause of late ticks.

    Parts are ticks, plugins, lanes, publishers, sources and the garbage collector. The file is a Chrome trace
    (chrome://tracing, Perfetto); each tick tells how often the driver met a page fault and how often the system took
    the processor away. The slowest ticks are named at the end, with what was at work meanwhile.
    """
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.cli.starting import StartLine
    from rtemo.engine.trace import Trace, TracedPublisher, TracedSource
    from rtemo.io.publishers.jsonl import JsonlPublisher
    from rtemo.io.sources.files import FilesSource
    from rtemo.session import Session

    check_outputs(paths, {"--out": out, "--events": events})
    _check_writable(out)
    trace = Trace()
    config = own_process(config, capacity=max(jobs, config.engine.capacity))
    source = FilesSource(paths, jobs, on_failure=lambda failure: say(str(failure.error)), on_remark=say)
    source.look()
    publishers = [] if events is None else [TracedPublisher(JsonlPublisher(events), trace)]
    session = Session(
        config,
        sources=[TracedSource(source, trace)],
        publishers=publishers,
        mode="freewheel" if freewheel else "live",
        on_progress=StartLine(),
    )
    _run(session, trace, seconds)
    out.write_bytes(trace.chrome())
    _summarise(trace, session, out, as_json)
    return EXIT_FAILED if source.failures or session.publisher_faults else 0


def _run(session: "Session", trace: "Trace", seconds: float | None) -> None:
    with term_as_interrupt():
        try:
            session.start()
            trace.attach(session.engine)
            until_s = None if seconds is None else time.monotonic() + seconds
            while not session.wait(_PERIOD_S) and (until_s is None or time.monotonic() < until_s):
                stop_if_told()
        except KeyboardInterrupt:
            pass  # what has come until now is what is wanted
        finally:
            with shielded():
                session.stop("end")
    trace.detach()


def _summarise(trace: "Trace", session: "Session", out: Path, as_json: bool) -> None:
    from rtemo.cli.view.numbers import micros

    hop_ns = session.engine.format.hop_ns
    ticks = [span for span in trace.spans if span.kind == "tick"]
    late = sum(tick.duration_ns > hop_ns for tick in ticks)
    slowest = trace.slowest(_SHOWN)
    if as_json:
        from rtemo.cli.bench.told import tell

        shown = [
            {"us": tick.duration_ns / 1e3, "during": [(span.name, span.duration_ns / 1e3) for span in during[:3]],
             **tick.facts}
            for tick, during in slowest
        ]  # fmt: skip
        tell("trace", {"ticks": len(ticks), "late": late, "spans": len(trace.spans), "out": str(out), "slowest": shown})
        return
    print(f"{len(ticks)} ticks, {late} longer than a hop; {len(trace.spans)} spans in {out}")
    for tick, during in slowest:
        facts = [f"{value} {name.replace('_', ' ')}" for name, value in tick.facts.items() if value]
        work = [f"{span.name} {micros(span.duration_ns / 1e3)}" for span in during[:3]]
        print(f"  {micros(tick.duration_ns / 1e3)}: {', '.join((*work, *facts)) or 'nothing that is traced'}")


def _check_writable(path: Path) -> None:
    from rtemo.api import ConfigError

    try:
        path.open("ab").close()
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror})", "choose another place") from None
