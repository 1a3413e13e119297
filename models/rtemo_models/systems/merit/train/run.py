"""Trains Sparse MERIT: `python -m rtemo_models.systems.merit.train.run --config recipe.toml --data DIR --work DIR`.

One encoder learns from a teacher's frames, from emotions and from enhancement at once, on mixtures made anew for every
batch. A run writes `checkpoint.pt` (to resume: run the same command again), `average.pt` (the averaged weights, what is
evaluated and exported) and `log.jsonl` into its folder, and keeps the shared caches beside it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtemo_models.kit.audio.augment import active_frames, mask, speech_weights
from rtemo_models.kit.audio.rooms import read_rooms
from rtemo_models.kit.audio.spectra import Spectra
from rtemo_models.kit.audio.variants import VARIANTS
from rtemo_models.kit.audio.voices import open_voices
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.corpora.caches import FRAMES_SEED
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA
from rtemo_models.kit.loop import Run, prefetch
from rtemo_models.kit.run_folder import write
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.merit.data.batches import Sampler, crop_of, frame_statistics
from rtemo_models.systems.merit.data.mixing import Mixture, MixtureMaker, NoiseMaker
from rtemo_models.systems.merit.data.recordings import Recordings
from rtemo_models.systems.merit.data.taught import Taught
from rtemo_models.systems.merit.data.teacher import Panel, TeacherCache
from rtemo_models.systems.merit.data.tract import Tracts
from rtemo_models.systems.merit.net.enhancer import cube
from rtemo_models.systems.merit.net.merit import Merit, load_merit, merit_config
from rtemo_models.systems.merit.train.check import emotion_on_dev, enhancement_on_dev
from rtemo_models.systems.merit.train.command import taught_by, teacher_option
from rtemo_models.systems.merit.train.enhancement_losses import (
    compressed_distance,
    intelligibility_loss,
    loudness_loss,
    power_of,
    si_sdr_loss,
)
from rtemo_models.systems.merit.train.losses import emotion_losses, weighted
from rtemo_models.systems.merit.train.opinions import open_opinions
from rtemo_models.systems.merit.train.recipe import MeritRecipe


def make_mixtures(caches: Taught, recipe: MeritRecipe, data: Path, work: Path, hops_per_step: int) -> MixtureMaker:
    """Set up the batches of a run: training speakers and training noises only."""
    chosen = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
    talkers = [i for i in chosen if caches.clips[i].corpus in NEUTRAL_CORPORA or caches.clips[i].duration_s > 2]
    teachers = {s: Panel([TeacherCache(work / "cache" / f"{t}-{s}") for t in recipe.teachers]) for s in caches.teachers}
    mean, deviation = frame_statistics(teachers["normal"], chosen)
    responses = read_rooms(data / "rir")
    wanted = [v for v in VARIANTS if recipe.variants.get(v.name, 0) > 0]
    voices = {
        v.name: caches.audio
        if v.name == "dry"
        else open_voices(work / "cache" / f"voices-{v.name}", caches.audio, v, responses, FRAMES_SEED)
        for v in wanted
    }
    recordings = Recordings(caches.noise_audio, caches.noise_kinds("train"), recipe.noise_shares)
    return MixtureMaker(
        caches.clips,
        Sampler(caches.clips, chosen, recipe.shares),
        voices,
        NoiseMaker(recordings, caches.audio, talkers),
        teachers,
        mean,
        deviation,
        delay_samples=recipe.delay_samples,
        variant_shares=recipe.variants,
        hops_per_step=hops_per_step,
        snr_db=recipe.snr_db,
        quiet_share=recipe.quiet_share,
        line_share=recipe.line_share,
        seed=recipe.seed,
    )


def channel(batch: int, random: np.random.Generator) -> Tensor:
    """The colour of a microphone or line: a smooth random gain per bin for two thirds of the clips, [batch, 1, 257]."""
    places = np.linspace(0, 1, 257)
    gains = np.ones((batch, 1, 257))
    for b in np.flatnonzero(random.random(batch) < 0.67):
        weights = random.standard_normal(6) * 3 / np.sqrt(np.arange(1, 7))
        curve_db = sum(w * np.cos(np.pi * k * places + random.uniform(0, 6.28)) for k, w in enumerate(weights, 1))
        gains[b, 0] = 10 ** ((curve_db + random.uniform(-8, 8) * (places - 0.5)) / 20)
    return torch.from_numpy(gains.astype(np.float32))


class Trainer:
    """Computes the losses of a batch.

    Args:
        net: The network.
        recipe: Settings.
        opinions: float32 [clips, 8], logits of heads on the teacher; NaN for none.
        front: A trained network whose enhancer stands before the listener (enhancement first, emotion after).
    """

    def __init__(self, net: Merit, recipe: MeritRecipe, opinions: Tensor, front: Merit | None = None) -> None:
        self.net, self.recipe, self.opinions, self.front = net, recipe, opinions, front
        self.spectra = Spectra()
        self.tracts = Tracts()

    def cleaned(self, spectra: Tensor) -> Tensor:
        """Spectra after the front's enhancer."""
        assert self.front is not None
        bands, bins = self.spectra.logs(spectra)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            _, heard = self.front.listen(bands)
            gain = self.front.enhance(bands, bins, heard.context)
        return spectra * cube(gain)

    def losses(self, batch: Mixture, random: np.random.Generator) -> dict[str, Tensor]:
        """All losses of a batch that the recipe asks for, and a few figures that are only watched."""
        recipe, net = self.recipe, self.net
        colour = channel(len(batch.noisy), random)
        noisy, clean = self.spectra.analyse(batch.noisy) * colour, self.spectra.analyse(batch.clean) * colour
        clean_bands, clean_bins = self.spectra.logs(clean)
        bands, bins = self.spectra.logs(noisy if self.front is None else self.cleaned(noisy))
        active = active_frames(clean_bands)
        losses: dict[str, Tensor] = {}
        listened = bands if recipe.listener_stands else mask(self.tracts(bands, random), random)
        with torch.set_grad_enabled(not recipe.listener_stands), torch.autocast("cpu", torch.bfloat16):
            encoded, heard = net.listen(listened)
        if heard.auxiliary and not recipe.listener_stands:
            losses |= {"balance": heard.auxiliary["balance"], "z": heard.auxiliary["z"]}
        if recipe.emotion_weight > 0:
            losses |= self._emotion(batch, encoded, heard.emotion, active, random)
        if recipe.enhance_weight > 0:
            with torch.autocast("cpu", torch.bfloat16):
                gain = net.enhance(bands, bins, heard.context)
            losses |= self._enhancement(gain, noisy, clean, clean_bins, active)
        return losses

    def _emotion(
        self, batch: Mixture, encoded: Tensor, words: Tensor, active: Tensor, random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Emotions are asked at the end of the crop and at one earlier moment."""
        listener, recipe = self.net.listener, self.recipe
        weight = speech_weights(active, listener.config.hops_per_step, random)
        steps = encoded.shape[1]
        early = int(torch.randint(steps // 3, steps - 1, ()))
        with torch.autocast("cpu", torch.bfloat16):
            student = listener.distil(encoded)
            statistics = listener.statistics(words, weight, [early, steps - 1])
        return emotion_losses(student, listener.heads(statistics), batch, self.opinions, recipe.smoothing)

    def _enhancement(
        self, gain: Tensor, noisy: Tensor, clean: Tensor, clean_bins: Tensor, active: Tensor
    ) -> dict[str, Tensor]:
        power = power_of(clean).mean(2)
        active_power = (power * active).sum(1) / active.sum(1).clamp_min(1)
        phase, magnitude = compressed_distance(gain, noisy, clean, active_power)
        enhanced = self.spectra.synthesise(scaled(noisy, cube(gain)))
        level = active_power.clamp_min(1e-9).sqrt()[:, None]
        target = self.spectra.synthesise(clean)
        losses = {"phase": phase, "magnitude": magnitude, "si_sdr": si_sdr_loss(enhanced / level, target / level)}
        if self.recipe.intelligibility_weight > 0:
            losses["intelligibility"] = intelligibility_loss(gain, noisy, clean)
        if self.recipe.loudness_weight > 0:
            losses["loudness"] = loudness_loss(gain, noisy, clean, self.spectra.bank, active_power)
        return losses

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the losses."""
        recipe = self.recipe
        total = torch.zeros(())
        if "balance" in losses:
            total = total + recipe.balance_weight * losses["balance"] + recipe.z_weight * losses["z"]
        if "masked" in losses:
            total = total + recipe.emotion_weight * weighted(losses, recipe)
        if "phase" in losses:
            enhancement = recipe.phase_weight * losses["phase"] + recipe.magnitude_weight * losses["magnitude"]
            enhancement = enhancement + losses["si_sdr"]
            for name, weight in (
                ("intelligibility", recipe.intelligibility_weight),
                ("loudness", recipe.loudness_weight),
            ):
                if name in losses:
                    enhancement = enhancement + weight * losses[name]
            total = total + recipe.enhance_weight * enhancement
        return total


def scaled(spectra: Tensor, gain: Tensor) -> Tensor:
    """Spectra times gains, as a real product: the gradient of a complex one would be complex."""
    return torch.view_as_complex(torch.view_as_real(spectra) * gain[..., None])


class MeritRun(Run[Merit]):
    """One training run in its folder."""

    def __init__(self, recipe: MeritRecipe, caches: Taught, data: Path, work: Path, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=recipe.check_every_steps,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.caches = recipe, caches
        net = Merit(merit_config(recipe.net))
        if recipe.start:
            saved = torch.load(work / recipe.start, weights_only=True, map_location="cpu")["weights"]
            net.load_state_dict(adapted(saved, net.state_dict()))
        net.listener.requires_grad_(not recipe.listener_stands)
        opinions = np.mean([open_opinions(work / f"opinions-{t}.npy", caches, recipe) for t in recipe.teachers], 0)
        front = load_merit(work / recipe.front / "average.pt") if recipe.front else None
        self.trainer = Trainer(net, recipe, torch.from_numpy(opinions), front)
        optimiser = torch.optim.AdamW(
            [p for p in net.parameters() if p.requires_grad], recipe.rate_peak, weight_decay=recipe.weight_decay
        )
        self.maker = make_mixtures(caches, recipe, data, work, net.config.listener.hops_per_step)
        # Clipped apart: the steep gradients of one task must not shrink the other's step.
        self.parts = [list(net.listener.parameters()), list(net.enhancer.parameters())]
        self.begin(net, optimiser)

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to a hundredth."""
        return self.recipe.rate_peak * cosine_share(step, self.steps, self.recipe.warmup_steps, floor=0.01)

    def start(self, first: int, last: int) -> None:
        """Make batches ahead."""
        self.batches = prefetch(self._mixture, first, last)
        if self.recipe.listener_stands:
            self.net.listener.eval()  # no dropout in what the enhancer is told

    def _mixture(self, step: int) -> Mixture:
        return self.maker.make(step, *crop_of(self.recipe, step))

    def update(self, step: int) -> dict[str, Tensor]:
        """Learn a batch."""
        losses = self.trainer.losses(next(self.batches), np.random.default_rng((self.recipe.seed, 2, step)))
        self.learn(self.trainer.total(losses), apart=self.parts)
        return losses

    def write(self) -> None:
        """Write the averaged weights."""
        write(self.folder / "average.pt", {"weights": self.average.state_dict(), "net": self.recipe.net})

    def report(self) -> dict[str, Any]:
        """Emotion and enhancement on dev clips, as far as the recipe asks for them."""
        line: dict[str, Any] = {}
        net, spectra = self.average, self.trainer.spectra
        if self.recipe.emotion_weight > 0:
            front = self.trainer.cleaned if self.trainer.front is not None else None
            line["clean"] = emotion_on_dev(net, spectra, self.caches, None, front=front)
            if self.recipe.check_noise:
                line["0 dB"] = emotion_on_dev(net, spectra, self.caches, 0.0, every=2, front=front)
        if self.recipe.enhance_weight > 0:
            line["enhanced"] = enhancement_on_dev(net, spectra, self.caches)
        return line


def adapted(saved: dict[str, Tensor], fresh: dict[str, Tensor]) -> dict[str, Tensor]:
    """The saved weights where name and shape fit, the fresh ones elsewhere.

    Weights of a lone listener (no part name before them) go to the listener.
    """
    if not any(name.startswith("listener.") for name in saved):
        saved = {f"listener.{name}": values for name, values in saved.items()}
    return {n: saved[n] if n in saved and saved[n].shape == v.shape else v for n, v in fresh.items()}


@training(__doc__, Path(__file__).parents[1] / "recipes" / "recipe.toml", "merit", teacher_option, threads=2)
def main(job: Training, teacher_path: Path | None) -> None:
    """Command line."""
    recipe = job.recipe(MeritRecipe)
    caches = taught_by(job, teacher_path, recipe.variants)
    MeritRun(recipe, caches, job.data, job.work, job.folder).train(job.until)


if __name__ == "__main__":
    main()
