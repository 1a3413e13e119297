"""`rtemo fetch`: the one command that takes weights from the network."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rtemo.runtime.places import WantedFile
    from rtemo.runtime.store import Bundle


@click.command("fetch")
@click.argument("name")
def command(name: str) -> None:
    """Fetch the weights of the model bundle NAME (or of the bundle in the folder NAME) into your cache.

    What is on this machine already is left alone. Every file is compared with the hash on the card, and what was
    broken off goes on where it stopped. Nothing but this command fetches anything.
    """
    from rtemo.cli.bundles import find, megabytes
    from rtemo.runtime.fetch import here_already

    bundle = find(name)
    click.echo(f"{bundle.card.name} {bundle.card.version}, {bundle.card.task}")
    click.echo(f"licence  {bundle.card.licence}")
    click.echo(f"into     {bundle.cache.folder or 'no folder: this user has no home'}")
    here = here_already(bundle)
    missing = [wanted for wanted in bundle.wanted() if wanted.name not in here]
    for wanted in bundle.wanted():
        if wanted.name in here:
            click.echo(f"  {wanted.base:<20} {'':>10}  is here: {here[wanted.name].words}")
        else:
            click.echo(f"  {wanted.base:<20} {megabytes(wanted.size_bytes):>10}  {_origin(wanted)}")
    for wanted in missing:
        _fetch(bundle, wanted)
    click.echo(f"all {len(bundle.wanted())} files are here, and are those of the card")


def _origin(wanted: "WantedFile") -> str:
    from rtemo.api import FromUrl

    for source in wanted.sources:
        if isinstance(source, FromUrl):
            return source.url + (f" ({source.licence})" if source.licence else "")
    return "no address is on the card"


def _fetch(bundle: "Bundle", wanted: "WantedFile") -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from rtemo.runtime.fetch import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(wanted.base, total=None)
        fetch(bundle, wanted, lambda done, whole: bar.update(task, completed=done, total=whole or None))
