"""Joins the ratings and writes the corpus: `python -m rtemo_models.systems.corpus.export`."""

from pathlib import Path

import click

from rtemo_models.kit.command import task, work_option
from rtemo_models.systems.corpus.command import rtemo_corpus


@task(__doc__, work_option, click.option("--trusted", default="trusted", show_default=True, help="Who sets gold."))
def main(work: Path, trusted: str) -> None:
    """Write WORK/work as it was rated to WORK/out."""
    click.echo(rtemo_corpus("export", work / "work", "--out", work / "out", "--trusted", trusted))


if __name__ == "__main__":
    main()
