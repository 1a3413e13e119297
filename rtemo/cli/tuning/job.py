"""Job: from clips to a bundle, and what it is worth."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rtemo.api import EMOTIONS, Tuner
from rtemo.cli.evaluation.clips import Clip, Labelled
from rtemo.cli.evaluation.result import Result
from rtemo.cli.main import say
from rtemo.cli.options import own_process
from rtemo.cli.tuning.before_after import compare_bundles, figures_of
from rtemo.cli.tuning.bundle import licences_of, tuned_card, tuned_graph, with_scores, write_bundle
from rtemo.cli.tuning.counter import Counter
from rtemo.cli.tuning.fit import Examples, Fitted, choose_head, examples_of, fitted_head, fitted_layers
from rtemo.cli.tuning.head import Choice
from rtemo.cli.tuning.parts import Parts, class_names, divide, kept_to_stop
from rtemo.cli.tuning.recipe import Recipe
from rtemo.cli.tuning.turns import Found, find_turns
from rtemo.cli.tuning.windows import Network, Table
from rtemo.config import Config
from rtemo.runtime.store import find

if TYPE_CHECKING:
    from rtemo.cli.tuning.kept import Windows, Workplace
    from rtemo.cli.tuning.layers import Layers


class Job(NamedTuple):
    """What is to be done."""

    tuner: Tuner
    base: str
    """The bundle that it begins with."""
    out: Path
    """Folder of the new one."""
    data: Path
    """Where the clips are from."""
    config: Config
    jobs: int
    """Channels heard at once."""
    recipe: Recipe | None
    """Of the layers below the last; None where they stay."""
    is_quiet: bool

    def run(self, found: Labelled, split: str, of_split: Sequence[Clip]) -> Result:
        """Fit to clips, write the bundle, and measure it on those that were kept apart.

        Args:
            found: All clips.
            split: Name of the split that is kept apart, where the user says which.
            of_split: Clips of it.

        Raises:
            RtemoError: Something about clips, chain or bundle is wrong.
            KeyboardInterrupt: The user has stopped it.
        """
        out, tuner = self.out, self.tuner
        bundle = find(self.base)
        network = Network(bundle)
        layers = self._layers(network)
        self._check(found.clips, split, of_split)  # before an hour of audio is heard
        config = own_process(self.config, capacity=max(self.jobs, self.config.engine.capacity))
        self._tell(f"finding the turns of {len(found.clips)} clips")
        before = config.chain[: config.chain.index(tuner.plugin)]
        heard = find_turns(config, before, [clip.path for clip in found.clips], self.jobs, self.is_quiet)
        problems = [*found.problems, *heard.problems]
        for problem in heard.problems:
            say(problem)
        clips = [clip for clip in found.clips if clip.key not in heard.failed]
        classes = class_names(clips, EMOTIONS)
        keys = {clip.key for clip in clips}
        parts = divide(clips, split, [clip for clip in of_split if clip.key in keys])
        self._tell(_told(parts))
        fitted = [clip for clip in parts.fitted if heard.turns.get(clip.key)]
        learnt = self._fit(network, layers, parts, fitted, classes, heard)
        right = learnt.calibration["accuracy_at_1"]
        whom = "speaker" if parts.is_by_speaker else "clip"
        self._tell(f"{right:.0%} of {learnt.turns} turns are told right by a fit that their {whom} was left out of")
        graph = tuned_graph(network.data, network.features, network.card, learnt.head, learnt.weights)
        card = tuned_card(network.card, out.name, graph, classes, learnt, fitted, self.data.name)
        files = licences_of(bundle, self.base)
        write_bundle(out, with_scores(card, {}, learnt.calibration), graph, files)
        self._tell(f"hearing {len(parts.held_out)} clips that were kept apart, with {self.base} and with {out}")
        result = compare_bundles(tuner, self.base, out, self.data, parts.held_out, classes, config, self.jobs, problems)
        write_bundle(out, with_scores(card, figures_of(result), learnt.calibration), graph, files)
        return result

    def _layers(self, network: Network) -> "Layers | None":
        """Find what is tuned below the last layer, and have the network keep what lies below that."""
        if self.recipe is None:
            return None
        from rtemo.cli.tuning.layers import find_layers

        wanted = (network.features, "logits", *network.others)
        layers = find_layers(network.data, wanted, self.tuner.mask, self.recipe.layers, network.card.name)
        network.keep(layers.frozen, self.tuner.mask)
        return layers

    def _check(self, clips: Sequence[Clip], split: str, of_split: Sequence[Clip]) -> None:
        classes = class_names(clips, EMOTIONS)
        if self.recipe is not None:
            parts = divide(clips, split, of_split)
            kept_to_stop(parts.fitted, classes, parts.is_by_speaker)

    def _fit(
        self,
        network: Network,
        layers: "Layers | None",
        parts: Parts,
        fitted: list[Clip],
        classes: tuple[str, ...],
        heard: Found,
    ) -> Fitted:
        counter = Counter("encoding clip", len(fitted), self.is_quiet)
        if layers is None:
            table = network.hear(self.tuner, fitted, heard.turns, counter).table
            examples = self._examples(network, table, parts, fitted, classes)
            return fitted_head(examples, self._choose(examples))
        from rtemo.cli.tuning.kept import Workplace, key_of, open_windows

        place = Workplace(self.out, key_of(network, layers.frozen, fitted, heard.turns))
        windows = open_windows(place, network, self.tuner, fitted, heard.turns, counter)
        examples = self._examples(network, windows.table, parts, fitted, classes)
        learnt = self._fit_layers(network, layers, windows, examples, place)
        place.remove()
        return learnt

    def _examples(
        self, network: Network, table: Table, parts: Parts, fitted: list[Clip], classes: tuple[str, ...]
    ) -> Examples:
        spoken = {fitted[clip].key for clip in table.clip.tolist()}
        silent = [clip.key for clip in parts.fitted if clip.key not in spoken]
        if silent:
            named = silent[0] if len(silent) == 1 else f"{silent[0]} and others"
            self._tell(
                f"in {len(silent)} of the clips to fit to ({named}) the chain hears no speech; they are left out"
            )
        return examples_of(network, table, fitted, classes, parts.is_by_speaker)

    def _choose(self, examples: Examples) -> Choice:
        return choose_head(examples, Counter("fitting", 0, self.is_quiet).of)

    def _fit_layers(
        self, network: Network, layers: "Layers", windows: "Windows", examples: Examples, place: "Workplace"
    ) -> Fitted:
        from rtemo.cli.tuning.lora import Problem, tune_layers

        assert self.recipe is not None
        choice = self._choose(examples)
        held = kept_to_stop(examples.clips, examples.classes, examples.is_by_speaker)
        problem = Problem(network, layers, self.tuner.mask, windows, examples.labels, examples.start, choice.strength)
        on_step = Counter("tuning layers: step", 0, self.is_quiet).of
        tuned = tune_layers(problem, self.recipe, held, place, self._tell, on_step)
        if not tuned.passes:
            self._tell("the layers stay as they are: voices that were kept from tuning gain nothing by it")
            return fitted_head(examples, choice)
        return fitted_layers(examples, tuned, layers.numbers, self.recipe.rank)

    def _tell(self, text: str) -> None:
        if not self.is_quiet:
            say(text)


def _told(parts: Parts) -> str:
    held, fitted = parts.held_out, parts.fitted
    if not parts.is_by_speaker:
        return (
            f"speakers are not known: {len(held)} of {len(held) + len(fitted)} clips are kept apart, and a voice may "
            "be on both sides, so that what is measured flatters"
        )
    voices = [len({(clip.corpus, clip.speaker) for clip in part}) for part in (held, fitted)]
    return f"{len(held)} clips of {voices[0]} speakers are kept apart, {len(fitted)} of {voices[1]} are fitted to"
