"""`rtemo bundle`: which model bundles there are, and whether they are those of this release."""

import click


@click.group("bundle")
def command() -> None:
    """List and check model bundles."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per bundle.")
def list_all(as_json: bool) -> int:
    """List the installed bundles and where their files lie.

    With what runs them and their licence; nothing is proved.
    """
    import json

    from rtemo.api import ModelError
    from rtemo.cli.bundles import find, where_found
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.runtime.store import installed

    are_readable = True
    for name in installed():
        try:
            bundle = find(name)
            places = [bundle.places.find(wanted) for wanted in bundle.wanted()]
            found = where_found(bundle)
        except ModelError as error:
            are_readable = False
            say(str(error))
            continue
        card = bundle.card
        if as_json:
            row: dict[str, object] = {
                "name": name,
                "version": card.version,
                "runtime": card.runtime,
                "licence": card.licence,
            }
            row |= {"sha256": card.sha256, "complete": all(places), "files": list(found)}
            click.echo(json.dumps(row, ensure_ascii=False))
            continue
        missing = next((text for text, place in zip(found, places, strict=True) if place is None), "")
        where = missing or ", ".join(dict.fromkeys(place.words for place in places if place))
        click.echo(f"{name:<18} {card.version:<8} {card.runtime:<12} {where}")
        click.echo(f"{'':<40} {card.licence}")
    return 0 if are_readable else EXIT_FAILED


@command.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(names: tuple[str, ...]) -> int:
    """Prove that bundles are those of this release of rtemo.

    NAME is one or the folder of one. Without a name, all that are installed; of what an extra would bring and is not
    here, the card alone. Cards are not signed: the list of their hashes is part of rtemo, and as good as the copy of
    rtemo that you have. The exit status is 1 unless every bundle is known and whole.
    """
    from rtemo.api import ModelError
    from rtemo.cli.bundles import find
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.runtime.graph import GraphError, check_graph
    from rtemo.runtime.known import standing
    from rtemo.runtime.places import MissingFileError
    from rtemo.runtime.store import installed

    words = {
        "known": "as this release was made with",
        "changed": "! has a name that this release knows, but another card or other weights",
        "unknown": "! not known to this release: whoever you have it from vouches for it, or nobody",
    }
    are_known = True
    for name in names or installed():
        try:
            bundle = find(name)
            found = standing(bundle)
            absent = ""
            try:
                files = bundle.read_files(keep=False)
                if bundle.card.runtime == "onnx":
                    check_graph(next(iter(files.values())))
            except MissingFileError as error:
                if names or not bundle.is_optional:
                    raise
                absent = f"; {error}"
            are_known &= found == "known"
            start = f"{bundle.card.name:<18} {bundle.card.version:<8} {bundle.card.sha256[:16]}"
            click.echo(f"{start}  {words[found]}{absent}")
        except (ModelError, GraphError) as error:
            are_known = False
            text = str(error) if isinstance(error, ModelError) else f"the weights {error}"
            click.echo(f"{name:<18} {'':<8} {'':<16}  ! {text}")
    return 0 if are_known else EXIT_FAILED
