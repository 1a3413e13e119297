"""Builds a corpus and reads the clock: `python -m rtemo_models.systems.corpus.build`."""

import json
import resource
import time
from pathlib import Path

import click

from rtemo_models.kit.command import task, work_option
from rtemo_models.systems.corpus.command import rtemo_corpus

CLOCK = "clock.json"


@task(
    __doc__,
    work_option,
    click.option("--turns", type=click.IntRange(1), default=200, show_default=True, help="Turns to choose."),
    click.option("--recogniser", multiple=True, help="Plugin that retrieves; all there are without it."),
)
def main(work: Path, turns: int, recogniser: tuple[str, ...]) -> None:
    """Run it over WORK/recordings into WORK/work."""
    folder = work / "work"
    is_whole = not folder.exists()
    named = [word for name in recogniser for word in ("--recogniser", name)]
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    click.echo(
        rtemo_corpus(
            *("build", work / "recordings", "--work", folder, "--sources", work / "recordings" / "sources.csv"),
            *("--turns", turns, "--least-words", 0, *named),
        )
    )
    wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (recordings, *_) = json.loads(rtemo_corpus("status", folder, "--json"))
    audio_s = recordings["kept_s"]
    found = {"audio_s": audio_s, "wall_s": wall_s, "processor_s": busy_s, "is_whole": is_whole}
    (folder / CLOCK).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    click.echo(
        f"{audio_s / 60:.1f} minutes of recordings in {wall_s:.0f} s by the clock, {busy_s:.0f} s of processors: "
        f"an hour in {3600 * wall_s / max(audio_s, 1e-9):.0f} s by the clock"
        + ("" if is_whole else "; the run was stopped before, so that is a part of it")
    )


if __name__ == "__main__":
    main()
