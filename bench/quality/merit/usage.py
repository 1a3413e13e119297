"""Which experts are asked, as a picture: `python -m bench.quality.merit.usage --data D --work W --run R --out FILE`.

Dev clips of every emotion, clean, and dev talkers in every kind of noise at 0 dB go through the listener; the share of
active 40 ms steps that each task's router sends to each expert is drawn as a square whose darkness is the share.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.spectra import Spectra
from rtemo_models.kit.corpora.caches import Caches, open_caches
from rtemo_models.systems.merit.data.mixing import active_power
from rtemo_models.systems.merit.net.listener import TASKS
from rtemo_models.systems.merit.net.merit import Merit, load_merit

CLIPS = 40
CELL, LEFT, TOP = 44, 120, 60
Shares = dict[str, NDArray[np.float64]]
"""Row name → share of each expert, [tasks, experts]."""


@torch.no_grad()
def shares(net: Merit, clips: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> NDArray[np.float64]:
    """Share of active steps that went to each expert, [tasks, experts]; clips are pairs of what is heard and clean."""
    spectra, hops = Spectra(), net.config.listener.hops_per_step
    count = np.zeros((len(TASKS), net.config.listener.experts))
    for heard, clean in clips:
        length = len(heard) // (hops * 160) * hops * 160
        bands, _ = spectra.logs(spectra.analyse(torch.from_numpy(heard[:length])[None]))
        quiet, _ = spectra.logs(spectra.analyse(torch.from_numpy(clean[:length])[None]))
        _, said = net.listen(bands)
        active = active_frames(quiet)[0].unflatten(0, (-1, hops)).mean(1) > 0.5
        for task in range(len(TASKS)):
            count[task] += np.bincount(said.experts[0, active, task].numpy(), minlength=count.shape[1])
    return count / count.sum(1, keepdims=True).clip(1)


def by_emotion(net: Merit, caches: Caches) -> Shares:
    """Shares per emotion of clean dev clips, corpora mixed."""
    random, rows = np.random.default_rng(1), {}
    for label, emotion in enumerate(EMOTIONS):
        found = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.label == label]
        picked = random.permutation(found)[:CLIPS]
        rows[emotion] = shares(net, ((caches.audio.samples(int(i)),) * 2 for i in picked))
    return rows


def by_noise(net: Merit, caches: Caches, paths: list[str]) -> Shares:
    """Shares per kind of dev noise at 0 dB, and without noise, the same talkers in all."""
    random = np.random.default_rng(2)
    talkers = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.duration_s > 2]
    picked = random.permutation(talkers)[:CLIPS]
    kinds: dict[str, list[int]] = {}
    for i, (path, split) in enumerate(zip(paths, caches.noise_split, strict=True)):
        if split == "dev":
            kinds.setdefault(path.split("/")[1], []).append(i)
    rows = {"no noise": shares(net, ((caches.audio.samples(int(i)),) * 2 for i in picked))}
    for kind, members in sorted(kinds.items()):
        pairs = []
        for i in picked:
            clean = caches.audio.samples(int(i))
            noise = caches.noise_audio.samples(members[random.integers(len(members))])
            noise = noise[(np.arange(len(clean)) + random.integers(len(noise))) % len(noise)]
            power = float(np.mean(noise.astype(np.float64) ** 2)) + 1e-12
            pairs.append((clean + noise * np.float32(np.sqrt(active_power(clean) / power)), clean))
        rows[kind.replace("_", " ")] = shares(net, pairs)
    return rows


def picture(tables: dict[str, Shares]) -> str:
    """An SVG of both tables, one column of squares per task and expert."""
    experts = next(iter(next(iter(tables.values())).values())).shape[1]
    width = LEFT + (experts * CELL + 30) * len(TASKS)
    parts, y = [], TOP
    for title, rows in tables.items():
        parts.append(f'<text x="8" y="{y - 34}" font-weight="bold">{title}</text>')
        for task, name in enumerate(TASKS):
            x = LEFT + task * (experts * CELL + 30)
            parts.append(f'<text x="{x}" y="{y - 34}">router of {name}</text>')
            parts += [f'<text x="{x + e * CELL + 14}" y="{y - 8}">E{e + 1}</text>' for e in range(experts)]
        for name, table in rows.items():
            parts.append(f'<text x="8" y="{y + 26}">{name}</text>')
            for task in range(len(TASKS)):
                for expert in range(experts):
                    x, share = LEFT + task * (experts * CELL + 30) + expert * CELL, table[task, expert]
                    ink = "#fff" if share > 0.5 else "#222"
                    parts.append(
                        f'<rect x="{x}" y="{y}" width="{CELL - 3}" height="{CELL - 3}" fill="#1f5a8a" '
                        f'fill-opacity="{share:.3f}" stroke="#cbd5dd"/>'
                        f'<text x="{x + 9}" y="{y + 26}" fill="{ink}">{100 * share:.0f}</text>'
                    )
            y += CELL
        y += TOP + 10
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y - TOP}" font-family="sans-serif" '
        f'font-size="13" fill="#222"><rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", default="merit", help="name of the run under --work")
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    caches = open_caches(options.data, options.work / "cache")
    net = load_merit(options.work / options.run / "average.pt")
    tables = {
        "share of steps, %, per emotion": by_emotion(net, caches),
        "per noise at 0 dB": by_noise(net, caches, caches.noise_audio.paths),
    }
    options.out.write_text(picture(tables))
    for title, rows in tables.items():
        for name, table in rows.items():
            print(title, name, np.round(table, 2).tolist())


if __name__ == "__main__":
    main()
