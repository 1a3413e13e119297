"""Trains the ranker: `python -m rtemo_models.systems.ranker.train.run --config recipe.toml --data DIR --work DIR`.

The listener stands still: what it says of every clip is computed once, under `--work`, and a run then takes about a
minute. It writes `average.pt` (the averaged weights, standardised and with anchors: what is evaluated and exported),
`checkpoint.pt` (to resume: run the same command again) and `log.jsonl` into its folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.rooms import read_rooms
from rtemo_models.kit.audio.variants import VARIANTS
from rtemo_models.kit.audio.voices import open_voices
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.corpora.caches import FRAMES_SEED, open_caches
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.loop import Run, decayed_groups
from rtemo_models.kit.run_folder import save_net
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.ranker.data.batches import ListDraws, RankBatch, RankBatches, StatisticsBatches
from rtemo_models.systems.ranker.data.labels import ListSampler, RankLabels
from rtemo_models.systems.ranker.data.statistics import moment_steps, plain_statistics
from rtemo_models.systems.ranker.data.words import WORD_VARIANTS, Ear, WordCache, hearing, open_words
from rtemo_models.systems.ranker.net import ATTRIBUTES, Ranker, RankerConfig
from rtemo_models.systems.ranker.train.objective import attribute_losses
from rtemo_models.systems.ranker.train.recipe import RankerRecipe

REPORT_EVERY_STEPS = 100
MOMENTS_S = (1.0, 2.0, 4.0)
"""Seconds of speech after which statistics are kept, beside the end."""


@dataclass(frozen=True, slots=True)
class RankCorpus:
    """What runs share: clips, and words of the training clips in every variant."""

    clips: list[Clip]
    words: dict[str, WordCache]
    statistics: dict[str, NDArray[np.float32]]
    """Variant → float32 [clips, 4, 2 · width]: plain statistics after 1, 2, 4 s of speech and at the end."""


def open_rank_corpus(data_dir: Path, work: Path) -> RankCorpus:
    """Make the words of the training clips, or open what is there (a quarter of an hour the first time)."""
    cache = work / "cache"
    made = open_caches(data_dir, cache)
    ear = Ear()
    wanted = [i for i, c in enumerate(made.clips) if c.split == "train"]
    noises = [made.noise_audio.samples(i) for i, split in enumerate(made.noise_split) if split == "train"]
    responses = read_rooms(data_dir / "rir")
    by_name = {v.name: v for v in VARIANTS}
    words = {}
    for variant in WORD_VARIANTS:
        voices: AudioCache = made.audio
        if variant.voices != "dry":
            stem = cache / f"voices-{variant.voices}"
            voices = open_voices(stem, made.audio, by_name[variant.voices], responses, FRAMES_SEED)
        hear = hearing(variant, ear, made.audio, voices, noises, FRAMES_SEED)
        words[variant.name] = open_words(cache / f"words-{variant.name}", ear, len(made.clips), wanted, hear)
    return RankCorpus(made.clips, words, {v: open_statistics(cache / f"plain-{v}", words[v]) for v in words})


def open_statistics(stem: Path, words: WordCache) -> NDArray[np.float32]:
    """Plain statistics of all clips that have words, made first when absent or of other words."""
    path = stem.with_suffix(".npy")
    if not path.exists() or path.stat().st_mtime < words.made_s:
        with path.with_suffix(".part").open("wb") as file:
            np.save(file, plain_statistics(words, range(len(words)), MOMENTS_S, RankerConfig().memory_steps))
        path.with_suffix(".part").replace(path)
    return np.asarray(np.load(path, mmap_mode="r"))


@torch.no_grad()
def pooled(
    net: Ranker, words: WordCache, chosen: Sequence[int], moments_s: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network's own pool makes of clips after seconds of speech and at the end.

    Returns:
        Statistics float32 [chosen, moments + 1, 2 · pooled], faded steps of speech float32 [chosen, moments + 1].
    """
    lengths = np.array([len(words.clip(int(i))[0]) for i in chosen])
    order = np.argsort(lengths)
    found = np.zeros((len(order), len(moments_s) + 1, 2 * net.config.pooled), np.float32)
    heard = np.zeros(found.shape[:2], np.float32)
    for begin in range(0, len(order), 64):  # clips of about the same length, few enough to stay in the cache
        rows = order[begin : begin + 64]
        longest = max(1, int(lengths[rows[-1]]))
        x, w = np.zeros((len(rows), longest, words.width), np.float32), np.zeros((len(rows), longest), np.float32)
        ends = np.zeros((len(rows), len(moments_s) + 1), np.int64)
        for k, row in enumerate(rows):
            said, speech = words.clip(int(chosen[row]))
            if len(said):
                x[k, : len(said)], w[k, : len(said)] = said, speech
                ends[k] = moment_steps(speech, moments_s)
        values = net.embedded(torch.from_numpy(x))
        statistics, steps = net.pool(values, torch.from_numpy(w), torch.from_numpy(ends))
        found[rows], heard[rows] = statistics.numpy(), steps.numpy()
    return found, heard


