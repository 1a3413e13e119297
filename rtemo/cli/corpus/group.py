"""`rtemo corpus`: build, status, rate, export."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, Number, configured

if TYPE_CHECKING:
    from rtemo.config import Config

WORK = click.argument("work", metavar="WORK", type=NamedPath())
TRUSTED = click.option("--trusted", multiple=True, metavar="NAME", help="Rater whose answers are gold for the others.")


@click.group("corpus")
def command() -> None:
    """Make a corpus of rated turns from recordings.

    First `build` finds turns that are fit for it in a folder of recordings and chooses among them, then people `rate`
    them in a browser, then `export` joins the ratings and writes the corpus. After MSP-Podcast.
    """


@command.command("build")
@click.argument("recordings", metavar="PATH...", nargs=-1, type=NamedPath())
@click.option(
    "--work", required=True, type=NamedPath(), metavar="DIR", help="Folder of the corpus; build goes on there."
)
@click.option("--turns", type=click.IntRange(1), default=2000, show_default=True, help="Turns to choose.")
@click.option("--sources", type=NamedPath(), metavar="CSV", help="Columns path, licence, source and perhaps roles.")
@click.option("--recogniser", multiple=True, metavar="NAME", help="Plugin that retrieves; all there are without it.")
@click.option("--language", default="", metavar="CODE", help="Drop turns in any other, as en (needs rtemo[words]).")
@click.option("--least-words", type=click.IntRange(0), default=5, show_default=True, help="Words of a turn.")
@click.option("--least-snr-db", type=Number(-20, 60), default=15.0, show_default=True, help="Noise gate.")
@click.option(
    "--split-by",
    type=click.Choice(["recording", "speaker"]),
    default="recording",
    show_default=True,
    help="Keep recordings whole, or speakers alone.",
)
@click.option("--prefix", default="CORPUS", show_default=True, help="First part of file names.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@configured
@without_chatter
def build(
    config: "Config",
    recordings: tuple[Path, ...],
    work: Path,
    turns: int,
    sources: Path | None,
    recogniser: tuple[str, ...],
    language: str,
    least_words: int,
    least_snr_db: float,
    split_by: str,
    prefix: str,
    seed: int,
    quiet: bool,
) -> int:
    """Find turns in recordings, and choose those worth rating.

    Who speaks when, turns of 2.75 to 11 s cut at pauses, no music, no noise, one voice, nothing twice, five words;
    then what the recognisers say decides which are chosen. All of it rests in DIR: stopped, even killed, the same
    command goes on where it was, and further recordings can be added at any time. The speech of the recordings lies
    in DIR unencrypted, readable by its owner alone.
    """
    import msgspec

    from rtemo.api import ConfigError
    from rtemo.cli.corpus.build import Order, run_build
    from rtemo.corpus.settings import CorpusSettings

    try:
        settings = msgspec.convert(
            {
                "prefix": prefix,
                "language": language,
                "least_words": least_words,
                "least_snr_db": least_snr_db,
                "split_by": split_by,
                "seed": seed,
            },
            CorpusSettings,
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"the settings make no sense ({error})", "see rtemo corpus build --help") from None
    return run_build(config, Order(recordings, work, turns, sources, recogniser, quiet), settings)


@command.command("status")
@WORK
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(work: Path, as_json: bool) -> int:
    """Print how far the corpus in WORK is.

    What went into each stage, what came out, and why the rest did not.
    """
    import msgspec

    from rtemo.cli.corpus.table import lines_of
    from rtemo.corpus.counts import count_stages
    from rtemo.corpus.selection import read_selection
    from rtemo.corpus.settings import read_settings
    from rtemo.corpus.stages import Books

    read_settings(work)
    rows = count_stages(Books(work), read_selection(work))
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
        return 0
    for line in lines_of(rows):
        click.echo(line)
    return 0


@command.command("rate")
@WORK
@click.option("--rater", "raters", multiple=True, metavar="NAME", help="Somebody who rates; each gets a link.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8766, show_default=True)
@click.option("--least-raters", type=click.IntRange(1, 100), default=5, show_default=True, help="Raters of a turn.")
@TRUSTED
def rate(work: Path, raters: tuple[str, ...], port: int, least_raters: int, trusted: tuple[str, ...]) -> int:
    """Serve the page on which chosen turns are rated.

    It serves those of WORK, on this machine alone, and prints a link for every rater. Emotion, further emotions,
    valence, arousal and dominance of a turn are answered by single keys. Answers are kept one by one: close the browser
    or stop the server at any time, and go on later. Turns that a --trusted rater has rated come to the others as gold;
    who gets too many of them wrong is stopped, and the ratings do not count.
    """
    from rtemo.cli.main import say
    from rtemo.corpus.files import only_one
    from rtemo.corpus.page.server import serve_page

    def tell(links: dict[str, str]) -> None:
        for name, link in links.items():
            click.echo(f"{name:<20} {link}")
        say("Ctrl-C ends it; every answer that was given is kept")

    with only_one(work, "ratings"):
        serve_page(work, raters, port, least_raters, trusted, tell)
    return 0


@command.command("export")
@WORK
@click.option("--out", required=True, type=NamedPath(), metavar="DIR", help="Folder of the finished corpus.")
@click.option("--least-raters", type=click.IntRange(1), default=5, show_default=True, help="Raters of a turn.")
@click.option("--with-unrated", is_flag=True, help="Also turns with fewer raters, without labels.")
@TRUSTED
def export(work: Path, out: Path, least_raters: int, with_unrated: bool, trusted: tuple[str, ...]) -> int:
    """Join the ratings of WORK and write the corpus.

    In the form of MSP-Podcast: Audios, Labels (consensus by plurality and mean, every rating, shares as soft labels),
    Transcripts, sources.csv with the licence of every turn, corpus.json with agreement and counts.
    """
    from rtemo.cli.main import say
    from rtemo.corpus.export import export_corpus
    from rtemo.corpus.ratings import ratings_of
    from rtemo.corpus.selection import read_selection
    from rtemo.corpus.settings import read_settings
    from rtemo.corpus.stages import Books

    settings = read_settings(work)
    found = export_corpus(
        Books(work),
        settings,
        read_selection(work),
        ratings_of(work),
        out,
        trusted=trusted,
        least_raters=least_raters,
        with_unrated=with_unrated,
    )
    splits = ", ".join(f"{split} {count}" for split, count in sorted(found.splits.items()))
    click.echo(f"{out}: {found.turns} turns of {found.speakers} speakers ({splits})")
    whole = found.agreement["all"]
    if whole.turns:
        alphas = ", ".join(f"alpha {name} {_number(value)}" for name, value in whole.alpha.items())
        click.echo(f"{whole.ratings} ratings: kappa {_number(whole.kappa)}, {alphas}")
    for reason, count in found.left_out.items():
        say(f"{count} chosen turns are left out: {reason}")
    if found.screened_out:
        say(f"ratings of {', '.join(found.screened_out)} do not count: too many gold turns were wrong")
    if found.unlicensed:
        say(f"of {len(found.unlicensed)} recordings no licence is known; name it with build --sources before you share")
    return 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
