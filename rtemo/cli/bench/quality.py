"""`rtemo bench quality`: how well a chain tells the emotion of clips of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, configured

if TYPE_CHECKING:
    from rtemo.config import Config


@click.command("quality")
@click.argument("source", metavar="FOLDER|CSV", type=NamedPath())
@click.option("--split", default="", help="Only the rows of this split of the CSV file.")
@click.option("--root", type=NamedPath(), metavar="DIR", help="What paths are relative to, if not the CSV's folder.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=EMOTION", help="What a label means; NAME= leaves it out."
)
@click.option("--jobs", type=click.IntRange(1, 4096), default=32, show_default=True, help="Channels worked on at once.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all scores.")
@configured
@without_chatter
def command(
    config: "Config",
    source: Path,
    split: str,
    root: Path | None,
    labels: tuple[str, ...],
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Score what the chain says of the emotion of labelled clips, as `rtemo eval` does, beside the other measurements.

    A FOLDER holds one folder per label (angry/clip.wav), a CSV file the columns path and label. Emotion is what can be
    scored with labels alone; `rtemo eval` compares chains and draws. Enhancement needs clean recordings and signs of
    synthesis need synthetic ones: these are scored from a checkout of rtemo (python -m bench.quality.enhancement,
    bench.quality.spoof). The status is 1 when a clip failed.
    """
    from rtemo.cli.bench.told import tell
    from rtemo.cli.eval import measure, read_labels
    from rtemo.cli.evaluation.clips import read_clips
    from rtemo.cli.evaluation.report import lines_of
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say

    found = read_clips(source, read_labels(labels, split, root, None), None)
    for problem in found.problems:
        say(problem)
    title = ",".join(config.chain)
    result, is_whole = measure(str(source), found.clips, found.problems, {title: config}, jobs, quiet)
    if result is not None and as_json:
        import msgspec

        tell("quality", msgspec.structs.replace(result, answers={}))  # which clip is whose is nobody's business
    elif result is not None:
        for line in lines_of(result):
            click.echo(line)
    if not is_whole:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result is None or result.problems else 0
