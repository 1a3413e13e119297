"""`rtemo tune`: a bundle fitted to clips of the user's own, with what that is worth on clips that were kept from it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, configuring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtemo.api import Tuner
    from rtemo.cli.evaluation.clips import Clip, Labelled
    from rtemo.cli.tuning.recipe import Recipe
    from rtemo.config import Config


@click.command("tune")
@click.argument("name", metavar="NAME")
@click.option("--data", type=NamedPath(), required=True, metavar="FOLDER|CSV", help="Clips whose class is known.")
@click.option("--out", type=NamedPath(), metavar="DIR", help="Folder of the new bundle.  [default: NAME-tuned]")
@click.option("--held-out", "held_out", default="", metavar="SPLIT", help="Measure on this split of the CSV file.")
@click.option("--root", type=NamedPath(), metavar="DIR", help="What paths are relative to, if not the CSV's folder.")
@click.option("--label", "labels", multiple=True, metavar="NAME=CLASS", help="What a label means; NAME= leaves it out.")
@click.option("--bundle", "base", default="", metavar="NAME", help="Start with this bundle.")
@click.option("--lora", is_flag=True, help="Fit the encoder's upper layers too (slower; takes torch).")
@click.option("--layers", type=click.IntRange(1, 64), help="How many of them, with --lora.  [default: 2]")
@click.option("--rank", type=click.IntRange(1, 512), help="Rank of what is added to them, with --lora.  [default: 8]")
@click.option("--json", "json_path", type=NamedPath(), metavar="FILE", help="Write the comparison there.")
@click.option("--jobs", type=click.IntRange(1, 4096), default=32, show_default=True, help="Channels worked on at once.")
@click.option("--quiet", is_flag=True, help="No progress.")
@configuring
@without_chatter
def command(
    name: str,
    data: Path,
    out: Path | None,
    held_out: str,
    root: Path | None,
    labels: tuple[str, ...],
    base: str,
    lora: bool,
    layers: int | None,
    rank: int | None,
    json_path: Path | None,
    jobs: int,
    quiet: bool,
    config_path: str | None,
    settings: tuple[str, ...],
    chain: str | None,
) -> int:
    """Fit the last layer of a bundle, or more of it, to labelled clips, and tell what that is worth.

    A FOLDER holds one folder per class (bored/clip.wav), or one per class and speaker (bored/anna/clip.wav). A CSV file
    has a header with the columns path and label, and perhaps speaker, corpus and split. Classes are free; those with
    the name of one of the eight emotions begin with what the bundle knows of them.

    A quarter of the clips is kept from fitting, whole speakers where speakers are known, and heard by the chain with
    the bundle as it was and as it is now. The rest is fitted to; how strongly, and how sure the result may be, is
    found by leaving a fifth of its speakers out in turn. Nothing leaves the machine, and no audio is kept.

    With --lora low-rank additions to the encoder's upper layers are fitted together with the last one, on a GPU where
    torch sees one, for as long as speakers that are kept from that gain by it. A run that was stopped goes on when it
    is started again.

    The bundle is a folder: rtemo listen --set plugins.PLUGIN.bundle=DIR.
    """
    from rtemo.cli.evaluation.report import lines_of
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.cli.tuning.bundle import check_place
    from rtemo.cli.tuning.head import check_scipy
    from rtemo.cli.tuning.job import Job

    began_s = time.monotonic()
    tuner = _tuner(name)
    out = out or Path(f"{name}-tuned")
    recipe = _recipe(lora, layers, rank)
    check_place(out)
    check_scipy()
    check_outputs([data], {"--json": json_path})
    found, kept = _read(data, root, labels, held_out)
    for problem in found.problems:
        say(problem)
    config = _config(tuner, config_path, settings, chain)
    try:
        done = Job(tuner, base or tuner.bundle, out, data, config, jobs, recipe, quiet).run(found, held_out, kept)
    except KeyboardInterrupt:
        if recipe is not None:
            say("stopped; the same command goes on from here")
        return EXIT_INTERRUPTED
    click.echo("")
    for line in lines_of(done):
        click.echo(line)
    if json_path is not None:
        from rtemo.cli.eval import write_result

        write_result(json_path, done)
    click.echo(f"{out}: the new bundle, after {_clock(time.monotonic() - began_s)}; to hear with it:")
    setting = f"plugins.{tuner.plugin}.{tuner.option}={out}"
    click.echo(f"  rtemo listen CALL --chain {','.join(done.systems[-1].chain)} --set {setting}")
    return EXIT_FAILED if done.problems else 0


def _recipe(lora: bool, layers: int | None, rank: int | None) -> "Recipe | None":
    """What of the layers below the last is tuned; None where they stay."""
    from rtemo.cli.tuning.recipe import Recipe, check_torch

    if not lora:
        if layers is not None or rank is not None:
            raise click.UsageError("--layers and --rank say what --lora tunes; give that, too")
        return None
    check_torch()
    given = {"layers": layers, "rank": rank}
    return Recipe(**{name: value for name, value in given.items() if value is not None})


def _tuner(name: str) -> "Tuner":
    from rtemo.extensions import TUNERS, load

    made: Tuner = load(TUNERS, name)()
    return made


def _read(data: Path, root: Path | None, labels: tuple[str, ...], held_out: str) -> "tuple[Labelled, Sequence[Clip]]":
    """Read all clips, and those of the split that is to be measured on."""
    import msgspec

    from rtemo.cli.evaluation.clips import Reading, read_clips

    mapping = {}
    for text in labels:
        label, equals, meant = (part.strip() for part in text.partition("="))
        if not label or not equals:
            raise click.UsageError(f"--label got {text!r}, expected NAME=CLASS, or NAME= to leave it out")
        mapping[label] = meant
    reading = Reading(labels=mapping, root=root, is_free=True)
    found = read_clips(data, reading)
    if not held_out:
        return found, ()
    return found, read_clips(data, msgspec.structs.replace(reading, split=held_out)).clips


def _config(tuner: "Tuner", config_path: str | None, settings: tuple[str, ...], chain: str | None) -> "Config":
    import msgspec

    from rtemo.api import ConfigError
    from rtemo.cli.options import load
    from rtemo.cli.tuning.turns import chain_before

    config = load(config_path, settings, chain)
    if chain is None:
        return msgspec.structs.replace(config, chain=(*chain_before(config, tuner.plugin), tuner.plugin))
    if tuner.plugin not in config.chain:
        raise ConfigError(
            f"--chain {chain} lacks {tuner.plugin!r}, the plugin that runs what is tuned", "add it, or leave it out"
        )
    return config


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s" if seconds >= 60 else f"{seconds:.0f} s"
