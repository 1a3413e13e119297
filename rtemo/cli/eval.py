"""`rtemo eval`: how well a chain tells the emotion of clips whose emotion is known."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, configuring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtemo.cli.evaluation.clips import Clip, Reading
    from rtemo.cli.evaluation.hearing import Answer
    from rtemo.cli.evaluation.result import Result, System
    from rtemo.config import Config


@click.command("eval")
@click.argument("source", metavar="FOLDER|CSV", type=NamedPath())
@click.option("--split", default="", help="Only the rows of this split of the CSV file.")
@click.option("--root", type=NamedPath(), metavar="DIR", help="What paths are relative to, if not the CSV's folder.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=EMOTION", help="What a label means; NAME= leaves it out."
)
@click.option("--scale", metavar="LOW:HIGH", help="Scale of arousal and valence in the CSV file.  [default: -1:1]")
@click.option("--raters", type=NamedPath(), metavar="CSV", help="Labels of several annotators: path,rater,label.")
@click.option("--against", multiple=True, metavar="NAME", help="Also measure another chain, bundle or setting.")
@click.option("--json", "json_path", type=NamedPath(), metavar="FILE", help="Write everything there.")
@click.option("--picture", type=NamedPath(), metavar="FILE", help="Draw it into a .png, .svg or .pdf (rtemo[plots]).")
@click.option("--jobs", type=click.IntRange(1, 4096), default=32, show_default=True, help="Channels worked on at once.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@configuring
@without_chatter
def command(
    source: Path,
    split: str,
    root: Path | None,
    labels: tuple[str, ...],
    scale: str | None,
    raters: Path | None,
    against: tuple[str, ...],
    json_path: Path | None,
    picture: Path | None,
    jobs: int,
    quiet: bool,
    config_path: str | None,
    settings: tuple[str, ...],
    chain: str | None,
) -> int:
    """Run the chain over labelled clips and score what it says of each.

    A FOLDER holds one folder per label (angry/clip.wav), or one per label and speaker (angry/anna/clip.wav). A CSV file
    has a header with the columns path and label, and perhaps speaker, corpus, split, arousal and valence; with a column
    rater it may have many rows per clip. Paths are relative to the file, or to --root.

    The emotion of a clip is the mean of the final estimates of its turns, weighted by their speech, as rtemo analyze
    tells it.

    Intervals are 95 % of a bootstrap over speakers. --against, which may be given several times, names plugins
    (NAME,NAME), settings (plugins.NAME.OPTION=VALUE;…), a bundle that takes the place of the one for the same task,
    or a file of an earlier --json; the difference is taken draw by draw.

    A clip that fails is named on standard error, the others go on, and the exit status is 1.
    """
    from rtemo.cli.evaluation.clips import read_clips
    from rtemo.cli.evaluation.report import lines_of
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.outputs import check_outputs

    check_outputs([source, *([raters] if raters else [])], {"--json": json_path, "--picture": picture})
    if picture is not None:
        from rtemo.cli.evaluation.picture import check_picture, draw

        check_picture(picture)
    found = read_clips(source, read_labels(labels, split, root, scale), raters)
    for problem in found.problems:
        say(problem)
    configs = _configs(against, config_path, settings, chain)
    result, is_whole = measure(str(source), found.clips, found.problems, configs, jobs, quiet)
    if result is None:
        return EXIT_FAILED if is_whole else EXIT_INTERRUPTED
    for line in lines_of(result):
        click.echo(line)
    if json_path is not None:
        write_result(json_path, result)
    if picture is not None:
        draw(result, picture)
    if not is_whole:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.problems else 0


def read_labels(labels: tuple[str, ...], split: str, root: Path | None, scale: str | None) -> "Reading":
    """Read what the options say of clips and their labels.

    Raises:
        click.UsageError: One of them cannot be read.
    """
    from rtemo.api import EMOTIONS, emotion_of
    from rtemo.cli.evaluation.clips import Reading

    mapping = {}
    for text in labels:
        name, equals, emotion = (part.strip() for part in text.partition("="))
        if not name or not equals or (emotion and emotion_of(emotion) is None):
            raise click.UsageError(f"--label got {text!r}, expected NAME=EMOTION with one of {', '.join(EMOTIONS)}")
        mapping[name] = emotion
    low, high = -1.0, 1.0
    if scale is not None:
        try:
            low, high = (float(part) for part in scale.split(":"))
        except ValueError:
            low = high = 0.0
        if not low < high < float("inf"):
            raise click.UsageError(f"--scale got {scale!r}, expected LOW:HIGH, as 1:7")
    return Reading(labels=mapping, split=split, root=root, low=low, high=high)


def _configs(
    against: tuple[str, ...], config_path: str | None, settings: tuple[str, ...], chain: str | None
) -> "dict[str, Config | None]":
    """Name → configuration of all that is to be measured; None for the results of an earlier run."""
    from rtemo.api import ConfigError
    from rtemo.cli.evaluation.systems import varied
    from rtemo.cli.options import load

    config = load(config_path, settings, chain)
    configs: dict[str, Config | None] = {",".join(config.chain): config}
    for text in against:
        is_saved = text.endswith(".json") and Path(text).is_file()
        other = None if is_saved else varied(config, text, config_path, settings, chain)
        if other == config or text in configs:
            raise ConfigError(
                f"--against {text!r} is what is measured already", "name another chain, bundle or setting"
            )
        configs[text] = other
    return configs


def measure(
    source: str,
    clips: "list[Clip]",
    problems: "list[str]",
    configs: "dict[str, Config | None]",
    jobs: int,
    is_quiet: bool,
) -> "tuple[Result | None, bool]":
    """Hear the clips with every system and score them.

    Args:
        source: Where they come from, for the result.
        clips: What is to be heard.
        problems: What could not be read; those of clips that fail are added, and said.
        configs: Title → configuration; None for the results of an earlier run, which the title names.
        jobs: Channels at once.
        is_quiet: No progress bar.

    Returns:
        The result, None when no clip was heard; and whether all were, which they are not when Ctrl-C came.
    """
    import rtemo
    from rtemo.cli.evaluation.hearing import hear
    from rtemo.cli.evaluation.result import Result
    from rtemo.cli.evaluation.scores import compare
    from rtemo.cli.evaluation.systems import named, read_saved
    from rtemo.cli.main import say
    from rtemo.cli.options import own_process

    saved = {title: read_saved(Path(title), clips) for title, config in configs.items() if config is None}
    answers: dict[str, dict[str, Answer]] = {}
    facts: dict[str, tuple[Config, dict[str, str]]] = {}
    for title, config in configs.items():
        if config is None:
            answers |= {f"{title}:{name}": given for name, given in saved[title].items()}
            continue
        heard = hear(
            own_process(config, capacity=max(jobs, config.engine.capacity)),
            [clip.path for clip in clips],
            jobs,
            is_quiet,
        )
        for problem in heard.problems:
            if problem not in problems:  # a clip that cannot be played says so once, not once per system
                problems.append(problem)
                say(problem)
        if not heard.is_whole:
            return None, False
        clips = [clip for clip in clips if clip.key not in heard.failed]
        systems = named(title, heard)
        answers |= systems
        facts |= dict.fromkeys(systems, (config, heard.models))
    if not clips:
        say("no clip could be played, so there is nothing to score")
        return None, True
    if not any(answers.values()):
        say(f"no plugin of the chain ({', '.join(configs)}) told an emotion; add one that does (see rtemo plugins)")
        return None, True
    first = next(iter(answers))
    return (
        Result(
            clips=source,
            rtemo=rtemo.__version__,
            systems=tuple(_system(name, clips, given, facts) for name, given in answers.items()),
            differences=tuple(
                compare(clips, first, answers[first], name, given) for name, given in answers.items() if name != first
            ),
            problems=tuple(problems),
            answers=answers,
        ),
        True,
    )


def _system(
    name: str,
    clips: "Sequence[Clip]",
    answers: "dict[str, Answer]",
    facts: "dict[str, tuple[Config, dict[str, str]]]",
) -> "System":
    from rtemo.cli.evaluation.result import System
    from rtemo.cli.evaluation.scores import score

    corpora = sorted({clip.corpus for clip in clips})
    by_corpus = {c: score([clip for clip in clips if clip.corpus == c], answers) for c in corpora if len(corpora) > 1}
    config, models = facts.get(name, (None, {}))
    return System(
        name=name,
        chain=() if config is None else config.chain,
        settings={} if config is None else config.plugins,
        models=models,
        scores=score(clips, answers),
        by_corpus=by_corpus,
    )


def write_result(path: Path, result: "Result") -> None:
    """Write everything that was found.

    Raises:
        ConfigError: The file cannot be written.
    """
    import msgspec

    from rtemo.api import ConfigError
    from rtemo.io.whole_file import write_whole

    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n", 0o666)
    except OSError as error:
        raise ConfigError(f"--json {path} cannot be written ({error.strerror})", "choose another place") from None
