"""`rtemo tune`: a bundle fitted to clips of the user's own, with what that is worth on clips that were kept from it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, configuring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtemo.api import Tuner
    from rtemo.cli.evaluation.clips import Clip, Labelled
    from rtemo.cli.evaluation.result import Result
    from rtemo.cli.tuning.head import Choice, Head
    from rtemo.cli.tuning.parts import Parts
    from rtemo.cli.tuning.windows import Network, Table
    from rtemo.config import Config

_FOLDS = 5


@click.command("tune")
@click.argument("name", metavar="NAME")
@click.option("--data", type=NamedPath(), required=True, metavar="FOLDER|CSV", help="Clips whose class is known.")
@click.option("--out", type=NamedPath(), metavar="DIR", help="Folder of the new bundle.  [default: NAME-tuned]")
@click.option("--held-out", "held_out", default="", metavar="SPLIT", help="Measure on this split of the CSV file.")
@click.option("--root", type=NamedPath(), metavar="DIR", help="What paths are relative to, if not the CSV's folder.")
@click.option("--label", "labels", multiple=True, metavar="NAME=CLASS", help="What a label means; NAME= leaves it out.")
@click.option("--bundle", "base", default="", metavar="NAME", help="Start with this bundle.")
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
    json_path: Path | None,
    jobs: int,
    quiet: bool,
    config_path: str | None,
    settings: tuple[str, ...],
    chain: str | None,
) -> int:
    """Fit the last layer of a bundle to labelled clips, and tell what that is worth.

    A FOLDER holds one folder per class (bored/clip.wav), or one per class and speaker (bored/anna/clip.wav). A CSV file
    has a header with the columns path and label, and perhaps speaker, corpus and split. Classes are free; those with
    the name of one of the eight emotions begin with what the bundle knows of them.

    A quarter of the clips is kept from fitting, whole speakers where speakers are known, and heard by the chain with
    the bundle as it was and as it is now. The rest is fitted to; how strongly, and how sure the result may be, is
    found by leaving a fifth of its speakers out in turn. Nothing leaves the machine, and no audio is kept.

    The bundle is a folder: rtemo listen --set plugins.PLUGIN.bundle=DIR.
    """
    from rtemo.cli.evaluation.report import lines_of
    from rtemo.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, say
    from rtemo.cli.outputs import check_outputs
    from rtemo.cli.tuning.bundle import check_place
    from rtemo.cli.tuning.head import check_scipy

    began_s = time.monotonic()
    tuner = _tuner(name)
    out = out or Path(f"{name}-tuned")
    check_place(out)
    check_scipy()
    check_outputs([data], {"--json": json_path})
    found, kept = _read(data, root, labels, held_out)
    for problem in found.problems:
        say(problem)
    config = _config(tuner, config_path, settings, chain)
    try:
        done = _tune(tuner, base or tuner.bundle, out, data, found, (held_out, kept), config, jobs, quiet)
    except KeyboardInterrupt:
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


class _Fitted(NamedTuple):
    """What was learnt."""

    classes: "tuple[str, ...]"
    head: "Head"
    choice: "Choice"
    calibration: dict[str, float]


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


def _tune(
    tuner: "Tuner",
    base: str,
    out: Path,
    data: Path,
    found: "Labelled",
    held: "tuple[str, Sequence[Clip]]",
    config: "Config",
    jobs: int,
    is_quiet: bool,
) -> "Result":
    from rtemo.api import EMOTIONS, ConfigError
    from rtemo.cli.main import say
    from rtemo.cli.options import own_process
    from rtemo.cli.tuning.bundle import tuned_card, tuned_graph, with_scores, write_bundle
    from rtemo.cli.tuning.parts import class_names, divide
    from rtemo.cli.tuning.turns import find_turns
    from rtemo.cli.tuning.windows import Network
    from rtemo.runtime.store import find

    def tell(text: str) -> None:
        if not is_quiet:
            say(text)

    network = Network(find(base))
    class_names(found.clips, EMOTIONS)  # before an hour of audio is heard
    config = own_process(config, capacity=max(jobs, config.engine.capacity))
    before = config.chain[: config.chain.index(tuner.plugin)]
    tell(f"finding the turns of {len(found.clips)} clips")
    heard = find_turns(config, before, [clip.path for clip in found.clips], jobs, is_quiet)
    problems = [*found.problems, *heard.problems]
    for problem in heard.problems:
        say(problem)
    clips = [clip for clip in found.clips if clip.key not in heard.failed]
    classes = class_names(clips, EMOTIONS)
    keys = {clip.key for clip in clips}
    parts = divide(clips, held[0], [clip for clip in held[1] if clip.key in keys])
    tell(_told(parts))
    fitted = [clip for clip in parts.fitted if heard.turns.get(clip.key)]
    table = network.table(tuner, fitted, heard.turns, _Counter("encoding clip", len(fitted), is_quiet))
    silent = len(parts.fitted) - len({fitted[clip].key for clip in table.clip.tolist()})
    if silent:
        tell(f"in {silent} of the clips to fit to the chain hears no speech; they are left out")
    lost = [name for name in classes if name not in {fitted[clip].label for clip in table.clip.tolist()}]
    if lost:
        raise ConfigError(
            f"the chain hears no speech in any clip of {', '.join(lost)} that is to be fitted to",
            "check these clips, or leave the class out with --label NAME=",
        )
    learnt = _fit(network, table, fitted, classes, parts.is_by_speaker, is_quiet)
    right = learnt.calibration["accuracy_at_1"]
    whom = "speaker" if parts.is_by_speaker else "clip"
    tell(f"{right:.0%} of {len(table.clip)} turns are told right by a fit that their {whom} was left out of")
    graph = tuned_graph(network.data, network.features, network.card, learnt.head)
    card = tuned_card(network.card, out.name, graph, classes, learnt.head, fitted, data.name)
    write_bundle(out, with_scores(card, {}, learnt.calibration), graph)
    tell(f"hearing {len(parts.held_out)} clips that were kept apart, with {base} and with {out}")
    result = _compare(tuner, base, out, data, parts.held_out, classes, config, jobs, problems)
    write_bundle(out, with_scores(card, _figures(result), learnt.calibration), graph)
    return result


def _fit(
    network: "Network",
    table: "Table",
    clips: "Sequence[Clip]",
    classes: tuple[str, ...],
    is_by_speaker: bool,
    is_quiet: bool,
) -> _Fitted:
    import numpy as np

    from rtemo.cli.tuning.head import choose, fit_head, start_of, unsure_below
    from rtemo.cli.tuning.parts import folds_of, group_of
    from rtemo.scoring.classes import calibration_error, softmax

    labels = np.array([classes.index(clip.label) for clip in clips], np.int64)
    start = start_of(network.card.labels, classes, network.card.calibration.get("temperature", 1.0))
    fold = folds_of([group_of(clip, is_by_speaker) for clip in clips], _FOLDS)
    choice = choose(table, labels, start, fold, _Counter("fitting", 0, is_quiet).of)
    head = fit_head(table, labels, start, choice.strength, np.ones(len(table.turn), np.bool_))
    truth = labels[table.clip]
    logits = choice.logits / choice.temperature
    posterior = softmax(logits)
    right = posterior.argmax(1) == truth
    order = np.argsort(-posterior.max(1))
    calibration = {
        "temperature": choice.temperature,
        "unsure_below": unsure_below(logits, truth),
        "ece_after": calibration_error(posterior.max(1), right, np.ones(len(right))),
    }
    for share in (1.0, 0.8, 0.6, 0.4):
        kept = order[: max(1, round(share * len(order)))]
        calibration[f"accuracy_at_{share:g}"] = float(right[kept].mean())
    return _Fitted(classes, head, choice, calibration)


def _compare(
    tuner: "Tuner",
    base: str,
    out: Path,
    data: Path,
    clips: "Sequence[Clip]",
    classes: tuple[str, ...],
    config: "Config",
    jobs: int,
    problems: list[str],
) -> "Result":
    """Hear the clips with both bundles, and score them over the emotions and the user's classes."""
    import rtemo
    from rtemo.api import EMOTIONS
    from rtemo.cli.evaluation.hearing import hear
    from rtemo.cli.evaluation.result import Result, System
    from rtemo.cli.evaluation.scores import compare, score

    names = (*EMOTIONS, *(name for name in classes if name not in EMOTIONS))
    systems, answers = [], {}
    for title, bundle in (("before", base), ("after", str(out))):
        with_bundle = _with_bundle(config, tuner, bundle)
        heard = hear(with_bundle, [clip.path for clip in clips], jobs, True)
        if not heard.is_whole:
            raise KeyboardInterrupt
        problems += [problem for problem in heard.problems if problem not in problems]
        given = answers[title] = heard.answers.get(tuner.plugin, {})
        systems.append(
            System(
                name=f"{title} ({bundle})",
                chain=with_bundle.chain,
                settings=with_bundle.plugins,
                models=heard.models,
                scores=score(clips, given, names),
            )
        )
    difference = compare(clips, "after", answers["after"], "before", answers["before"], names)
    return Result(
        clips=str(data),
        rtemo=rtemo.__version__,
        systems=tuple(systems),
        differences=(difference,),
        problems=tuple(problems),
        answers=answers,
    )


