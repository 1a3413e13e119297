"""`rtemo card`: what must be known to trust a model."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rtemo.runtime.store import Bundle


@click.command("card")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="The card as it is stored.")
@click.option("--check", is_flag=True, help="Also prove that the weights are those of the card.")
def command(name: str | None, as_json: bool, check: bool) -> None:
    """Print the card of the model bundle NAME (or of the bundle in the folder NAME): data, licence, scores, limits.

    Without a name, list the installed bundles.
    """
    import msgspec

    from rtemo.cli.bundles import find
    from rtemo.runtime.store import installed

    if name is None:
        click.echo("\n".join(installed()))
        return
    bundle = find(name)
    if check:
        bundle.read_files(keep=False)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(bundle.card), indent=2))
        return
    for line in _lines(bundle):
        click.echo(line)
    if check:
        click.echo("\nThe weights are those of this card.")


def _lines(bundle: "Bundle") -> list[str]:
    from rtemo.api.units import samples_to_ms
    from rtemo.cli.bundles import described, where_found

    card = bundle.card
    sources = [
        f"{wanted.base}: {described(source, card.licence)}" for wanted in bundle.wanted() for source in wanted.sources
    ]
    facts = [
        ("task", card.task),
        ("licence", card.licence),
        (
            "size",
            f"{card.parameters:,} parameters, {card.macs_per_s / 1e6:.1f} million multiply-accumulates per second",
        ),
        ("audio", f"{card.sample_rate_hz} Hz, hop {card.hop_samples}, a step every {card.hops_per_step} hops"),
        ("delay", f"{samples_to_ms(card.lookahead_samples, card.sample_rate_hz):.0f} ms look-ahead"),
        ("labels", ", ".join(card.labels)),
        ("trained on", "\n".join(card.training_data)),
        ("limits", "\n".join(card.limits)),
        ("recipe", card.recipe),
        ("run by", card.runtime),
        ("weights", card.weights),
        ("other files", ", ".join(card.files)),
        ("may be in", "\n".join(sources)),
        ("found", "\n".join(where_found(bundle))),
        ("sha256", card.sha256),
    ]
    lines = [f"{card.name} {card.version}", ""]
    for title, text in facts:
        for index, part in enumerate(text.split("\n") if text else ()):
            lines.append(f"{title if index == 0 else '':<12}{part}")
    if card.scores:
        lines += ["", "scores"]
        for corpus, scores in card.scores.items():
            lines.append(f"  {corpus:<24}" + "  ".join(f"{measure} {value:.3f}" for measure, value in scores.items()))
    return lines
