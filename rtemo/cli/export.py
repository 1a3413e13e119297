"""`rtemo export`: events of a store, or of a file of lines, as a table."""

from pathlib import Path

import click

from rtemo.cli.options import NamedPath


@click.command("export")
@click.argument("source", metavar="FILE", type=NamedPath())
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The table, .csv or .parquet.  [FILE with .csv]",
)
@click.option("--call", "calls", metavar="NAME", multiple=True, help="Only this call; may be repeated.")
@click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only this kind of event; may be repeated.")
def command(source: Path, out: Path | None, calls: tuple[str, ...], kinds: tuple[str, ...]) -> int:
    """Write events as a table, one row for each, with their place in the call, their times and what they say.

    FILE is what the publisher 'store' wrote (.db), or --jsonl (.jsonl). What events say stands in the column 'data' as
    JSON; with one --kind alone, as --kind emotion, each of its fields has a column. Only the owner can read the table.
    Parquet needs rtemo[parquet].
    """
    import os

    from rtemo.api.text import shown
    from rtemo.cli.outputs import check_outputs
    from rtemo.io.recorded import EVENT_FILES, recorded
    from rtemo.io.table import Table, check_parquet, write_csv, write_parquet

    if source.suffix.lower() not in EVENT_FILES:
        raise click.UsageError(f"{shown(source)} is no file of events; give one that ends in {', '.join(EVENT_FILES)}")
    target = out or Path(source.stem + ".csv")
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"--out {shown(target)} is neither .csv nor .parquet; name it so")
    if suffix == ".parquet":
        check_parquet()
    check_outputs([source], {"--out": target})
    table = Table(lambda: recorded(source, calls, kinds), len(set(kinds)) == 1)
    if not target.exists():
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    count = (write_parquet if suffix == ".parquet" else write_csv)(target, table)
    print(f"{shown(target)}: {count} events")
    return 0