def statistics_of(net: Ranker, corpus: RankCorpus, chosen: Sequence[int]) -> dict[str, NDArray[np.float32]]:
    """Statistics of a pool that stands still, per variant float32 [clips, 4, 2 · pooled]."""
    if not (net.config.attention or net.config.embedding):
        return corpus.statistics
    found = {}
    for variant, words in corpus.words.items():
        found[variant] = np.zeros((len(words), len(MOMENTS_S) + 1, 2 * net.config.pooled), np.float32)
        found[variant][list(chosen)] = pooled(net, words, chosen, MOMENTS_S)[0]
    return found


@torch.no_grad()
def end_scores(net: Ranker, words: WordCache, chosen: Sequence[int]) -> NDArray[np.float32]:
    """Scores at the end of clips, float32 [clips, 3]."""
    return net.scores(torch.from_numpy(pooled(net, words, chosen, ())[0][:, 0])).numpy()


def standardise(net: Ranker, scores: NDArray[np.float32], shares: NDArray[np.float64]) -> None:
    """Make scores of mean 0 and deviation 1 over clips weighed by `shares`, and take their percent points as anchors.

    Args:
        net: Its scores are those given; changed in place.
        scores: float32 [clips, 3].
        shares: float64 [clips], sum 1.
    """
    mean = shares @ scores
    deviation = np.sqrt(shares @ (scores - mean) ** 2)
    anchors = []
    for column in ((scores - mean) / deviation).T:
        order = np.argsort(column)
        place = np.cumsum(shares[order]) - 0.5 * shares[order]
        anchors.append(np.interp(np.linspace(0, 1, 101), place, column[order]))
    with torch.no_grad():
        net.offset += torch.from_numpy(mean).float() / net.slope
        net.slope /= torch.from_numpy(deviation).float()
        net.anchors.copy_(torch.from_numpy(np.stack(anchors)))


def even_shares(clips: Sequence[Clip], chosen: Sequence[int]) -> NDArray[np.float64]:
    """Share of each clip such that every corpus weighs the same, and neutral read speech as one corpus."""
    names = np.array(["clean" if not clips[i].emotion and not clips[i].level else clips[i].corpus for i in chosen])
    kinds, member, counts = np.unique(names, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(kinds) * counts[member]))


def fresh(recipe: RankerRecipe, work: Path) -> Ranker:
    """A network that has learned nothing of its own yet."""
    torch.manual_seed(recipe.seed)
    net = Ranker(RankerConfig(**recipe.net))
    if recipe.start and net.config.attention:
        saved = torch.load(work / recipe.start, weights_only=True, map_location="cpu")["weights"]
        part = "listener."
        net.start_as({name.removeprefix(part): values for name, values in saved.items() if name.startswith(part)})
    return net


def paced_groups(net: Ranker, recipe: RankerRecipe) -> list[dict[str, Any]]:
    """Parameter groups of the optimiser: what stands before the statistics learns at its own pace."""
    early = {id(p) for part in (net.embed, net.pool) if part is not None for p in part.parameters()}
    groups = []
    for group in decayed_groups(net):
        for is_early, pace in ((True, recipe.pool_rate), (False, 1.0)):
            some = [p for p in group["params"] if (id(p) in early) == is_early]
            groups.append(group | {"params": some, "pace": pace})
    return [group for group in groups if group["params"]]


