"""What merit-large hears of every turn: `python -m rtemo_models.systems.speech_lm.features`.

For each line of the records: the words (hidden units) of its last window of 3 s and the mean over all of its windows,
every 1.5 s. They are kept in one file under the work folder; a run that was stopped goes on there.
"""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import MEL_COUNT, RATE_HZ, as_whisper_hears, log_mel_power
from rtemo_models.kit.command import PATH, data_option, task, work_option

FRAME_SAMPLES = 320
STRIDE_SAMPLES = 3 * RATE_HZ // 2
_LEAD_SAMPLES = 3 * RATE_HZ // 10
_PART = 256


class Ear:
    """Runs the graph of merit-large on one turn.

    Args:
        bundle: Folder of the bundle.
    """

    def __init__(self, bundle: Path) -> None:
        import onnxruntime

        card = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(bundle / card["weights"]), options)
        self._loudest = float(card["front_end"]["loudest"])
        self.frames = int(card["inputs"]["there"]["shape"][0])
        self.width = int(card["outputs"]["words"]["shape"][0])
        self.labels = tuple(card["labels"])

    def hear(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Words [2, width] of the last window and their mean over windows; logits of the last window."""
        window = self.frames * FRAME_SAMPLES
        ends = list(range(len(samples), min(window, len(samples)) - 1, -STRIDE_SAMPLES))[:4] or [len(samples)]
        mel = np.zeros((len(ends), 2 * self.frames, MEL_COUNT), np.float32)
        there = np.zeros((len(ends), self.frames), np.float32)
        for number, end in enumerate(ends):
            part = samples[max(0, end - window) : end]
            frames = len(part) // FRAME_SAMPLES
            mel[number, : 2 * frames] = as_whisper_hears(log_mel_power(part[: frames * FRAME_SAMPLES]), self._loudest)
            there[number, :frames] = 1.0
        words, logits = self._session.run(["words", "logits"], {"mel": mel, "there": there})
        return np.stack([words[0], words.mean(0)]), logits[0]


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of records."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@task(
    __doc__,
    data_option,
    work_option,
    click.option("--bundle", type=PATH, required=True, help="Folder of merit-large."),
    click.option("--records", type=PATH, help="File of the records; WORK/speech_lm/records.jsonl by default."),
)
def main(data: Path, work: Path, bundle: Path, records: Path | None) -> None:
    """Hear all turns."""
    folder = work / "speech_lm"
    lines = read_records(records or folder / "records.jsonl")
    ear = Ear(bundle)
    path = folder / "features.npz"
    words = np.zeros((len(lines), 2, ear.width), np.float32)
    logits = np.zeros((len(lines), len(ear.labels)), np.float32)
    done = 0
    if path.exists():
        kept = np.load(path)
        if kept["words"].shape == words.shape:
            words, logits, done = kept["words"], kept["logits"], int(kept["done"])
    for number in range(done, len(lines)):
        line = lines[number]
        start, end = max(0, line["start_sample"] - _LEAD_SAMPLES), line["end_sample"]
        samples, _ = soundfile.read(data / line["path"], dtype="float32", start=start, frames=max(end - start, 3200))
        words[number], logits[number] = ear.hear(samples)
        if number + 1 == len(lines) or (number + 1) % _PART == 0:
            np.savez(path, words=words, logits=logits, done=number + 1)
            click.echo(f"{number + 1} of {len(lines)} turns")


if __name__ == "__main__":
    main()
