"""Before and after: what a tuned bundle is worth on clips that were kept from it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

import rtemo
from rtemo.api import EMOTIONS, Tuner
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.evaluation.hearing import hear
from rtemo.cli.evaluation.result import Result, System
from rtemo.cli.evaluation.scores import compare, score
from rtemo.config import Config


def compare_bundles(
    tuner: Tuner,
    base: str,
    out: Path,
    data: Path,
    clips: Sequence[Clip],
    classes: tuple[str, ...],
    config: Config,
    jobs: int,
    problems: list[str],
) -> Result:
    """Hear clips with the bundle as it was and as it is now, and score them over the emotions and the user's classes.

    Args:
        tuner: Of the plugin.
        base: The bundle as it was.
        out: As it is now.
        data: Where the clips are from.
        clips: Those that were kept from fitting.
        classes: The user's.
        config: Of the chain.
        jobs: Channels heard at once.
        problems: What has been said already; what comes up is added.

    Raises:
        KeyboardInterrupt: The user has stopped it.
    """
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


def _with_bundle(config: Config, tuner: Tuner, bundle: str) -> Config:
    options = {**config.plugin_options(tuner.plugin), tuner.option: bundle}
    return msgspec.structs.replace(config, plugins={**config.plugins, tuner.plugin: options})


def figures_of(result: Result) -> dict[str, float]:
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
