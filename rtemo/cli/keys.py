"""`rtemo keys`: key pairs for encrypted endpoints."""

from pathlib import Path

import click


@click.command("keys")
@click.argument("name")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("."), help="Where to write.  [here]"
)
def command(name: str, folder: Path) -> None:
    """Make a CURVE key pair for a publisher, an ingest or a client called NAME.

    NAME.key is public: hand it to the other side. NAME.key_secret stays here, readable by its owner only. An
    endpoint names its own secret file in `curve.key_file` and those who may connect in `curve.allowed_clients`.
    """
    from rtemo.io.curve import generate_keys

    public, secret = generate_keys(folder, name)
    click.echo(f"{public}  public, to hand out")
    click.echo(f"{secret}  secret, to keep")
