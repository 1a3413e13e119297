"""Building: all stages from recordings to chosen turns, in a folder that keeps what is done."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rtemo.api import AudioInputError, ConfigError
from rtemo.api.text import shown
from rtemo.cli.corpus.bars import stage_bars
from rtemo.cli.corpus.recognise import ask_all, recognisers
from rtemo.cli.corpus.table import lines_of
from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
from rtemo.corpus.counts import count_stages
from rtemo.corpus.files import only_one
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import UNREADABLE, read_origins, take_in
from rtemo.corpus.selection import select
from rtemo.corpus.settings import CorpusSettings, keep_settings
from rtemo.corpus.splits import SPLITS
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files

if TYPE_CHECKING:
    from rtemo.config import Config


class Order(NamedTuple):
    """What is to be built."""

    recordings: tuple[Path, ...]
    work: Path
    turns: int
    sources: Path | None
    recognisers: tuple[str, ...]
    is_quiet: bool


def run_build(config: "Config", order: Order, settings: CorpusSettings) -> int:
    """Build as far as it goes; the exit status of the command."""
    _need_scipy()
    origins = {} if order.sources is None else read_origins(order.sources)
    chains = recognisers(config, order.recognisers)
    with only_one(order.work, "building"):
        settings = keep_settings(order.work, settings)
        books = Books(order.work)
        found = find_sound_files(order.recordings, order.work)
        if not found and not len(books.recordings):
            named = ", ".join(map(shown, order.recordings)) or "nothing"
            raise AudioInputError(f"no sound file found in {named}", "name recordings or folders of them")

        def may_analyse(role: str) -> str:
            ruling = config.policy.rule(role, is_local=True)
            return "" if ruling.analysis == "person" else ruling.reason

        try:
            with stage_bars(order.is_quiet) as show:
                take_in(order.work, found, books.recordings, origins, may_analyse=may_analyse, on_progress=show)
                Pipeline(books, settings, CorpusModels(config.runtime), show, say).run()
                ask_all(books, chains, show, say)
            selection = select(books, settings, order.turns)
        except KeyboardInterrupt:
            say(f"stopped; the same command goes on where it was ({order.work})")
            return EXIT_INTERRUPTED
    for entry in books.recordings:
        if entry.remark:
            say(f"{entry.below}: {entry.dropped or 'is used, but'} ({entry.remark})")
    empty = [split for split in SPLITS if split not in selection.splits.values()]
    if empty and selection.splits:
        say(f"nobody is left for {', '.join(empty)}; add recordings of others, or begin anew with --split-by speaker")
    for line in lines_of(count_stages(books, selection)):
        click.echo(line)
    return EXIT_FAILED if any(entry.dropped == UNREADABLE for entry in books.recordings) else 0


def _need_scipy() -> None:
    try:
        import scipy.cluster  # noqa: F401
    except ImportError:
        raise ConfigError("rtemo corpus needs scipy", "run: pip install 'rtemo[corpus]'") from None