def _with_bundle(config: "Config", tuner: "Tuner", bundle: str) -> "Config":
    import msgspec

    options = {**config.plugin_options(tuner.plugin), tuner.option: bundle}
    return msgspec.structs.replace(config, plugins={**config.plugins, tuner.plugin: options})


def _figures(result: "Result") -> dict[str, float]:
    """What the card says of clips that were kept apart."""
    figures = {}
    for system, when in zip(result.systems, ("before", "after"), strict=True):
        scores = system.scores
        for name, figure in (("uar_closed", scores.uar_closed), ("accuracy", scores.accuracy)):
            if figure is not None:
                figures[f"{name}_{when}"] = figure.value
    figures["clips"] = float(result.systems[0].scores.clips)
    figures["speakers"] = float(result.systems[0].scores.speakers)
    return figures


def _told(parts: "Parts") -> str:
    held, fitted = parts.held_out, parts.fitted
    if not parts.is_by_speaker:
        return (
            f"speakers are not known: {len(held)} of {len(held) + len(fitted)} clips are kept apart, and a voice may "
            "be on both sides, so that what is measured flatters"
        )
    voices = [len({(clip.corpus, clip.speaker) for clip in part}) for part in (held, fitted)]
    return f"{len(held)} clips of {voices[0]} speakers are kept apart, {len(fitted)} of {voices[1]} are fitted to"


class _Counter:
    """Progress in one line on a terminal; nothing elsewhere."""

    def __init__(self, word: str, total: int, is_quiet: bool) -> None:
        import sys

        self._word, self._total = word, total
        self._shows = not is_quiet and sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        self.of(done, self._total)

    def of(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if self._shows:
            click.echo(f"\r\x1b[K{self._word} {done} of {total}" + ("\n" if done == total else ""), nl=False, err=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s" if seconds >= 60 else f"{seconds:.0f} s"