class RankerRun(Run[Ranker]):
    """One training run in its folder."""

    def __init__(self, recipe: RankerRecipe, corpus: RankCorpus, net: Ranker, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=REPORT_EVERY_STEPS,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.corpus, self.net = recipe, corpus, net
        self.chosen = [i for i, c in enumerate(corpus.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
        labels = RankLabels.of(corpus.clips, self.chosen)
        sampler = ListSampler(labels, recipe.shares, recipe.length)
        self._learns_to_pool = bool(net.config.attention) and recipe.pool_rate > 0
        net.train()
        moments = len(recipe.early_steps) if self._learns_to_pool else len(MOMENTS_S)
        draws = ListDraws(labels, sampler, recipe.variants, recipe.lists, moments, recipe.seed)
        if self._learns_to_pool:
            self.batches: RankBatches | StatisticsBatches = RankBatches(
                draws, corpus.words, recipe.early_steps, recipe.most_steps
            )
        else:
            self._statistics = statistics_of(net, corpus, self.chosen)
            self.batches = StatisticsBatches(draws, self._statistics)
        self._centre()
        optimiser = torch.optim.AdamW(
            paced_groups(net, recipe), recipe.rate_peak, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.begin(net, optimiser)

    @torch.no_grad()
    def _centre(self) -> None:
        """Standardise the statistics as they are at first, over some of the clips."""
        if self._learns_to_pool:
            some = np.random.default_rng(0).permutation(self.chosen)[:1500]
            found = pooled(self.net, self.corpus.words["dry"], some, ())[0][:, 0]
        else:
            found = self._statistics["dry"][self.chosen, -1]
        self.net.shift.copy_(torch.from_numpy(found.mean(0)))
        self.net.scale.copy_(1 / torch.from_numpy(found.std(0) + 1e-3))

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to a fiftieth."""
        return self.recipe.rate_peak * cosine_share(step, self.steps, self.recipe.warmup_steps, floor=0.02)

    def update(self, step: int) -> dict[str, torch.Tensor]:
        """Learn the lists of a step."""
        losses = self._losses(step)
        self.learn(losses.sum())
        return dict(zip(ATTRIBUTES, losses, strict=True))

    def train(self, until: int | None = None) -> None:
        """Train to the recipe's last step, or to step `until` at most; write what is evaluated at the last."""
        super().train(until)
        if self.step == self.steps:
            self.settle()

    def _losses(self, step: int) -> torch.Tensor:
        """Loss of each attribute, early and at the end."""
        batch = self.batches.make(step)
        if isinstance(batch, RankBatch):
            scores, _ = self.net(batch.words, batch.weight, batch.ends)
        else:
            scores = self.net.scores(batch.statistics)
        count, lists, n = batch.labels.shape
        scores = scores.unflatten(0, (count, lists, n))
        own = torch.stack([scores[a, ..., a] for a in range(count)])  # an attribute's own lists and own score
        done, weight = step / self.recipe.steps, self.recipe.early_weight
        early, late = (attribute_losses(own[..., k], batch.labels, self.recipe, done) for k in (0, 1))
        return weight * early + (1 - weight) * late

    def settle(self) -> None:
        """Standardise the averaged network over all variants of the training clips and write it."""
        scores = np.concatenate([self._end_scores(variant) for variant in self.corpus.words])
        shares = np.tile(even_shares(self.corpus.clips, self.chosen), len(self.corpus.words)) / len(self.corpus.words)
        standardise(self.average, scores, shares)
        save_net(self.average, self.folder / "average.pt")

    @torch.no_grad()
    def _end_scores(self, variant: str) -> NDArray[np.float32]:
        """Scores of the averaged network at the end of the training clips, float32 [clips, 3]."""
        if self._learns_to_pool:
            return end_scores(self.average, self.corpus.words[variant], self.chosen)
        statistics = self._statistics[variant][self.chosen, -1]
        return self.average.scores(torch.from_numpy(statistics)).numpy()


@training(__doc__, Path(__file__).parents[1] / "recipes" / "recipe.toml", "run")
def main(job: Training) -> None:
    """Command line."""
    recipe = job.recipe(RankerRecipe)
    corpus = open_rank_corpus(job.data, job.work)
    RankerRun(recipe, corpus, fresh(recipe, job.work), job.folder).train(job.until)


if __name__ == "__main__":
    main()
