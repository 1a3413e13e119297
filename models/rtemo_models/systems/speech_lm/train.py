"""Trains the decoder: `python -m rtemo_models.systems.speech_lm.train --data D --work W --config recipe.toml`.

The teacher is the template writer, in other words each time: it writes about the turn with its true label, and the
network learns label and rationale from what merit-large heard, the cues, and what the words express. `average.pt` is
what is scored and exported; the same command goes on with a run that was stopped.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch.nn import functional

from rtemo.api import EMOTIONS
from rtemo.api.vocabulary import Word
from rtemo.cues.language import LANGUAGES, language
from rtemo.cues.reading import read
from rtemo.cues.turn import Reading, words_of
from rtemo.cues.writer import Writer
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.loop import Losses, Run, decayed_groups
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.speech_lm.examples import Example, batch_of, turn_of, value_count, vocabulary
from rtemo_models.systems.speech_lm.features import read_records
from rtemo_models.systems.speech_lm.net import SpeechLM, SpeechLMConfig

RECIPE = Path(__file__).with_name("recipes") / "recipe.toml"
_LANGUAGE_OF = {"nemo": "pl"}


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a run; see the comments in the recipe's file."""

    seed: int
    steps: int
    batch: int
    rate_peak: float
    warmup_steps: int
    weight_decay: float
    average_decay: float
    report_every_steps: int
    order: Literal["label", "rationale"]
    label_weight: float
    rationale_weight: float
    words_share: float
    said_share: float
    noise: float
    net: dict[str, Any] = {}


def examples_of(folder: Path, split: str) -> list[Example]:
    """Turns of a split, with what merit-large heard of each."""
    lines = read_records(folder / "records.jsonl")
    heard = np.load(folder / "features.npz")
    found = []
    for line, words in zip(lines, heard["words"], strict=True):
        if line["split"] != split or not line["cues"]:
            continue
        code = _LANGUAGE_OF.get(line["corpus"], "en")
        said = words_of(line["text"], (), line["start_sample"], line["end_sample"])
        reading = read(said, code)
        found.append(Example(words, turn_of(line, reading), EMOTIONS.index(line["emotion"])))
    return found


def say_something(example: Example, random: np.random.Generator) -> Example:
    """Put words into a turn whose own ones say nothing: acted corpora have the same sentence in every mood.

    Half of the time they fit the label, else they are those of any other emotion, so that both are seen.
    """
    emotion = EMOTIONS[example.label]
    feelings = language(LANGUAGES[0]).feelings
    names = list(feelings)
    does_fit = emotion in feelings and random.random() < 0.5
    chosen = emotion if does_fit else names[random.integers(len(names))]
    count = int(random.integers(1, 4))
    start, end = example.turn.start_sample, example.turn.end_sample
    texts = [str(entry).replace("_", " ") for entry in random.choice(feelings[chosen], count, replace=False)]
    words = tuple(Word(text=text, start_sample=start, end_sample=end) for text in texts)
    return example._replace(turn=example.turn._replace(words=words, reading=Reading(chosen, words)))


class SpeechLMRun(Run[SpeechLM]):
    """One run of training.

    Args:
        folder: Where it lives.
        recipe: Its settings.
        examples: Turns to learn from.
    """

    def __init__(self, folder: Path, recipe: Recipe, examples: list[Example]) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=recipe.report_every_steps,
            average_decay=recipe.average_decay,
            title="",
        )
        self.recipe, self.examples = recipe, examples
        self.width = examples[0].heard.shape[1]
        words = vocabulary()
        self.ids = {word: number for number, word in enumerate(words)}
        self.writer = Writer("en")
        config = SpeechLMConfig(vocabulary=words, values=value_count(self.width), **recipe.net)
        net = SpeechLM(config)
        count = np.bincount([e.label for e in examples], minlength=len(EMOTIONS)).astype(float)
        weight = np.array([1.0 / count[e.label] ** 0.5 for e in examples])
        self.share = weight / weight.sum()
        self.begin(net, torch.optim.AdamW(decayed_groups(net), weight_decay=recipe.weight_decay))

    def rate_at(self, step: int) -> float:
        """Warm-up and half a cosine."""
        recipe = self.recipe
        return recipe.rate_peak * cosine_share(step, recipe.steps, recipe.warmup_steps, 0.02)

    def update(self, step: int) -> Losses:
        """Cross-entropy of the next token, by segments; labels drawn a little evener than they are."""
        recipe = self.recipe
        random = np.random.default_rng(self.seed_of(step))
        drawn = [self.examples[k] for k in random.choice(len(self.examples), recipe.batch, p=self.share)]
        drawn = [say_something(e, random) if random.random() < recipe.said_share else e for e in drawn]
        batch = batch_of(drawn, self.writer, self.ids, random, self.width, recipe)
        values = torch.from_numpy(batch.values)
        heard = values[:, :2, : self.width]
        heard += recipe.noise * heard.std() * torch.randn_like(heard)
        self.net.train()
        logits = self.net(torch.from_numpy(batch.ids), values)
        targets, weights = torch.from_numpy(batch.targets), torch.from_numpy(batch.weights)
        wanted = targets.clamp_min(0)
        each = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none").view_as(weights)
        loss = (weights * each).sum() / len(drawn)
        self.learn(loss, 1.0)
        is_right = (logits.argmax(-1) == wanted) & (targets >= 0)
        return {"loss": loss, "right": is_right.sum() / (targets >= 0).sum()}

    def write(self) -> None:
        """`average.pt`: sizes and averaged weights."""
        saved = {"config": msgspec.to_builtins(self.net.config), "net": self.average.state_dict()}
        torch.save(saved, self.folder / "average.pt")


@training(__doc__, RECIPE, "speech_lm/run")
def main(given: Training) -> None:
    """Train."""
    run = SpeechLMRun(given.folder, given.recipe(Recipe), examples_of(given.work / "speech_lm", "train"))
    run.train(given.until)


if __name__ == "__main__":
    main()
