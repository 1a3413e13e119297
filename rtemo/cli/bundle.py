"""`rtemo bundle`: whether model bundles are those of this release."""

import click


@click.group("bundle")
def command() -> None:
    """Check model bundles."""


@command.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(names: tuple[str, ...]) -> int:
    """Prove that bundles (or the bundles in the folders NAME) are those that this release of rtemo was made with.

    Without a name, all that are installed. Cards are not signed: the list of their hashes is part of rtemo, and as good
    as the copy of rtemo that you have. The exit status is 1 unless every bundle is known and whole.
    """
    from rtemo.api import ModelError
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.runtime.graph import GraphError, check_graph
    from rtemo.runtime.known import standing
    from rtemo.runtime.store import find, installed

    words = {
        "known": "as this release was made with",
        "changed": "! has a name that this release knows, but another card or other weights",
        "unknown": "! not known to this release: whoever you have it from vouches for it, or nobody",
    }
    are_known = True
    for name in names or installed():
        try:
            bundle = find(name)
            check_graph(bundle.read_weights())
            found = standing(bundle)
            are_known &= found == "known"
            click.echo(f"{bundle.card.name:<16} {bundle.card.version:<8} {bundle.card.sha256[:16]}  {words[found]}")
        except (ModelError, GraphError) as error:
            are_known = False
            text = str(error) if isinstance(error, ModelError) else f"the weights {error}"
            click.echo(f"{name:<16} {'':<8} {'':<16}  ! {text}")
    return 0 if are_known else EXIT_FAILED
