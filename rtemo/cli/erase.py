"""`rtemo erase`: everything about a call, out of a store of events."""

from pathlib import Path

import click


@click.command("erase")
@click.argument("calls", metavar="CALL...", nargs=-1, required=True)
@click.option(
    "--store",
    "store",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("events.db"),
    show_default=True,
    help="The file that the publisher 'store' writes.",
)
def command(calls: tuple[str, ...], store: Path) -> int:
    """Erase all events of calls from a store, and those of the engine that name them; a server may go on writing.

    What is erased is overwritten in the file. Copies elsewhere (subscribers, files of --jsonl, backups) stay.
    """
    from rtemo.api.text import plain
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.io.publishers.store import erase

    if not all(calls):
        raise click.UsageError("a CALL is empty; name the call, as rtemo report events.db shows it")
    is_found = True
    for call in calls:
        count = erase(store, call)
        is_found = is_found and count > 0
        print(f"{plain(call)}: {count} events erased" if count else f"{plain(call)}: nothing is known of it")
    return 0 if is_found else EXIT_FAILED
