"""Lets the tutor hear every clip: `python -m rtemo_models.systems.merit.train.tutor_frames`.

Writes its frames at each playback speed (`cache/tutor-<speed>`, read as those of the published encoder are) and its
answers for the clips of training speakers (`opinions-tutor.npy`).
"""

import json
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.resample import SPEEDS, respeed
from rtemo_models.kit.command import PATH, data_option, run_option, task, threads_option, work_option
from rtemo_models.kit.corpora.caches import open_caches
from rtemo_models.kit.progress import progress
from rtemo_models.systems.merit.data.teacher import FRAME_CENTRE_SAMPLES, FRAME_HOP_SAMPLES, WIDTH
from rtemo_models.systems.merit.net.tutor import Tutor, load_tutor

GROUP = 16
"""Clips of like length that are heard at once."""


def frame_count(samples: int) -> int:
    """Frames of a clip, none of whose receptive field reaches past its end."""
    return max(1, (samples - 2 * FRAME_CENTRE_SAMPLES) // FRAME_HOP_SAMPLES + 1)


@torch.no_grad()
def hear(net: Tutor, audio: AudioCache, speed: str, stem: Path) -> NDArray[np.float32]:
    """Write the frames of all clips at one speed to `stem`; returns the answers, float32 [clips, 8]."""
    up, down = SPEEDS[speed]
    lengths = np.maximum(-(-np.diff(audio.offsets) * up // down), 1600)
    counts = np.array([frame_count(int(n)) for n in lengths])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    out = np.memmap(stem.with_suffix(".part"), np.float16, "w+", shape=(int(offsets[-1]), WIDTH))
    answers = np.zeros((len(audio), len(EMOTIONS)), np.float32)
    order = np.argsort(lengths)
    groups = [order[k : k + GROUP] for k in range(0, len(order), GROUP)]
    for group in progress(groups, f"tutor {speed}"):
        x = np.zeros((len(group), int(lengths[group].max())), np.float32)
        for b, i in enumerate(group):
            samples = respeed(audio.samples(int(i)), speed)
            x[b, : len(samples)] = samples[: x.shape[1]]
        with torch.autocast("cpu", torch.bfloat16):
            frames = net.frames(torch.from_numpy(x)).float()
        for b, i in enumerate(group):
            own = frames[b : b + 1, : counts[i]]
            if own.shape[1] < counts[i]:  # the group's longest clip may itself end a frame early
                own = torch.cat([own, own[:, -1:].expand(-1, counts[i] - own.shape[1], -1)], 1)
            out[offsets[i] : offsets[i + 1]] = own[0].numpy().astype(np.float16)
            answers[i] = net(own)[0][0].numpy()
    out.flush()
    stem.with_suffix(".part").replace(stem.with_suffix(".f16"))
    stem.with_suffix(".json").write_text(json.dumps(offsets.tolist()))
    return answers


@task(
    __doc__,
    data_option,
    work_option,
    run_option("tutor"),
    click.option("--name", "caches_name", default="tutor", show_default=True, help="Name that the caches get."),
    click.option("--teacher", "teacher_path", type=PATH, help="encoder_model.ort; default: from moonshine-voice."),
    click.option(
        "--speed", "speeds", type=click.Choice(list(SPEEDS)), multiple=True, help="Playback speed; all by default."
    ),
    threads_option(2),
)
def main(
    data: Path,
    work: Path,
    name: str,
    caches_name: str,
    teacher_path: Path | None,
    speeds: tuple[str, ...],
    threads: int,
) -> None:
    """Command line."""
    torch.set_num_threads(threads)
    caches = open_caches(data, work / "cache")
    net = load_tutor(work / name / "tutor.pt")
    answers = [hear(net, caches.audio, speed, work / "cache" / f"{caches_name}-{speed}") for speed in speeds or SPEEDS]
    opinions = np.mean(answers, 0)
    opinions[[i for i, c in enumerate(caches.clips) if c.split != "train"]] = np.nan
    np.save(work / f"opinions-{caches_name}.npy", opinions)


if __name__ == "__main__":
    main()
