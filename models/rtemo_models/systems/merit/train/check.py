"""What a run says of itself at its checkpoints: emotion and enhancement on dev speakers and dev noises, in small."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.spectra import LATENCY_SAMPLES, Spectra
from rtemo_models.kit.corpora.caches import Caches
from rtemo_models.kit.metrics import recalls
from rtemo_models.systems.merit.data.mixing import active_power
from rtemo_models.systems.merit.net.enhancer import cube
from rtemo_models.systems.merit.net.merit import Merit


def dev_noise(caches: Caches, samples: NDArray[np.float32], snr_db: float, seed: int) -> NDArray[np.float32]:
    """Speech with a dev noise at an SNR; the same seed gives the same noise."""
    random = np.random.default_rng((5, seed))
    rows = [i for i, split in enumerate(caches.noise_split) if split == "dev"]
    noise = caches.noise_audio.samples(rows[random.integers(len(rows))])
    noise = noise[(np.arange(len(samples)) + random.integers(len(noise))) % len(noise)]
    power = float(np.mean(noise.astype(np.float64) ** 2)) + 1e-12
    return samples + noise * np.float32(np.sqrt(active_power(samples) / power) * 10 ** (-snr_db / 20))


Front = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def emotion_on_dev(
    net: Merit, spectra: Spectra, caches: Caches, snr_db: float | None, every: int = 1, front: Front | None = None
) -> dict[str, float]:
    """Unweighted average recall per corpus at the end of dev clips, over the corpus' own classes.

    Args:
        net: The network, in evaluation mode.
        spectra: Analysis.
        caches: Clips and noises.
        snr_db: SNR of the noise that is added; none without.
        every: Take every so many clips of the dev split.
        front: What the spectra go through first, an enhancer for instance.
    """
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.label >= 0][::every]
    dev.sort(key=lambda i: caches.audio.offsets[i + 1] - caches.audio.offsets[i])
    answers = []
    hops = net.config.listener.hops_per_step
    for begin in range(0, len(dev), 48):
        group = dev[begin : begin + 48]
        clean = [caches.audio.samples(i) for i in group]
        noisy = (
            clean if snr_db is None else [dev_noise(caches, c, snr_db, i) for c, i in zip(clean, group, strict=True)]
        )
        steps = [len(c) // (hops * 160) for c in clean]
        x, y = np.zeros((2, len(group), max(steps) * hops * 160), np.float32)
        for b, k in enumerate(steps):
            x[b, : k * hops * 160], y[b, : k * hops * 160] = noisy[b][: k * hops * 160], clean[b][: k * hops * 160]
        heard = spectra.analyse(torch.from_numpy(x))
        bands, _ = spectra.logs(heard if front is None else front(heard))
        weight = active_frames(spectra.logs(spectra.analyse(torch.from_numpy(y)))[0]).unflatten(1, (-1, hops))
        with torch.autocast("cpu", torch.bfloat16):
            _, said = net.listen(bands)
        statistics = net.listener.statistics(said.emotion.float(), weight)
        logits, _, _ = net.listener.heads(statistics[torch.arange(len(group)), torch.tensor(steps) - 1])
        answers.append(logits.numpy())
    return {name: round(value, 4) for name, value in recalls(caches.clips, dev, np.concatenate(answers)).items()}


@torch.no_grad()
def enhance_clip(net: Merit, spectra: Spectra, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Enhance a whole clip, its delay taken off; the offline form of what the plugin does hop by hop."""
    step = net.config.listener.hops_per_step * 160
    padded = np.pad(samples, (0, -len(samples) % step + step))
    y = spectra.analyse(torch.from_numpy(padded)[None])
    bands, bins = spectra.logs(y)
    _, said = net.listen(bands)
    gain = cube(net.enhance(bands, bins, said.context))
    return spectra.synthesise(y * gain)[0, LATENCY_SAMPLES : LATENCY_SAMPLES + len(samples)].numpy()


def enhancement_on_dev(net: Merit, spectra: Spectra, caches: Caches, clips: int = 10) -> dict[str, float]:
    """Mean PESQ-WB, STOI and SI-SDR in dB over dev speakers in dev noises at -5, 0, 5 and 10 dB.

    Where pesq or pystoi is not installed (`pip install 'rtemo[bench]'`) its figure is left out.
    """
    has_pesq, has_stoi = (find_spec(name) is not None for name in ("pesq", "pystoi"))
    if has_pesq:
        from pesq import pesq
    if has_stoi:
        from pystoi import stoi

    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.duration_s > 3 and c.corpus != "baved"]
    picked = np.random.default_rng(3).permutation(dev)[: 4 * clips]
    found: dict[str, list[float]] = {"pesq": [], "stoi": [], "si_sdr_db": []}
    for k, i in enumerate(picked):
        clean = caches.audio.samples(int(i))
        clean = clean * np.float32(0.05 / np.sqrt(active_power(clean)))
        noisy = dev_noise(caches, clean, (-5, 0, 5, 10)[k % 4], int(i))
        enhanced = enhance_clip(net, spectra, noisy)
        if has_pesq:
            found["pesq"].append(pesq(16_000, clean, enhanced, "wb", on_error=1))
        if has_stoi:
            found["stoi"].append(stoi(clean, enhanced, 16_000))
        target = clean * (enhanced @ clean / (clean @ clean))
        found["si_sdr_db"].append(10 * np.log10((target @ target) / np.sum((enhanced - target) ** 2)))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items() if values}
